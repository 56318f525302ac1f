import { beforeEach, describe, expect, test } from 'vitest'
import type { Concern } from '../../../../../src/authority/dimensions.ts'
import { saltedId } from '../../../../../src/authority/salted-id.ts'
import { FEED_GENERATIONS_MAX } from '../../../../../src/kernel/feed-limits.ts'
import { FeedBroken, type FeedMessage } from '../../../../../src/sdk/verify/feed/feed-message.ts'
import { RevocationView } from '../../../../../src/sdk/verify/feed/revocation-view.ts'

const NOW_MS = 1_790_000_000_000
const FAR_MS = NOW_MS + 600_000
let nowMs: number
let ticksMs: number
let view: RevocationView
beforeEach(() => {
  nowMs = NOW_MS
  ticksMs = 5_000
  view = new RevocationView({ nowMs: () => nowMs }, { ticksMs: () => ticksMs })
})

const pass = (ms: number) => {
  nowMs += ms
  ticksMs += ms
}
const alice = (salt: string, seq: number, expiresAtMs = FAR_MS) => ({
  dimension: 'user' as const,
  id: saltedId(salt, 'user', 'alice'),
  seq,
  expiresAtMs,
})
const snapshot = (seq: number, cutoffs: readonly ReturnType<typeof alice>[] = [], more: object = {}): FeedMessage => ({
  kind: 'snapshot',
  epoch: 'e',
  salt: 's',
  seq,
  cutoffs,
  ...more,
})
const heartbeat = (seq: number, asOfMs = nowMs, epoch = 'e'): FeedMessage => ({ kind: 'heartbeat', epoch, seq, asOfMs })
const ALICE: readonly Concern[] = [['user', 'alice']]

describe('how old it is', () => {
  test('nothing is known before the first heartbeat', () => {
    view.connecting()
    view.apply(snapshot(1))
    expect(view.ageMs).toBe(Number.POSITIVE_INFINITY)
  })

  test('the first heartbeat tells of a moment after the connection was asked for, and of no later one', () => {
    view.connecting()
    pass(700)
    view.apply(snapshot(1))
    view.apply(heartbeat(1))
    expect(view.ageMs).toBe(700)
  })

  test('a store’s clock that is set forward hides nothing: the connection is given up for another', () => {
    view.connecting()
    view.apply(snapshot(1))
    view.apply(heartbeat(1, NOW_MS))
    pass(1_000)
    // Another primary, ten minutes ahead.
    expect(() => view.apply(heartbeat(1, NOW_MS + 601_000))).toThrow('the clock behind the feed has jumped')
    expect(view.ageMs).toBe(1_000)
    pass(10_000)
    // Held up for as long on its way.
    expect(() => view.apply(heartbeat(1, NOW_MS + 602_000))).toThrow()
    expect(view.ageMs).toBe(11_000)
    view.connecting()
    view.apply(heartbeat(1, NOW_MS + 611_000))
    expect(view.ageMs).toBe(0)
  })

  test('whatever the store’s clock says, only its differences count', () => {
    view.connecting()
    view.apply(snapshot(1))
    view.apply(heartbeat(1, 12_000))
    pass(1_000)
    view.apply(heartbeat(1, 13_000))
    expect(view.ageMs).toBe(0)
    // Held up on its way: it tells of a moment that is four seconds past by now.
    pass(5_000)
    view.apply(heartbeat(1, 14_000))
    expect(view.ageMs).toBe(4_000)
  })

  test.each([1_900, 9_000_000])('a store whose clock jumped ahead to %i makes nothing younger than it is', (asOfMs) => {
    view.connecting()
    view.apply(snapshot(1))
    view.apply(heartbeat(1, 1_000))
    try {
      view.apply(heartbeat(1, asOfMs))
    } catch {
      // Given up for another connection, as above.
    }
    pass(3_000)
    expect(view.ageMs).toBe(3_000)
  })

  test('a machine that slept without ticking knows by its clock', () => {
    view.connecting()
    view.apply(snapshot(1))
    view.apply(heartbeat(1))
    nowMs += 60_000
    expect(view.ageMs).toBe(60_000)
  })

  test('a clock that was set back makes nothing younger', () => {
    view.connecting()
    view.apply(snapshot(1))
    view.apply(heartbeat(1))
    ticksMs += 4_000
    nowMs -= 3_600_000
    expect(view.ageMs).toBeGreaterThanOrEqual(4_000)
  })
})

