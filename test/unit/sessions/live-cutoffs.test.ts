import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ControlEntry } from '../../../src/authority/cutoffs.ts'
import { CURRENT_POLICY } from '../../../src/authority/policy-entry.ts'
import { CUTOFF_STALENESS_MS_MAX, STORE_CLOCK_DIFFERENCE_MS_MAX } from '../../../src/kernel/store-limits.ts'
import { LiveCutoffs } from '../../../src/sessions/live-cutoffs.ts'
import type { ControlWrite } from '../../../src/store/ports.ts'
import { refusalOf } from '../authority/refusal.ts'
import { failing } from './faults.ts'
import { HandClock, NOW, type TestStore, testStore } from './fixtures.ts'

const FAR_MS = (NOW + 86_400) * 1000
const cutoff = (seq: number, expiresAtMs = FAR_MS): ControlEntry => ({
  entry: 'cutoff',
  dimension: 'agent',
  id: 'orchestrator',
  seq,
  atMs: NOW * 1000,
  expiresAtMs,
})
const AGENT_CUTOFF: ControlWrite = { entry: 'cutoff', dimension: 'agent', id: 'orchestrator', expiresAtMs: FAR_MS }

/** Whether a token of the orchestrator's with this `rv` is dead. */
function kills(cutoffs: LiveCutoffs, rv: number): boolean {
  return cutoffs.set.killing({ rv, nodes: [], agents: ['orchestrator'], versions: [], accessToken: true }) !== undefined
}

let clock: HandClock
let cutoffs: LiveCutoffs
beforeEach(() => {
  clock = new HandClock()
  cutoffs = new LiveCutoffs(clock)
})

const published = (version: string, seq: number): ControlEntry => ({
  entry: 'policy',
  id: CURRENT_POLICY,
  version,
  seq,
  atMs: NOW * 1000,
})

describe('being sure of the revocations', () => {
  test('a broker that has never confirmed them issues nothing', () => {
    expect(cutoffs.fresh).toBe(false)
    expect(refusalOf(() => cutoffs.assertFresh())).toMatchObject({ reason: 'cutoffs_stale', retryAfterSeconds: 1 })
  })

  test('a snapshot or a write alone confirms nothing', () => {
    cutoffs.snapshot({ epoch: 'e', seq: 5, atMs: clock.ms, entries: [] })
    cutoffs.written(6, [])
    expect(cutoffs.fresh).toBe(false)
  })

  test('a confirmation holds for two seconds and not a millisecond longer', () => {
    cutoffs.confirmed(5, clock.ms)
    clock.ms += CUTOFF_STALENESS_MS_MAX
    expect(cutoffs.fresh).toBe(true)
    expect(() => cutoffs.assertFresh()).not.toThrow()
    clock.ms += 1
    expect(cutoffs.fresh).toBe(false)
    expect(refusalOf(() => cutoffs.assertFresh()).reason).toBe('cutoffs_stale')
  })

  test('what was read of a view that was stale is not decided upon once it is fresh again', () => {
    cutoffs.confirmed(5, clock.ms)
    const before = cutoffs.rv
    clock.ms += CUTOFF_STALENESS_MS_MAX
    cutoffs.written(6, [])
    cutoffs.confirmed(6, clock.ms)
    // It was fresh all the time: what was cut off meanwhile has a higher number.
    expect(() => cutoffs.assertFresh(before)).not.toThrow()
    const paused = cutoffs.rv
    clock.ms += CUTOFF_STALENESS_MS_MAX + 1
    cutoffs.confirmed(7, clock.ms)
    expect(refusalOf(() => cutoffs.assertFresh(paused)).reason).toBe('cutoffs_stale')
    expect(() => cutoffs.assertFresh(cutoffs.rv)).not.toThrow()
    // Confirmed again, and of nothing new: what was read then may be decided upon.
    clock.ms += CUTOFF_STALENESS_MS_MAX + 1
    const idle = cutoffs.rv
    cutoffs.confirmed(7, clock.ms)
    expect(() => cutoffs.assertFresh(idle)).not.toThrow()
  })

  test('and is where the policy that came then is not loaded yet: nothing newer can be read', () => {
    cutoffs.decideBy('v1')
    cutoffs.confirmed(5, clock.ms)
    clock.ms += CUTOFF_STALENESS_MS_MAX + 1
    cutoffs.written(6, [published('v2', 6)])
    cutoffs.confirmed(7, clock.ms)
    expect(cutoffs.rv).toBe(5)
    expect(() => cutoffs.assertFresh(cutoffs.rv)).not.toThrow()
  })

  test('a policy of another history has a lower number: what is read then is decided upon from the next confirmation on', () => {
    cutoffs.decideBy('v1')
    cutoffs.confirmed(100, clock.ms)
    cutoffs.snapshot({ epoch: 'other', seq: 90, atMs: clock.ms, entries: [published('v2', 90)] })
    cutoffs.confirmed(90, clock.ms)
    expect(cutoffs.rv).toBe(89)
    expect(() => cutoffs.assertFresh(cutoffs.rv)).not.toThrow()
  })

  test('a later confirmation makes a stale broker certain again', () => {
    cutoffs.confirmed(5, clock.ms)
    clock.ms += 60_000
    expect(cutoffs.fresh).toBe(false)
    cutoffs.confirmed(5, clock.ms)
    expect(cutoffs.fresh).toBe(true)
  })

  test('a clock set back does not prolong a confirmation', () => {
    cutoffs.confirmed(5, clock.ms)
    clock.ms -= CUTOFF_STALENESS_MS_MAX + 1
    expect(cutoffs.fresh).toBe(false)
  })

  test('a clock more than a second away from the store’s, either way, issues nothing', () => {
    for (const away of [STORE_CLOCK_DIFFERENCE_MS_MAX, -STORE_CLOCK_DIFFERENCE_MS_MAX]) {
      cutoffs.confirmed(5, clock.ms - away)
      expect(cutoffs.fresh, `${away} ms`).toBe(true)
      cutoffs.confirmed(5, clock.ms - away - Math.sign(away))
      expect(cutoffs.fresh, `${away} ms and one`).toBe(false)
    }
  })
})

