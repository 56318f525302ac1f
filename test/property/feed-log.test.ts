/**
 * The laws of the feed's log: a consumer that follows, is cut off, resumes at this broker or another, and comes back after a
 * restart, holds in the end what the store holds; whatever the order of all that, and however small the pieces.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Cutoff } from '../../src/authority/cutoffs.ts'
import { FEED_KEPT_S } from '../../src/kernel/feed-limits.ts'
import type { FeedCutoff } from '../../src/protocol/revocation-feed.ts'
import { placeIn } from '../../src/revocation/feed-consumer.ts'
import { FeedLog, type FeedPage } from '../../src/revocation/feed-log.ts'
import { salted } from '../support/feed.ts'

const SALT = 'salt'
const FAR_MS = 1e12

const cutoff = (id: string, seq: number): Cutoff => ({
  entry: 'cutoff',
  dimension: 'user',
  id,
  seq,
  atMs: 0,
  expiresAtMs: FAR_MS,
})

/** The store: the last number of each id, and the brokers that hear of it. */
class Store {
  epoch = 'first'
  seq = 0
  readonly held = new Map<string, number>()
  readonly brokers: FeedLog[] = [new FeedLog(SALT), new FeedLog(SALT)]

  constructor() {
    for (const broker of this.brokers) this.snapshotTo(broker)
  }

  snapshotTo(broker: FeedLog): void {
    const entries = [...this.held].map(([id, seq]) => cutoff(id, seq))
    broker.take({ epoch: this.epoch, seq: this.seq, atMs: 0, entries })
  }

  write(ids: readonly string[], step: number, deafTo: number | undefined): void {
    this.seq += step
    for (const id of ids) this.held.set(id, this.seq)
    this.brokers.forEach((broker, index) => {
      if (index !== deafTo) {
        if (broker.epoch !== '' && !this.#isBehind(broker))
          broker.append(
            this.seq,
            ids.map((id) => cutoff(id, this.seq)),
          )
        else this.snapshotTo(broker)
      } else this.#behind.add(broker)
    })
  }

  readonly #behind = new Set<FeedLog>()
  #isBehind(broker: FeedLog): boolean {
    return this.#behind.delete(broker)
  }
}

class Consumer {
  epoch = ''
  seq: number | undefined
  readonly held = new Map<string, number>()

  /** One event: what a stream gives next, or nothing. */
  take(log: FeedLog, piece: number): boolean {
    const from = this.seq === undefined ? undefined : placeIn(log, { epoch: this.epoch, seq: this.seq })
    if (from === log.seq) return false
    const page = log.after(from ?? -1, piece)
    expect(page.seq).toBeGreaterThanOrEqual(from ?? 0)
    for (const { id, seq } of cutoffsOf(page)) this.held.set(id, Math.max(seq, this.held.get(id) ?? 0))
    this.epoch = log.epoch
    this.seq = page.seq
    return true
  }
}

const cutoffsOf = (page: FeedPage): readonly FeedCutoff[] => JSON.parse(page.cutoffs)

const IDS = ['a', 'b', 'c', 'd', 'e']
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      does: fc.constant('write' as const),
      ids: fc.subarray(IDS),
      by: fc.integer({ min: 1, max: 3 }),
      deafTo: fc.option(fc.nat(1), { nil: undefined }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ does: fc.constant('take' as const), at: fc.nat(1), piece: fc.integer({ min: 1, max: 3 }) }),
  },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('restart' as const), at: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('prune' as const), at: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('epoch' as const) }) },
)

describe('following the feed', () => {
  test('any order of writes, drops, restarts and resumes at either broker ends in what the store holds', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
        const store = new Store()
        const consumer = new Consumer()
        for (const one of steps) {
          if (one.does === 'write') store.write(one.ids, one.by, one.deafTo)
          else if (one.does === 'take') consumer.take(store.brokers[one.at] as FeedLog, one.piece)
          else if (one.does === 'prune') (store.brokers[one.at] as FeedLog).prune(1)
          else if (one.does === 'restart') {
            store.brokers[one.at] = new FeedLog(SALT)
            store.snapshotTo(store.brokers[one.at] as FeedLog)
          } else {
            store.epoch += '+'
            for (const broker of store.brokers) store.snapshotTo(broker)
          }
        }
        for (const broker of store.brokers) {
          store.snapshotTo(broker)
          while (consumer.take(broker, 2));
          for (const [id, seq] of store.held) expect(consumer.held.get(salted(SALT, 'user', id))).toBe(seq)
        }
      }),
      { numRuns: 500 },
    )
  })

  test('a page never ends between two cut-offs of one number', () => {
    const log = new FeedLog(SALT)
    log.take({ epoch: 'e', seq: 0, atMs: 0, entries: [] })
    log.append(
      5,
      IDS.map((id) => cutoff(id, 5)),
    )
    log.append(6, [cutoff('f', 6)])
    const [first, second] = [log.after(0, 2), log.after(5, 2)]
    expect([first.seq, cutoffsOf(first).map(({ seq }) => seq)]).toEqual([5, IDS.map(() => 5)])
    expect([second.seq, cutoffsOf(second).map(({ seq }) => seq)]).toEqual([6, [6]])
  })

  test('what is cut off again and again takes the room of one', () => {
    const log = new FeedLog(SALT)
    log.take({ epoch: 'e', seq: 0, atMs: 0, entries: [] })
    for (let seq = 1; seq <= 1_000; seq += 1) log.append(seq, [cutoff('a', seq)])
    expect(cutoffsOf(log.after(-1, 500))).toHaveLength(1)
    log.prune(1)
    expect(log.size).toBe(1)
  })

  test('it forgets what concerns no living access token, and never the cut-off of a key', () => {
    const log = new FeedLog(SALT)
    const ofKey: Cutoff = { ...cutoff('k', 1), dimension: 'key' }
    log.take({ epoch: 'e', seq: 1, atMs: 0, entries: [cutoff('a', 1), ofKey] })
    log.prune(FEED_KEPT_S * 1000 - 1)
    expect(log.size).toBe(2)
    log.prune(FEED_KEPT_S * 1000)
    expect(cutoffsOf(log.after(-1, 9)).map(({ dimension }) => dimension)).toEqual(['key'])
  })

  test('brokers that share store and salt name the same place; with another salt it is another history', () => {
    const logs = [SALT, SALT, 'other'].map((salt) => {
      const log = new FeedLog(salt)
      log.take({ epoch: 'e', seq: 1, atMs: 0, entries: [] })
      return log.epoch
    })
    expect(logs[0]).toBe(logs[1])
    expect(logs[0]).not.toBe(logs[2])
  })
})
