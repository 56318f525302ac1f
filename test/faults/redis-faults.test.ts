/**
 * What can befall a Redis, each by name (H61, H62, H64, H65), as an agent sees it at the broker's socket:
 *
 * - every request for a token is answered 503 `temporarily_unavailable` with `Retry-After` within half a second, or granted;
 * - readiness says so and stays as quick as ever, health does not change;
 * - nothing is minted on unknown state, nothing is left by halves, and nothing that was refused happens later;
 * - it ends by itself within two seconds of the store being itself again.
 *
 * | fault | test |
 * |---|---|
 * | down | `connection refused` below; at start: `down when the broker starts`; at any moment under load: `e2e/store-down` |
 * | slow | `slow`, `slow, but in time` |
 * | paused | `paused by SIGSTOP`, `paused by CLIENT PAUSE` |
 * | half-open | `half-open` |
 * | READONLY | `read-only` |
 * | OOM | `out of memory`; revoking meanwhile: `e2e/store-down` |
 * | restarted, scripts forgotten | `restarted` |
 * | flapping | `flapping` |
 * | in the middle of a request | `unknown-commits` |
 * | too many waiting | `contract/redis-outage` |
 * | SIGTERM with 200 in flight; with a client, a disk that hangs; twice | `drain`; `stop` |
 * | a full disk, a damaged file | `disk-full` |
 * | an event loop that is held up | `event-loop` |
 * | a disk that stands still | `disk-stalled` |
 * | a clock that is set | `clock-steps` |
 * | killed brokers | `kill-steps-*`; under load: `e2e/durability` |
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type BrokerProcess, type Fleet, startFleet, until } from '../support/broker-process.ts'
import { freePort } from '../support/free-port.ts'
import { whenReady } from '../support/patience.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { type StoreProxy, startStoreProxy } from '../support/store-proxy.ts'
import { type Answer, claimsOf, type Held, TYPE, WAREHOUSE, WIKI } from '../support/world.ts'

const ANSWER_MS_MAX = 500
const RECOVERY_MS_MAX = 2_000
/** How soon readiness tells. */
const NOTICE_MS_MAX = 1_500
/** Beyond what readiness takes without the fault: a busy machine makes both late. */
const READINESS_MS_MAX = 100
/** A fault lasts until its test ends it, and not until a clock does. */
const LONGER_THAN_ANY_TEST_MS = 600_000

let redis: RunningRedis
let proxy: StoreProxy
let control: Redis
let fleet: Fleet
let broker: BrokerProcess
let monitor: Socket | undefined

beforeAll(async () => {
  redis = await startRedis()
  proxy = await startStoreProxy(redis)
  control = new Redis(redis.url, { maxRetriesPerRequest: 0 })
  control.on('error', () => undefined)
  fleet = await startFleet(() => ({ store: { kind: 'redis', url: proxy.url } }))
  broker = await fleet.start()
})
afterAll(async () => {
  control?.disconnect()
  await fleet?.close()
  await proxy?.close()
  await redis?.stop()
})
beforeEach(async () => {
  await until(isReady)
})
/** Ended with its test, whatever became of that: else all tests after it would meet it, too. */
let under: Fault | undefined
const begin = async (fault: Fault) => {
  under = fault
  await fault.begin()
}
const end = async () => {
  const fault = under
  under = undefined
  await fault?.end()
}
afterEach(async () => {
  await end()
  await proxy.heal()
})

const isReady = async () => (await broker.request('/readyz')).status === 200

/** Every kind of token request. */
const tokenRequests = (held: Held): Readonly<Record<string, () => Promise<Answer>>> => ({
  open: () => broker.open(),
  'open for an access token': () => broker.open({ requested_token_type: TYPE.access, resource: WAREHOUSE }),
  continue: () => broker.continue(held.session),
  delegate: () => broker.delegate(held.session),
  accept: () => broker.accept(held.delegation),
  autonomous: () => broker.clientCredentials('orchestrator', { resource: WIKI }),
  'API token': () => broker.clientCredentials('orchestrator', { resource: `${fleet.issuer}/api` }),
})