describe('rv', () => {
  test('is the highest number applied, and never goes back', () => {
    expect(cutoffs.rv).toBe(0)
    cutoffs.snapshot({ epoch: 'e', seq: 10, atMs: clock.ms, entries: [] })
    expect(cutoffs.rv).toBe(10)
    cutoffs.written(12, [])
    expect(cutoffs.rv).toBe(12)
    cutoffs.confirmed(11, clock.ms)
    cutoffs.written(9, [])
    cutoffs.snapshot({ epoch: 'other', seq: 3, atMs: clock.ms, entries: [] })
    expect(cutoffs.rv).toBe(12)
    cutoffs.confirmed(15, clock.ms)
    expect(cutoffs.rv).toBe(15)
  })

  test('what is delivered kills what was decided before it, and nothing decided after', () => {
    cutoffs.written(12, [cutoff(12)])
    expect(kills(cutoffs, 11)).toBe(true)
    expect(kills(cutoffs, 12)).toBe(false)
  })

  test('a snapshot kills what was cut off before this broker began to listen', () => {
    cutoffs.snapshot({ epoch: 'e', seq: 20, atMs: clock.ms, entries: [cutoff(12)] })
    expect(kills(cutoffs, 11)).toBe(true)
    expect(kills(cutoffs, 12)).toBe(false)
  })

  test('a snapshot adds to what is known and forgets nothing', () => {
    cutoffs.written(12, [cutoff(12)])
    cutoffs.snapshot({ epoch: 'other', seq: 20, atMs: clock.ms, entries: [] })
    expect(kills(cutoffs, 11)).toBe(true)
  })
})

describe('rv while another policy is published than decides here', () => {
  beforeEach(() => {
    cutoffs.snapshot({ epoch: 'e', seq: 5, atMs: clock.ms, entries: [published('first', 5)] })
    cutoffs.decideBy('first')
  })

  test('is below its publication, until it decides', () => {
    cutoffs.written(10, [published('second', 10), cutoff(10)])
    expect(kills(cutoffs, cutoffs.rv)).toBe(true)
    cutoffs.decideBy('second')
    expect(cutoffs.rv).toBe(10)
  })

  test('stays below the first of several publications: what each took away is dead', () => {
    cutoffs.written(10, [published('second', 10), cutoff(10)])
    cutoffs.written(20, [published('third', 20)])
    cutoffs.written(30, [])
    expect(kills(cutoffs, cutoffs.rv)).toBe(true)
    cutoffs.decideBy('third')
    expect(cutoffs.rv).toBe(30)
  })

  test('stays below a publication that this broker never heard of itself, but only its cut-offs', () => {
    cutoffs.snapshot({ epoch: 'e', seq: 20, atMs: clock.ms, entries: [cutoff(10), published('third', 20)] })
    expect(kills(cutoffs, cutoffs.rv)).toBe(true)
  })

  test('is what is applied where the version that decides here is published again', () => {
    cutoffs.written(10, [published('second', 10), cutoff(10)])
    cutoffs.written(20, [published('first', 20)])
    expect(cutoffs.rv).toBe(20)
  })
})

