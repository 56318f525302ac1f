/** Hostile and unlucky consumers of the feed of revocations: too many, too slow, or with somebody else's token. */
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Listening } from '../../src/http/listener.ts'
import { FEED_STALL_MS_MAX, FEED_STREAMS_PER_CLIENT_MAX } from '../../src/kernel/feed-limits.ts'
import { holderKey, proof, proving } from '../support/dpop.ts'
import { type FollowedStream, follow, requestStream } from '../support/feed.ts'
import { kill } from '../support/hops.ts'
import { PATIENCE_MS } from '../support/patience.ts'
import { listenTo } from '../support/raw-http.ts'
import { startWorld, type World } from '../support/world.ts'

let world: World
let listening: Listening
let laterMs = 0
/** Set: time stands still for the feed. */
let stoodMs: number | undefined
beforeAll(async () => {
  world = await startWorld({
    metrics: { host: '127.0.0.1', port: 0, token: undefined },
    ticks: { ticksMs: () => stoodMs ?? performance.now() + laterMs },
  })
  listening = await listenTo(world)
})
afterAll(async () => {
  await listening.stop()
  await world.close()
})

const writes = async (thousands: number, tag: string) => {
  const write = (thousand: number) => {
    const cutoffs = Array.from({ length: 1_000 }, (_, index) => ({
      entry: 'cutoff' as const,
      dimension: 'user' as const,
      id: `user:corp:${tag}-${thousand}-${index}`,
      expiresAtMs: world.clock.nowMs() + 3_600_000,
    }))
    return world.broker.store.control.write(cutoffs, 0)
  }
  for (let from = 0; from < thousands; from += 4) {
    await Promise.all(Array.from({ length: 4 }, (_, index) => write(from + index)))
  }
}

afterEach(() => {
  stoodMs = undefined
})

const metric = async (name: string): Promise<number> => {
  const text = (await world.broker.metrics?.text()) ?? ''
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1])
}

/** Asks for a stream over a socket of its own, and reads as much as it is told to. */
async function silent(token: string) {
  const socket = connect(listening.port, '127.0.0.1').on('error', () => undefined)
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  socket.write(
    `GET /revocations HTTP/1.1\r\nHost: 127.0.0.1:${listening.port}\r\nAccept: text/event-stream\r\nAuthorization: Bearer ${token}\r\n\r\n`,
  )
  socket.pause()
  await sleep(100)
  return { socket, closed }
}

describe('too many', () => {
  test('one client has its bound, and takes nothing from the others', async () => {
    const bearer = await world.apiToken('wiki-server', 'revocations')
    const open: FollowedStream[] = []
    while (open.length < FEED_STREAMS_PER_CLIENT_MAX) {
      open.push(...(await Promise.all(Array.from({ length: 8 }, () => follow(world, { token: bearer })))))
    }
    const refused = await requestStream(world, { token: bearer })
    expect(refused.status).toBe(429)
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(await refused.json()).toMatchObject({ error: 'temporarily_unavailable', error_reason: 'streams_exceeded' })
    const poll = await world.bearer('/revocations', bearer)
    expect([poll.status, poll.body.error_reason]).toEqual([429, 'streams_exceeded'])
    const other = await follow(world)
    await other.close()
    await open.pop()?.close()
    const next = await follow(world, { token: bearer })
    await next.close()
    for (const stream of open) await stream.close()
    expect(await metric('errand_feed_streams')).toBe(0)
  })
})

describe('somebody else’s token', () => {
  test('one that is bound to a key follows nothing without it', async () => {
    const key = holderKey()
    const made = await world.clientCredentials(
      'warehouse-server',
      { resource: `${world.issuer}/api`, scope: 'revocations' },
      proving(world, key),
    )
    const bearer: string = made.body.access_token
    const stolen = await requestStream(world, { token: bearer })
    expect(stolen.status).toBe(401)
    const { createHash } = await import('node:crypto')
    const ath = createHash('sha256').update(bearer).digest('base64url')
    const own = await world.broker.app.request('/revocations', {
      headers: {
        Authorization: `DPoP ${bearer}`,
        Accept: 'text/event-stream',
        DPoP: proof(world, key, { claims: { htm: 'GET', htu: `${world.issuer}/revocations`, ath } }),
      },
    })
    expect(own.status).toBe(200)
    await own.body?.cancel()
  })

  test('a stolen one ends with the cut-off of its client, and opens nothing afterwards', async () => {
    const bearer = await world.apiToken('calendar-server', 'revocations')
    const thief = await follow(world, { token: bearer })
    await kill(world, { dimension: 'agent', agent: 'calendar-server' })
    await thief.ended()
    expect((await requestStream(world, { token: bearer })).status).toBe(401)
    expect((await world.bearer('/revocations', bearer)).status).toBe(401)
  })
})

describe('a consumer that reads nothing', () => {
  test('holds up nobody and no memory, is dropped, and resumes where it was', async () => {
    const quick = await follow(world)
    const { socket, closed } = await silent(await world.apiToken('slack-server', 'revocations'))
    const before = await metric('errand_feed_events_total')
    stoodMs = performance.now()
    await writes(80, 'flood')
    await quick.told('user', 'user:corp:flood-79-999', 2 * PATIENCE_MS)
    const ofQuick = quick.events.length
    // Eighty pages of a hundred kilobytes: what the sockets between them have taken, and one page more, is all it was given.
    const given = (await metric('errand_feed_events_total')) - before - ofQuick
    expect(given).toBeLessThan(70)
    stoodMs = undefined
    laterMs += FEED_STALL_MS_MAX + 1_000
    // The other end has closed it: what was on its way is read to its end.
    const watch = sleep(3_000).then(() => socket.resume())
    await Promise.all([closed, watch])
    expect(await metric('errand_feed_dropped_total')).toBe(1)
    await quick.heartbeat()
    const { id } = await quick.heartbeat()
    await quick.close()
    const again = await follow(world, { client: 'slack-server', lastEventId: id as string })
    expect(again.events[0]?.event).not.toBe('snapshot')
    await again.close()
  })
})
