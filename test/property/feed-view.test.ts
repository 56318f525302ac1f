/**
 * Both ends of the feed together: whatever is written, however often streams break, in the middle of whichever event, and at
 * whichever broker they go on, a verifier that has heard a heartbeat holds what the store held when it was read.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type ControlEntry, CutoffSet } from '../../src/authority/cutoffs.ts'
import { DIMENSIONS, type Dimension } from '../../src/authority/dimensions.ts'
import { Secret } from '../../src/kernel/secret.ts'
import { RevocationFeed } from '../../src/revocation/feed.ts'
import { readEvents } from '../../src/sdk/verify/feed/event-stream.ts'
import { decodeEvent } from '../../src/sdk/verify/feed/feed-message.ts'
import { RevocationView } from '../../src/sdk/verify/feed/revocation-view.ts'

const IDS = ['a', 'b', 'c']
const NOTHING = {
  known: () => ({ seq: 0, entries: [] }),
  snapshot: () => undefined,
  written: () => undefined,
  confirmed: () => undefined,
  fresh: true,
}

class Company {
  epoch = 'one'
  seq = 0
  nowMs = 1_000
  readonly truth = new CutoffSet()
  brokers = [this.#broker(), this.#broker()]
  readonly view = new RevocationView({ nowMs: () => this.nowMs }, { ticksMs: () => this.nowMs })

  #broker(): RevocationFeed {
    const feed = new RevocationFeed({
      cutoffs: NOTHING,
      salt: new Secret('salt'),
      clock: { nowMs: () => this.nowMs },
      ticks: { ticksMs: () => this.nowMs },
      observer: undefined,
    })
    this.#snapshotTo(feed)
    return feed
  }

  #snapshotTo(feed: RevocationFeed): void {
    feed.snapshot({ epoch: this.epoch, seq: this.seq, atMs: this.nowMs, entries: this.truth.entries() })
  }

  write(dimension: Dimension, ids: readonly string[], by: number): void {
    this.seq += by
    const entries = ids.map(
      (id): ControlEntry => ({ entry: 'cutoff', dimension, id, seq: this.seq, atMs: this.nowMs, expiresAtMs: 1e12 }),
    )
    for (const entry of entries) this.truth.apply(entry)
    for (const broker of this.brokers) broker.written(this.seq, entries)
  }

  restart(at: number): void {
    this.brokers[at] = this.#broker()
  }

  lose(): void {
    this.epoch += '+'
    for (const broker of this.brokers) this.#snapshotTo(broker)
  }

  /** So many events of a stream at this broker, and then so many bytes of the next. */
  async follow(at: number, events: number, bytes: number): Promise<void> {
    const feed = this.brokers[at] as RevocationFeed
    this.view.connecting()
    const stream = feed.open({ clientId: 'server', stands: () => true }, this.view.position)
    for (let count = 0; count < 2; count += 1) {
      this.nowMs += 1_000
      feed.confirmed(this.seq, this.nowMs)
    }
    let text = ''
    for (let count = 0; count < events; count += 1) {
      // Nothing to tell until the next beat.
      const next = stream.next()
      this.nowMs += 1_000
      feed.confirmed(this.seq, this.nowMs)
      text += await next
    }
    const last = stream.next()
    this.nowMs += 1_000
    feed.confirmed(this.seq, this.nowMs)
    text += ((await last) ?? '').slice(0, bytes)
    stream.end()
    async function* received() {
      yield Buffer.from(text)
    }
    for await (const { event, data } of readEvents(received())) this.view.apply(decodeEvent(event, data))
  }
}

const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      does: fc.constant('write' as const),
      dimension: fc.constantFrom(...DIMENSIONS),
      ids: fc.subarray(IDS),
      by: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      does: fc.constant('follow' as const),
      at: fc.nat(1),
      events: fc.integer({ min: 0, max: 3 }),
      bytes: fc.nat(200),
    }),
  },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('restart' as const), at: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('lose' as const) }) },
)

test('a verifier that is up to date kills what its store kills, and nothing else', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const company = new Company()
      for (const one of steps) {
        if (one.does === 'write') company.write(one.dimension, one.ids, one.by)
        else if (one.does === 'follow') await company.follow(one.at, one.events, one.bytes)
        else if (one.does === 'restart') company.restart(one.at)
        else company.lose()
      }
      await company.follow(0, 4, 0)
      expect(company.view.ageMs).toBeLessThan(10_000)
      for (const dimension of DIMENSIONS) {
        for (const id of IDS) {
          for (let rv = 0; rv <= company.seq; rv += 1) {
            const truth = company.truth.killingAny([[dimension, id]], rv) !== undefined
            expect(company.view.isCutOff([[dimension, id]], rv), `${dimension} ${id} ${rv}`).toBe(truth)
          }
        }
      }
    }),
    { numRuns: 150 },
  )
})