describe('forgetting', () => {
  test('what has expired goes with a confirmation', () => {
    cutoffs.written(12, [cutoff(12, clock.ms + 1000)])
    cutoffs.confirmed(12, clock.ms)
    expect(cutoffs.set.size).toBe(1)
    clock.ms += 1000
    cutoffs.confirmed(12, clock.ms)
    expect(cutoffs.set.size).toBe(0)
  })

  test('a clock that runs ahead for a moment revives nothing when it is set right', () => {
    cutoffs.written(12, [cutoff(12, clock.ms + 1000)])
    const storeMs = clock.ms
    clock.ms += 3_600_000
    cutoffs.confirmed(12, storeMs)
    clock.ms = storeMs
    cutoffs.confirmed(12, storeMs)
    expect(cutoffs.fresh).toBe(true)
    expect(kills(cutoffs, 11)).toBe(true)
  })
})

describe('writing', () => {
  let held: TestStore
  beforeEach(async () => {
    held = await testStore(clock)
  })
  afterEach(() => held.close())

  test('the cut-off is applied here and in the store, above every rv handed out so far', async () => {
    const feed = await held.store.control.follow(cutoffs)
    const before = cutoffs.rv
    const written = await cutoffs.write(held.store.control, [AGENT_CUTOFF])
    expect(written.seq).toBeGreaterThan(before)
    expect(kills(cutoffs, before)).toBe(true)
    expect(cutoffs.rv).toBeGreaterThanOrEqual(written.seq)
    expect(kills(cutoffs, cutoffs.rv)).toBe(false)
    const snapshot = await held.store.control.snapshot()
    expect(snapshot.entries).toMatchObject([{ id: 'orchestrator', seq: written.seq }])
    await feed.stop()
  })

  test('a writer whose rv is ahead of the store’s clock still gets a number above it', async () => {
    const ahead = clock.ms + 3_600_000
    cutoffs.snapshot({ epoch: 'e', seq: ahead, atMs: clock.ms, entries: [] })
    const pending = cutoffs.write(held.store.control, [AGENT_CUTOFF])
    await expect.poll(() => kills(cutoffs, ahead)).toBe(true)
    cutoffs.written(ahead + 1, [])
    expect((await pending).seq).toBe(ahead + 1)
  })

  test('does not answer before the feed has come up to it, but already refuses with it', async () => {
    let answered = false
    const pending = cutoffs.write(held.store.control, [AGENT_CUTOFF]).then((written) => {
      answered = true
      return written
    })
    await expect.poll(() => kills(cutoffs, 0)).toBe(true)
    const [entry] = (await held.store.control.snapshot()).entries
    const seq = entry?.seq ?? 0
    cutoffs.written(seq - 1, [])
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(answered).toBe(false)
    expect(cutoffs.rv).toBe(seq - 1)
    cutoffs.written(seq, [])
    expect((await pending).seq).toBe(seq)
  })

  test('answers after a second where the feed stays silent: the revocation stands in the store', async () => {
    const started = performance.now()
    const { seq } = await cutoffs.write(held.store.control, [AGENT_CUTOFF])
    expect(performance.now() - started).toBeGreaterThan(900)
    expect(cutoffs.rv).toBeLessThan(seq)
    expect(kills(cutoffs, seq - 1)).toBe(true)
  })

  test('a store that refuses is heard by the caller, and nothing is applied here', async () => {
    failing(held.store.control, 'write')
    await expect(cutoffs.write(held.store.control, [AGENT_CUTOFF])).rejects.toThrow('does not answer')
    expect(cutoffs.set.size).toBe(0)
  })
})