async function timed(ask: () => Promise<Answer>): Promise<{ readonly answer: Answer; readonly ms: number }> {
  const begun = performance.now()
  return { answer: await ask(), ms: performance.now() - begun }
}

function expectLater(name: string, { answer, ms }: { readonly answer: Answer; readonly ms: number }): void {
  expect([name, answer.status, answer.body.error]).toEqual([name, 503, 'temporarily_unavailable'])
  expect(Number(answer.headers.get('retry-after')), name).toBeGreaterThan(0)
  expect(answer.body, name).not.toHaveProperty('access_token')
  expect(ms, name).toBeLessThan(ANSWER_MS_MAX)
}

/** During a pause Redis hears its monitors only: who is to end it must have been one before. */
async function startMonitor(): Promise<Socket> {
  const socket = connect(redis.port, '127.0.0.1')
  socket.write('MONITOR\r\n')
  await once(socket, 'data')
  return socket.resume()
}

interface Fault {
  readonly begin: () => Promise<unknown> | unknown
  readonly end: () => Promise<unknown> | unknown
}

const FAULTS: Readonly<Record<string, Fault>> = {
  'connection refused': { begin: () => proxy.refuse(), end: () => proxy.heal() },
  slow: { begin: () => proxy.delay(2_000), end: () => proxy.heal() },
  'paused by SIGSTOP': { begin: () => redis.pause(), end: () => redis.resume() },
  'paused by CLIENT PAUSE': {
    begin: async () => {
      monitor = await startMonitor()
      await control.call('CLIENT', 'PAUSE', String(LONGER_THAN_ANY_TEST_MS), 'ALL')
    },
    end: async () => {
      monitor?.end('CLIENT UNPAUSE\r\n')
      await control.ping()
    },
  },
  'half-open': { begin: () => proxy.swallow(), end: () => proxy.heal() },
  'read-only': {
    begin: async () => control.call('REPLICAOF', '127.0.0.1', String(await freePort())),
    end: () => control.call('REPLICAOF', 'NO', 'ONE'),
  },
  'out of memory': {
    begin: () => control.config('SET', 'maxmemory', '1'),
    end: () => control.config('SET', 'maxmemory', '0'),
  },
}

describe.each(Object.entries(FAULTS))('%s', (_name, fault) => {
  test('each token request that meets it is a 503 within 500 ms, and it ends by itself', async () => {
    const held = await broker.held()
    const slowest: number[] = []
    // Each kind alone: the first that meets a fault waits for it, those after it profit from knowing.
    for (const name of Object.keys(tokenRequests(held))) {
      await begin(fault)
      const first = await timed(tokenRequests(held)[name] as () => Promise<Answer>)
      const second = await timed(() => broker.continue(held.session))
      await end()
      expectLater(name, first)
      expectLater(`${name}, then continue`, second)
      slowest.push(first.ms)
      const readyMs = await until(isReady, RECOVERY_MS_MAX)
      expect(readyMs).toBeLessThan(RECOVERY_MS_MAX)
    }
    console.log(`slowest 503 after ${Math.max(...slowest).toFixed(0)} ms`)
    expect((await whenReady(() => broker.continue(held.session))).status).toBe(200)
    expect((await whenReady(() => broker.introspect(held.access))).body.active).toBe(true)
  })

  test('readiness tells, as quickly as ever; health and keys are as always; many at once pile nothing up', async () => {
    const held = await broker.held()
    const before = await readinessMs()
    await begin(fault)
    const noticed = await until(async () => !(await isReady()), NOTICE_MS_MAX)
    const during = await readinessMs(async () => expect((await broker.request('/readyz')).status).toBe(503))
    for (const path of ['/healthz', '/jwks', '/.well-known/oauth-authorization-server']) {
      expect([path, (await broker.request(path)).status]).toEqual([path, 200])
    }
    const flood = await Promise.all(
      Array.from({ length: 40 }, (_, n) => timed(() => (n % 2 === 0 ? broker.continue(held.session) : broker.open()))),
    )
    for (const one of flood) expectLater('one of many', one)
    await end()
    const recovered = await until(isReady, RECOVERY_MS_MAX)
    console.log({ noticed, before, during, recovered, flood: Math.max(...flood.map(({ ms }) => ms)) })
    expect(during).toBeLessThan(READINESS_MS_MAX + 2 * before)
    const fresh = await broker.opened()
    expect((await whenReady(() => broker.continue(fresh.session))).status).toBe(200)
  })
})

