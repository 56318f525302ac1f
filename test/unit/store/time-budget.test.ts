import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { STORE_DEADLINE_MS } from '../../../src/kernel/store-limits.ts'
import { callDeadlineMs, outsideBudget, withinBudget } from '../../../src/store/time-budget.ts'

let nowMs = 0
beforeEach(() => {
  vi.spyOn(performance, 'now').mockImplementation(() => nowMs)
})
afterEach(() => {
  vi.restoreAllMocks()
})

/** For everybody; whoever else waits has a turn meanwhile. */
async function passes(ms: number): Promise<void> {
  nowMs += ms
  await turn()
}

test('a call of no request has the whole deadline', () => {
  expect(callDeadlineMs()).toBe(STORE_DEADLINE_MS)
})

test('the calls of a request share half a second, whatever lies between them', async () => {
  await withinBudget(async () => {
    const first = callDeadlineMs()
    await passes(120)
    const second = callDeadlineMs()
    await passes(300)
    const third = callDeadlineMs()
    expect(second).toBeLessThan(first)
    expect(third).toBeLessThan(second)
    // The worst a store can do: each answer just in time, the last one never.
    expect(first + second).toBeLessThan(500)
    expect(third).toBeGreaterThan(0)
  })
})

test('the budget begins with the first call: what a request did before is not the store’s doing', async () => {
  await withinBudget(async () => {
    await passes(400)
    const late = callDeadlineMs()
    expect(late).toBe(withinBudget(callDeadlineMs))
  })
})

test('two requests at once have two budgets, and what one starts and leaves behind has none', async () => {
  const used = withinBudget(async () => {
    callDeadlineMs()
    await passes(320)
    return [callDeadlineMs(), outsideBudget(callDeadlineMs)]
  })
  const fresh = withinBudget(callDeadlineMs)
  const [left = 0, outside] = await used
  expect(left).toBeLessThan(fresh)
  expect(outside).toBe(STORE_DEADLINE_MS)
})
