import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import { systemClock, systemTicks } from '../../../../../src/kernel/clock.ts'
import { FEED_SILENCE_MS_MAX } from '../../../../../src/kernel/feed-limits.ts'
import { BrokerRefused, type JsonRequest, type StreamRequest } from '../../../../../src/sdk/broker/http.ts'
import { FeedFollower } from '../../../../../src/sdk/verify/feed/feed-follower.ts'
import { RevocationView } from '../../../../../src/sdk/verify/feed/revocation-view.ts'
import { until } from '../../../../support/broker-process.ts'

const ISSUER = 'https://errand.example'

type Script = (request: StreamRequest) => AsyncGenerator<string>

/** A broker of the test's own: one script per stream, the last for all that follow. */
class Fake {
  readonly view = new RevocationView(systemClock, systemTicks)
  readonly streams: StreamRequest[] = []
  readonly tokens: URLSearchParams[] = []
  readonly polls: string[] = []
  life = 300
  seq = 0
  poll: () => Promise<string> = () => Promise.reject(new Error('no polls'))
  readonly scripts: Script[]
  readonly follower: FeedFollower

  constructor(...scripts: Script[]) {
    this.scripts = scripts
    this.follower = new FeedFollower({
      issuer: ISSUER,
      client: { clientId: 'server', sign: async (claims) => JSON.stringify(claims) },
      door: (request) => this.#answer(request),
      streams: async (request) => {
        this.streams.push(request)
        const script = this.scripts[Math.min(this.streams.length, this.scripts.length) - 1]
        if (script === undefined) throw new Error('no stream')
        return bytesOf(script(request), request.signal)
      },
      clock: systemClock,
      ticks: systemTicks,
      view: this.view,
      applied: () => undefined,
    })
    running.add(this.follower)
  }

  #answer({ url, form }: JsonRequest): Promise<string> {
    if (form === undefined) {
      this.polls.push(url)
      return this.poll()
    }
    this.tokens.push(form)
    const token = { access_token: `token-${this.tokens.length}`, token_type: 'Bearer', expires_in: this.life }
    return Promise.resolve(JSON.stringify(token))
  }
}

const running = new Set<FeedFollower>()
afterEach(async () => {
  await Promise.all([...running].map((follower) => follower.close()))
  running.clear()
})

async function* bytesOf(texts: AsyncGenerator<string>, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const aborted = new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
  aborted.catch(() => undefined)
  for (;;) {
    const { value, done } = await Promise.race([texts.next(), aborted])
    if (done === true) return
    yield Buffer.from(value)
  }
}

const event = (name: string, data: object) => `id: x\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`
const snapshot = (seq = 1) => event('snapshot', { epoch: 'e', seq, salt: 's', cutoffs: [] })
const heartbeat = (seq = 1) => event('heartbeat', { epoch: 'e', seq, as_of: systemClock.nowMs() })

const healthy: Script = async function* () {
  yield snapshot()
  for (;;) {
    yield heartbeat()
    await sleep(100)
  }
}
const isFresh = (fake: Fake) => until(async () => fake.view.ageMs < 2_000)