/** p99 of a hundred answers, in milliseconds. */
async function readinessMs(ask: () => Promise<unknown> = () => broker.request('/readyz')): Promise<number> {
  const all: number[] = []
  for (let n = 0; n < 100; n++) {
    const begun = performance.now()
    await ask()
    all.push(performance.now() - begun)
  }
  return all.sort((a, b) => a - b)[98] ?? 0
}

test('slow, but in time: 120 ms per answer, and every flow is granted', async () => {
  const held = await broker.held()
  proxy.delay(120)
  for (const [name, ask] of Object.entries(tokenRequests(held))) {
    // It leaves a tenth of a second to a machine that is late, too.
    const answer = await whenReady(ask)
    expect([name, answer.status], JSON.stringify(answer.body)).toEqual([name, 200])
  }
})

test('restarted without a trace of its scripts: the next request is served', async () => {
  const held = await broker.held()
  await control.script('FLUSH')
  for (const [name, ask] of Object.entries(tokenRequests(held))) {
    await control.script('FLUSH')
    const answer = await ask()
    expect([name, answer.status], JSON.stringify(answer.body)).toEqual([name, 200])
  }
})

test('flapping: whatever is answered is a grant or a 503, in time; what was granted is alive when it is over', async () => {
  const held = await broker.held()
  const granted: string[] = []
  let refused = 0
  let running = true
  const worker = async () => {
    while (running) {
      const { answer, ms } = await timed(() => broker.continue(held.session))
      expect(ms).toBeLessThan(ANSWER_MS_MAX)
      if (answer.status === 200) granted.push(answer.body.access_token)
      else {
        expectLater('flapping', { answer, ms })
        refused += 1
        await sleep(10)
      }
    }
  }
  const workers = Array.from({ length: 4 }, worker)
  for (const fault of ['refuse', 'swallow', 'refuse', 'delay', 'swallow'] as const) {
    await sleep(250)
    if (fault === 'delay') proxy.delay(1_000)
    else await proxy[fault]()
    await sleep(350)
    await proxy.heal()
    await until(isReady, RECOVERY_MS_MAX)
  }
  running = false
  await Promise.all(workers)
  expect(granted.length).toBeGreaterThan(0)
  expect(refused).toBeGreaterThan(0)
  for (const token of granted.slice(-20)) {
    expect((await whenReady(() => broker.introspect(token))).body.active).toBe(true)
  }
  const { sid } = claimsOf(held.session)
  const apiToken = await broker.apiToken()
  const { body } = await whenReady(() => broker.bearer(`/sessions/${sid}`, apiToken))
  // Every token is counted; a commit whose answer was lost may be counted without a token.
  expect(body.tokens).toBeGreaterThanOrEqual(granted.length)
})

test('down when the broker starts: it says so and ends; back within its patience, it starts', async () => {
  const port = await freePort()
  const own = await startFleet(() => ({ store: { kind: 'redis', url: `redis://127.0.0.1:${port}` } }))
  try {
    const starting = own.start()
    await sleep(500)
    const late = await startRedis({ port })
    const member = await starting
    expect((await whenReady(() => member.request('/readyz'))).status).toBe(200)
    await member.kill()
    await late.stop()
    await expect(own.start()).rejects.toThrow(/Redis was not ready/)
  } finally {
    await own.close()
  }
})
