/** `/readyz` tells the truth, check by check, and tells it in time. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { CHECKS, Readiness, type ReadinessParts } from '../../../src/operate/readiness.ts'
import { watchReadiness } from '../../../src/operate/readiness-watch.ts'

const NOW = 1_800_000_000
const SURE = { confirmedAgeMs: 0, storeClockDifferenceMs: 0, policyProblem: undefined }

function readiness(over: Partial<ReadinessParts> = {}): Readiness {
  return new Readiness({
    store: { takesWrites: true },
    cutoffs: { ...SURE, confirmedAgeMs: 100, storeClockDifferenceMs: -20 },
    ring: { problem: () => undefined },
    auditProblem: () => undefined,
    warnings: () => ({}),
    clock: { nowMs: () => NOW * 1000 },
    ...over,
  })
}

function failing(over: Partial<ReadinessParts>): readonly string[] {
  const { ready, checks } = readiness(over).look()
  const failed = CHECKS.filter((check) => checks[check] !== 'ok')
  expect(ready).toBe(failed.length === 0)
  return failed
}

test('all is well: every check is named, and ok', () => {
  const { ready, checks } = readiness().look()
  expect(ready).toBe(true)
  expect(checks).toEqual(Object.fromEntries(CHECKS.map((check) => [check, 'ok'])))
})

test.each<[string, Partial<ReadinessParts>]>([
  ['store', { store: { takesWrites: false } }],
  ['revocations', { cutoffs: { ...SURE, confirmedAgeMs: 2_001, storeClockDifferenceMs: 0 } }],
  ['revocations', { cutoffs: { ...SURE, confirmedAgeMs: Infinity, storeClockDifferenceMs: 0 } }],
  ['policy', { cutoffs: { ...SURE, policyProblem: 'it is not loaded' } }],
  ['clock', { cutoffs: { ...SURE, confirmedAgeMs: 0, storeClockDifferenceMs: 1_001 } }],
  ['clock', { cutoffs: { ...SURE, confirmedAgeMs: 0, storeClockDifferenceMs: -1_001 } }],
  ['keys', { ring: { problem: () => 'no active access key' } }],
  ['audit', { auditProblem: () => 'full' }],
])('%s alone is wrong, and said to be', (check, over) => {
  expect(failing(over)).toEqual([check])
})

test('a broker that stops is not ready, nor one whose certificate has ended', () => {
  const stopping = readiness()
  stopping.stop()
  expect(stopping.look().checks.serving).toBe('the broker is stopping')
  const ended = readiness()
  ended.certificateEndsAt = NOW
  expect(ended.look().checks.certificate).toBe('it has expired')
  ended.certificateEndsAt = NOW + 1
  expect(ended.look().ready).toBe(true)
})

test('a change is told once, with what is wrong, and its end once', async () => {
  let age = 0
  const watched = readiness({
    cutoffs: {
      get confirmedAgeMs() {
        return age
      },
      storeClockDifferenceMs: 0,
      policyProblem: undefined,
    },
  })
  const told: unknown[] = []
  const watch = watchReadiness(watched, (problems) => told.push(problems), 5)
  await sleep(60)
  expect(told).toEqual([])
  age = 5_000
  await expect.poll(() => told.length).toBe(1)
  age = 0
  await expect.poll(() => told.length).toBe(2)
  await sleep(60)
  watch.stop()
  expect(told).toEqual([{ revocations: 'they have not been confirmed for two seconds' }, {}])
})