describe('what does not continue where the last message ended is refused', () => {
  beforeEach(() => {
    view.connecting()
    view.apply(snapshot(5))
  })

  test.each<[string, FeedMessage]>([
    ['cut-offs from a later place', { kind: 'cutoffs', previous: 6, seq: 7, cutoffs: [] }],
    ['cut-offs from an earlier place', { kind: 'cutoffs', previous: 4, seq: 7, cutoffs: [] }],
    ['a heartbeat of a later place', { kind: 'heartbeat', epoch: 'e', seq: 6, asOfMs: 1 }],
    ['a heartbeat of an earlier place', { kind: 'heartbeat', epoch: 'e', seq: 4, asOfMs: 1 }],
    ['a heartbeat of another history', { kind: 'heartbeat', epoch: 'f', seq: 5, asOfMs: 1 }],
  ])('%s', (_what, message) => {
    expect(() => view.apply(message)).toThrow(FeedBroken)
    expect(view.ageMs).toBe(Number.POSITIVE_INFINITY)
  })

  test('anything before a snapshot', () => {
    const fresh = new RevocationView({ nowMs: () => nowMs }, { ticksMs: () => ticksMs })
    expect(() => fresh.apply({ kind: 'cutoffs', previous: 0, seq: 1, cutoffs: [] })).toThrow(FeedBroken)
    expect(() => fresh.apply(heartbeat(0))).toThrow(FeedBroken)
  })
})

describe('what was cut off', () => {
  test('a sequence kills what does not know it, and a token without a number', () => {
    view.apply(snapshot(5, [alice('s', 5)]))
    expect(view.isCutOff(ALICE, 4)).toBe(true)
    expect(view.isCutOff(ALICE, 5)).toBe(false)
    expect(view.isCutOff(ALICE, Number.NaN)).toBe(true)
    expect(view.isCutOff([['user', 'bob']], 0)).toBe(false)
    expect(view.isCutOff([['agent', 'alice']], 0)).toBe(false)
  })

  test('a snapshot, of this history or another, forgets nothing', () => {
    view.apply(snapshot(5, [alice('s', 5)]))
    view.apply(snapshot(7, []))
    expect(view.isCutOff(ALICE, 4)).toBe(true)
    view.apply(snapshot(2, [], { epoch: 'f' }))
    expect(view.isCutOff(ALICE, 4)).toBe(true)
    expect(view.position).toEqual({ epoch: 'f', seq: 2 })
  })

  test('nor does one under another salt: both are looked at', () => {
    view.apply(snapshot(5, [alice('s', 5)]))
    view.apply(snapshot(1, [], { epoch: 'f', salt: 'other' }))
    expect(view.isCutOff(ALICE, 4)).toBe(true)
    view.apply({ kind: 'cutoffs', previous: 1, seq: 9, cutoffs: [alice('other', 9)] })
    expect(view.isCutOff(ALICE, 5)).toBe(true)
    expect(view.isCutOff(ALICE, 9)).toBe(false)
  })

  test('salts without end stop it', () => {
    const change = (count: number) => () => view.apply(snapshot(1, [], { salt: `salt-${count}` }))
    for (let count = 0; count < FEED_GENERATIONS_MAX; count += 1) change(count)()
    expect(change(FEED_GENERATIONS_MAX)).toThrow(FeedBroken)
  })

  test('is forgotten at its end, by the earlier of both clocks', () => {
    view.connecting()
    view.apply(snapshot(5, [alice('s', 5, nowMs + 1_000)]))
    const beats = (asOfMs: number) => {
      for (let count = 0; count < 10; count += 1) view.apply(heartbeat(5, asOfMs))
    }
    beats(nowMs + 3_600_000)
    expect(view.isCutOff(ALICE, 4)).toBe(true)
    nowMs += 3_600_000
    beats(NOW_MS)
    expect(view.isCutOff(ALICE, 4)).toBe(true)
    beats(nowMs)
    expect(view.isCutOff(ALICE, 4)).toBe(false)
    expect(view.size).toBe(0)
  })
})
