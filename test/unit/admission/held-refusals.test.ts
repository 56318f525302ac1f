import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { HeldRefusals } from '../../../src/admission/held-refusals.ts'
import { HELD_REFUSALS_MAX } from '../../../src/kernel/limits.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

async function isOver(held: Promise<void>): Promise<boolean> {
  let over = false
  void held.then(() => {
    over = true
  })
  await vi.advanceTimersByTimeAsync(0)
  return over
}

test('a refusal is held for so long, and no longer', async () => {
  const held = new HeldRefusals(200).hold()
  expect(await isOver(held)).toBe(false)
  await vi.advanceTimersByTimeAsync(199)
  expect(await isOver(held)).toBe(false)
  await vi.advanceTimersByTimeAsync(1)
  expect(await isOver(held)).toBe(true)
})

test('where as many are held as may be, or none is to be held, it is answered at once', async () => {
  const refusals = new HeldRefusals(200)
  for (let held = 0; held < HELD_REFUSALS_MAX; held += 1) void refusals.hold()
  expect(await isOver(refusals.hold())).toBe(true)
  await vi.advanceTimersByTimeAsync(200)
  expect(await isOver(refusals.hold())).toBe(false)
  expect(await isOver(new HeldRefusals(0).hold())).toBe(true)
})
