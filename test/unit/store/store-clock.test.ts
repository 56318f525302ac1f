/** The embedded store's clock alone. */
import { expect, test } from 'vitest'
import { STORE_CLOCK_STEP_MS_MAX } from '../../../src/kernel/store-limits.ts'
import { StoreClock } from '../../../src/store/store-clock.ts'

const HOUR_MS = 3_600_000
const YEAR_MS = 365 * 24 * HOUR_MS

function started(latestMs = 0) {
  const machine = { ms: 1_800_000_000_000, nowMs: () => machine.ms }
  return { machine, clock: new StoreClock(machine, latestMs), from: machine.ms }
}

test('it follows the machine forward, and stands while the machine is behind', () => {
  const { machine, clock, from } = started()
  machine.ms += 500
  expect(clock.nowMs()).toBe(from + 500)
  machine.ms -= HOUR_MS
  expect(clock.nowMs()).toBe(from + 500)
  machine.ms += HOUR_MS + 1
  expect(clock.nowMs()).toBe(from + 501)
})

test('a step of a day is followed; a longer one is not, until the machine is set right', () => {
  const { machine, clock, from } = started()
  machine.ms += STORE_CLOCK_STEP_MS_MAX
  expect(clock.nowMs()).toBe(from + STORE_CLOCK_STEP_MS_MAX)
  machine.ms += YEAR_MS
  expect(clock.nowMs()).toBe(from + STORE_CLOCK_STEP_MS_MAX)
  machine.ms -= YEAR_MS - 1
  expect(clock.nowMs()).toBe(from + STORE_CLOCK_STEP_MS_MAX + 1)
})

test('at a start it is as late as the store remembers, or as the machine says, however late that is', () => {
  const { machine, from } = started()
  expect(new StoreClock(machine, from + HOUR_MS).nowMs()).toBe(from + HOUR_MS)
  expect(new StoreClock(machine, from - YEAR_MS).nowMs()).toBe(from)
})
