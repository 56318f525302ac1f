/** The bounds of the feed's consumers, and when each is told: with time and store in the test's own hands. */
import { describe, expect, test } from 'vitest'
import {
  FEED_HEARTBEAT_MS,
  FEED_STALL_MS_MAX,
  FEED_STREAMS_MAX,
  FEED_STREAMS_PER_CLIENT_MAX,
} from '../../../src/kernel/feed-limits.ts'
import { Rejection } from '../../../src/kernel/rejection.ts'
import { Secret } from '../../../src/kernel/secret.ts'
import { RevocationFeed } from '../../../src/revocation/feed.ts'
import type { Subscriber } from '../../../src/revocation/feed-consumer.ts'

const NOBODY = {
  known: () => ({ seq: 0, entries: [] }),
  snapshot: () => undefined,
  written: () => undefined,
  confirmed: () => undefined,
}

function started() {
  const state = { ticksMs: 0, fresh: true, stands: true, following: 0, dropped: 0 }
  const feed = new RevocationFeed({
    cutoffs: {
      ...NOBODY,
      get fresh() {
        return state.fresh
      },
    },
    salt: new Secret('salt'),
    clock: { nowMs: () => 0 },
    ticks: { ticksMs: () => state.ticksMs },
    observer: {
      following: (consumers) => {
        state.following = consumers
      },
      told: () => undefined,
      dropped: () => {
        state.dropped += 1
      },
    },
  })
  feed.snapshot({ epoch: 'e', seq: 1, atMs: 0, entries: [] })
  let atMs = 1_000
  const confirm = (passMs = FEED_HEARTBEAT_MS) => {
    state.ticksMs += passMs
    atMs += passMs
    feed.confirmed(feed.log.seq, atMs)
  }
  const subscriber = (clientId = 'server'): Subscriber => ({ clientId, stands: () => state.stands })
  return { feed, state, confirm, subscriber }
}

const nameOf = (text: string | undefined) => /^event: (\w+)$/m.exec(text ?? '')?.[1]

describe('how many may follow', () => {
  test('each client has its bound, and all together have theirs; whoever leaves makes room', () => {
    const { feed, state, subscriber } = started()
    const refused = (clientId: string) => () => feed.open(subscriber(clientId), undefined)
    for (let client = 0; state.following < FEED_STREAMS_MAX; client += 1) {
      const mine = Array.from({ length: FEED_STREAMS_PER_CLIENT_MAX }, () =>
        feed.open(subscriber(`c${client}`), undefined),
      )
      expect(refused(`c${client}`)).toThrow(Rejection)
      if (client === 0) {
        mine[0]?.end()
        feed.poll(subscriber('c0'), undefined)
      }
    }
    expect(refused('another')).toThrow('as many follow')
    feed.endStreams()
    expect(state.following).toBe(0)
  })

  test('a broker that stops takes nobody', () => {
    const { feed, subscriber } = started()
    feed.endStreams()
    expect(() => feed.open(subscriber(), undefined)).toThrow('stopping')
  })
})

describe('when a stream is told', () => {
  test('its first heartbeat waits for a read that began after it came', async () => {
    const { feed, confirm, subscriber } = started()
    const stream = feed.open(subscriber(), undefined)
    expect(nameOf(await stream.next())).toBe('snapshot')
    const next = stream.next()
    confirm(10)
    // The read that ends now may have begun before.
    expect(await Promise.race([next, Promise.resolve('nothing yet')])).toBe('nothing yet')
    confirm(10)
    expect(nameOf(await next)).toBe('heartbeat')
  })

  test('a broker that is not sure says nothing', async () => {
    const { feed, state, confirm, subscriber } = started()
    const stream = feed.open(subscriber(), undefined)
    await stream.next()
    state.fresh = false
    const next = stream.next()
    for (let count = 0; count < 5; count += 1) confirm()
    expect(await Promise.race([next, Promise.resolve('nothing')])).toBe('nothing')
    state.fresh = true
    confirm()
    confirm()
    expect(nameOf(await next)).toBe('heartbeat')
  })

  test('what this broker has not heard of, it does not confirm', async () => {
    const { feed, confirm, subscriber } = started()
    const stream = feed.open(subscriber(), undefined)
    await stream.next()
    const next = stream.next()
    feed.confirmed(2, 5_000)
    feed.confirmed(2, 6_000)
    feed.confirmed(2, 7_000)
    expect(await Promise.race([next, Promise.resolve('nothing')])).toBe('nothing')
    confirm()
    confirm()
    expect(nameOf(await next)).toBe('heartbeat')
  })

  test('a heartbeat never overtakes what was written before it', async () => {
    const { feed, confirm, subscriber } = started()
    const stream = feed.open(subscriber(), undefined)
    await stream.next()
    feed.written(2, [])
    confirm()
    confirm()
    expect(nameOf(await stream.next())).toBe('cutoffs')
    expect(nameOf(await stream.next())).toBe('heartbeat')
  })

  test('another history restarts it with a snapshot, and no heartbeat of the old one follows', async () => {
    const { feed, confirm, subscriber } = started()
    const stream = feed.open(subscriber(), undefined)
    await stream.next()
    // It has been due, and not taken, when the history ends.
    confirm()
    confirm()
    feed.snapshot({ epoch: 'f', seq: 9, atMs: 0, entries: [] })
    expect(nameOf(await stream.next())).toBe('snapshot')
    const next = stream.next()
    expect(await Promise.race([next, Promise.resolve('nothing yet')])).toBe('nothing yet')
    confirm()
    expect(nameOf(await next)).toBe('heartbeat')
  })

  test('whoever may not follow any more is ended with the next heartbeat', async () => {
    const { feed, state, confirm, subscriber } = started()
    const stream = feed.open(subscriber(), undefined)
    const poll = feed.poll(subscriber(), undefined).answer(30_000)
    await stream.next()
    const next = stream.next()
    state.stands = false
    confirm()
    expect([await next, await poll]).toEqual([undefined, undefined])
    expect(state.following).toBe(0)
  })

  test('one that takes nothing is dropped, and its connection with it', async () => {
    const { feed, state, confirm, subscriber } = started()
    const stream = feed.open(subscriber(), undefined)
    let isDropped = false
    stream.drop = () => {
      isDropped = true
    }
    await stream.next()
    confirm(FEED_STALL_MS_MAX)
    expect(isDropped).toBe(false)
    confirm()
    expect([isDropped, state.dropped, state.following]).toEqual([true, 1, 0])
  })
})