describe('following', () => {
  test('asks for a token with a fresh assertion for the broker, and shows it', async () => {
    const fake = new Fake(healthy)
    await isFresh(fake)
    expect(Object.fromEntries(fake.tokens[0] ?? [])).toMatchObject({
      grant_type: 'client_credentials',
      resource: `${ISSUER}/api`,
      scope: 'revocations',
    })
    const assertion = JSON.parse(fake.tokens[0]?.get('client_assertion') ?? '')
    expect(assertion).toMatchObject({ iss: 'server', sub: 'server', aud: ISSUER, jti: expect.any(String) })
    expect(assertion.exp - assertion.iat).toBeLessThanOrEqual(60)
    expect(fake.streams[0]).toMatchObject({ url: `${ISSUER}/revocations` })
    expect(fake.streams[0]?.bearer.reveal()).toBe('token-1')
    expect([fake.follower.via, fake.follower.fault]).toEqual(['stream', undefined])
  })

  test('goes on where it was when a stream breaks, in the middle of an event or between two', async () => {
    const fake = new Fake(async function* () {
      yield snapshot(7)
      yield heartbeat(7).slice(0, 20)
      throw new Error('the connection is gone')
    }, healthyAt(7))
    await isFresh(fake)
    expect(fake.streams.map(({ lastEventId }) => lastEventId)).toEqual([undefined, 'e.7'])
    expect(fake.tokens).toHaveLength(1)
  })

  const broken: readonly (readonly [string, string])[] = [
    ['something was left out', event('cutoffs', { previous: 8, seq: 9, cutoffs: [] })],
    ['a heartbeat is of another place', heartbeat(9)],
    ['it is no JSON', 'event: cutoffs\ndata: {\n\n'],
    ['it is no event', '<html>\n\n'],
  ]
  test.each(broken)('begins anew when %s', async (_what, text) => {
    const fake = new Fake(async function* () {
      yield snapshot(7) + text
      await sleep(60_000)
    }, healthy)
    await isFresh(fake)
    expect(fake.streams.map(({ lastEventId }) => lastEventId)).toEqual([undefined, undefined])
  })

  test('a token that is refused is asked for again', async () => {
    const fake = new Fake(() => {
      throw new BrokerRefused(401)
    }, healthy)
    await isFresh(fake)
    expect(fake.streams.map(({ bearer }) => bearer.reveal())).toEqual(['token-1', 'token-2'])
  })

  test('a stream that has fallen silent is given up for another', async () => {
    const fake = new Fake(async function* () {
      yield snapshot()
      await sleep(60_000)
    }, healthy)
    const tookMs = await isFresh(fake)
    expect(tookMs).toBeGreaterThan(FEED_SILENCE_MS_MAX - 500)
    expect(fake.streams).toHaveLength(2)
  })

  test('the next token is there before the stream of the old one ends', async () => {
    const fake = new Fake(healthy)
    fake.life = 3
    await isFresh(fake)
    let oldest = 0
    await until(async () => {
      oldest = Math.max(oldest, fake.view.ageMs)
      return fake.streams.length >= 3
    })
    expect(oldest).toBeLessThan(2_000)
    expect(new Set(fake.streams.map(({ bearer }) => bearer.reveal())).size).toBe(fake.streams.length)
    // Resumed: nothing was asked for twice.
    expect(fake.streams[1]?.lastEventId).toBe('e.1')
  })

  test('is not driven to asking without a pause', async () => {
    const fake = new Fake(() => {
      throw new Error('away')
    })
    await Promise.all([sleep(2_000), until(async () => fake.streams.length > 2)])
    expect(fake.streams.length).toBeLessThan(20)
    expect(fake.follower.via).toBeUndefined()
    expect(fake.view.ageMs).toBe(Number.POSITIVE_INFINITY)
  })

  test('polls where streams open and say nothing, and goes on from what it was told', async () => {
    const fake = new Fake(() => {
      throw new Error('held back')
    })
    let seq = 1
    fake.poll = async () => {
      await sleep(20)
      seq += 1
      const place = seq === 2 ? { salt: 's' } : { previous: seq - 1 }
      return JSON.stringify({ epoch: 'e', seq, ...place, cutoffs: [], as_of: systemClock.nowMs() })
    }
    await isFresh(fake)
    await until(async () => fake.polls.length >= 3)
    expect(fake.follower.via).toBe('poll')
    expect(fake.polls.slice(0, 3).map((url) => new URL(url).search)).toEqual([
      '?wait_seconds=1',
      '?since=e.2&wait_seconds=1',
      '?since=e.3&wait_seconds=1',
    ])
  })

  test('ends when it is told to, whatever it is doing', async () => {
    const fake = new Fake(healthy)
    await isFresh(fake)
    await fake.follower.close()
    const count = fake.streams.length
    await sleep(300)
    expect(fake.streams).toHaveLength(count)
  })
})

function healthyAt(seq: number): Script {
  return async function* () {
    for (;;) {
      yield heartbeat(seq)
      await sleep(100)
    }
  }
}
