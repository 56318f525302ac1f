import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { StrangersGate } from '../../../src/admission/strangers-gate.ts'
import { STRANGERS_AT_ONCE_MAX, STRANGERS_WAIT_MS_MAX, STRANGERS_WAITING_MAX } from '../../../src/kernel/limits.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

function fill(gate: StrangersGate): void {
  for (let inside = 0; inside < STRANGERS_AT_ONCE_MAX; inside += 1) expect(gate.enter()).toBe(true)
}

test('so many are inside at once; the next waits, and gets the place of whoever leaves, in order', async () => {
  const gate = new StrangersGate()
  fill(gate)
  const entered: string[] = []
  const first = Promise.resolve(gate.enter()).then((is) => entered.push(`first ${is}`))
  const second = Promise.resolve(gate.enter()).then((is) => entered.push(`second ${is}`))
  await Promise.resolve()
  expect(entered).toEqual([])
  gate.leave()
  await first
  expect(entered).toEqual(['first true'])
  gate.leave()
  await second
  expect(entered).toEqual(['first true', 'second true'])
})

test('a place that is handed over is not free for whoever comes in between', async () => {
  const gate = new StrangersGate()
  fill(gate)
  const waiting = gate.enter()
  gate.leave()
  expect(gate.enter()).not.toBe(true)
  expect(await waiting).toBe(true)
})

test('whoever has waited too long is sent away, and so is whoever finds the waiting room full', async () => {
  const gate = new StrangersGate()
  fill(gate)
  const waiting = Array.from({ length: STRANGERS_WAITING_MAX }, () => gate.enter())
  expect(await gate.enter()).toBe(false)
  await vi.advanceTimersByTimeAsync(STRANGERS_WAIT_MS_MAX)
  expect((await Promise.all(waiting)).filter((entered) => entered)).toEqual([])
  // Those who left give their places back to nobody.
  for (let inside = 0; inside < STRANGERS_AT_ONCE_MAX; inside += 1) gate.leave()
  fill(gate)
})
