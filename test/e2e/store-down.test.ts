/**
 * The store goes away under a running broker: every answer is a bounded 503 with `Retry-After`, readiness says so, nothing is
 * half-written, and when the store is back so is the broker, without a restart and with everything it had.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { CLOCK_SKEW_S } from '../../src/kernel/limits.ts'
import { FIELD } from '../../src/sessions/session-record.ts'
import { openStore } from '../../src/store/open-store.ts'
import { type BrokerProcess, type Fleet, startFleet, until } from '../support/broker-process.ts'
import { PATIENCE_MS, whenAvailable, whenReady } from '../support/patience.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { type Answer, claimsOf, patient } from '../support/world.ts'

/** A revoke meets the store a few times in a row, each time with its own deadline; token requests: `faults/redis-faults`. */
const ANSWER_MS_MAX = 5_000
const DURABLE = ['--appendonly', 'yes', '--appendfsync', 'always']

let dir: string
let redis: RunningRedis
let fleet: Fleet
let broker: BrokerProcess

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'errand-store-down-'))
  redis = await startRedis({ dir, args: DURABLE })
  fleet = await startFleet(() => ({ store: { kind: 'redis', url: redis.url } }))
  broker = await fleet.start()
})
afterEach(async () => {
  await fleet?.close()
  await redis?.stop()
  rmSync(dir, { recursive: true, force: true })
})

async function sessionWithToken(): Promise<{ session: string; token: string }> {
  const { session } = await broker.opened()
  const continued = await whenReady(() => broker.continue(session))
  expect(continued.status, JSON.stringify(continued.body)).toBe(200)
  return { session, token: continued.body.access_token }
}

/** Every kind of request that needs the store. */
function everything(session: string, token: string, apiToken: string): Readonly<Record<string, () => Promise<Answer>>> {
  const sid = claimsOf(session)['sid']
  return {
    open: () => broker.open(),
    continue: () => broker.continue(session),
    delegate: () => broker.delegate(session),
    'client_credentials for the API': () =>
      broker.clientCredentials('orchestrator', { resource: `${fleet.issuer}/api` }),
    introspect: () => broker.introspect(token),
    revoke: () => broker.revoke(token),
    'list sessions': () => broker.bearer('/sessions', apiToken),
    'inspect a session': () => broker.bearer(`/sessions/${sid}`, apiToken),
    'close a session': () => broker.bearer(`/sessions/${sid}`, apiToken, 'DELETE'),
    'close a session as its user': () => broker.bearer(`/sessions/${sid}`, broker.userToken(), 'DELETE'),
  }
}

async function timed(ask: () => Promise<Answer>): Promise<{ readonly answer: Answer; readonly ms: number }> {
  const begun = performance.now()
  return { answer: await ask(), ms: performance.now() - begun }
}

async function expectAllRefused(requests: Readonly<Record<string, () => Promise<Answer>>>): Promise<void> {
  let slowest = 0
  for (const [name, ask] of Object.entries(requests)) {
    const { answer, ms } = await timed(ask)
    slowest = Math.max(slowest, ms)
    expect([name, answer.status, answer.body.error]).toEqual([name, 503, 'temporarily_unavailable'])
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
    expect([name, ms < ANSWER_MS_MAX]).toEqual([name, true])
    expect(answer.body).not.toHaveProperty('access_token')
    // The operator's log says what failed; the caller learns no host, port or command.
    expect(JSON.stringify(answer.body)).not.toMatch(/127\.0\.0\.1|ECONN|EVALSHA|ioredis/i)
  }
  console.log(`slowest refusal ${slowest.toFixed(0)} ms`)
}

async function expectOnlyAlive(): Promise<void> {
  const ready = await broker.request('/readyz')
  expect([ready.status, ready.body.status]).toEqual([503, 'not ready'])
  for (const path of ['/healthz', '/jwks', '/.well-known/oauth-authorization-server']) {
    expect([path, (await broker.request(path)).status]).toEqual([path, 200])
  }
}

const isReady = async () => (await broker.request('/readyz')).status === 200

test('redis killed: 503 everywhere, and after its restart everything is as it was', async () => {
  const { session, token } = await sessionWithToken()
  const other = await sessionWithToken()
  const apiToken = await broker.apiToken()
  const spent = { ...broker.authentication('warehouse-server'), token }
  expect((await broker.post('/introspect', spent)).body.active).toBe(true)
  expect((await whenReady(() => broker.revoke(other.session))).status).toBe(200)

  await redis.kill()
  await until(async () => !(await isReady()))
  await expectOnlyAlive()
  await expectAllRefused(everything(session, token, apiToken))
  // Bad credentials need no store to be refused.
  const stranger = await broker.post('/token', {
    grant_type: 'client_credentials',
    ...broker.authentication('stranger'),
  })
  expect([stranger.status, stranger.body.error]).toEqual([401, 'invalid_client'])

  redis = await startRedis({ dir, port: redis.port, args: DURABLE })
  const ms = await until(isReady)
  console.log(`ready ${ms.toFixed(0)} ms after the store`)
  const again = patient(broker)
  expect((await again.continue(session)).status).toBe(200)
  expect((await again.introspect(token)).body.active).toBe(true)
  expect((await again.introspect(other.token)).body).toEqual({ active: false })
  expect((await again.continue(other.session)).status).toBe(400)
  expect((await whenReady(() => broker.post('/introspect', spent))).status).toBe(401)
  for (const [name, ask] of Object.entries(everything(session, token, apiToken))) {
    const { status, body } = await whenReady(ask)
    // Closing twice: the second finds it closed, and says what it is.
    expect([name, status, status === 200 ? '' : JSON.stringify(body)]).toEqual([name, 200, ''])
  }
})

test('redis paused: bounded 503s although its sockets stay open, also for many at once, and recovery', async () => {
  const { session, token } = await sessionWithToken()
  const apiToken = await broker.apiToken()
  redis.pause()
  await expectAllRefused(everything(session, token, apiToken))
  await expectOnlyAlive()
  const flood = await Promise.all(Array.from({ length: 60 }, () => timed(() => broker.continue(session))))
  for (const { answer, ms } of flood) {
    expect(answer.status, JSON.stringify(answer.body)).toBe(503)
    expect(ms).toBeLessThan(ANSWER_MS_MAX)
  }
  redis.resume()
  await until(isReady)
  // What was asked of it meanwhile may still have reached it; what was refused was never handed out. It goes on either way.
  const reopened = await broker.opened()
  const continued = await whenReady(() => broker.continue(reopened.session))
  expect(continued.status, JSON.stringify(continued.body)).toBe(200)
  expect((await whenReady(() => broker.introspect(continued.body.access_token))).body.active).toBe(true)
})

test('redis killed under load, three times: what was answered holds, and nothing is half-written', async () => {
  const tokens: string[] = []
  const revoked: string[] = []
  /** Killed by their cut-off; the answer said that their own record could not be marked. */
  const unmarked = new Set<unknown>()
  const sessions: string[] = []
  let running = true
  let refusals = 0
  const seen = (answer: Answer): string | undefined => {
    if (answer.status === 200) return answer.body.access_token ?? ''
    expect([503, 400]).toContain(answer.status)
    refusals += 1
    return undefined
  }
  const worker = async () => {
    while (running) {
      const session = seen(await broker.open())
      if (session === undefined) {
        await sleep(20)
        continue
      }
      sessions.push(session)
      for (let turn = 0; turn < 3; turn += 1) {
        const token = seen(await broker.continue(session))
        if (token !== undefined) tokens.push(token)
      }
      if (sessions.length % 2 !== 0) continue
      const answer = await broker.revoke(session)
      if (seen(answer) === undefined) continue
      revoked.push(session)
      for (const sid of answer.body.revoked?.unreached ?? []) unmarked.add(sid)
    }
  }
  const workers = Array.from({ length: 6 }, worker)
  for (let kill = 0; kill < 3; kill += 1) {
    const before = tokens.length
    await until(async () => tokens.length > before + 40)
    await redis.kill()
    await sleep(300)
    redis = await startRedis({ dir, port: redis.port, args: DURABLE })
    await until(isReady)
  }
  running = false
  await Promise.all(workers)
  expect(refusals).toBeGreaterThan(3)
  expect(revoked.length).toBeGreaterThan(0)

  const store = await openStore({ kind: 'redis', url: redis.url, org: 'default' })
  try {
    const records = (await whenAvailable(() => store.audit.latest(50_000))).map((entry) => JSON.parse(entry.record))
    const jtis = new Set(records.map((record) => record.jti))
    for (const token of [...tokens, ...sessions]) expect(jtis).toContain(claimsOf(token)['jti'])
    const all = await whenAvailable(() => store.indexes.list('sessions:all', Date.now(), 10_000))
    expect(all.length).toBeGreaterThanOrEqual(sessions.length - refusals)
    for (const session of sessions) {
      const { sid, anc } = claimsOf(session) as { sid: string; anc: string[] }
      const record = await whenAvailable(() => store.sessions.readAll(sid as never))
      const [root = ''] = anc
      // One commit, one leaf, one record, whatever the caller was told: never one without the other.
      const leaves = Number(record?.get(FIELD.leaves(root)) ?? 0)
      const recorded = records.filter((one) => one.session === sid && one.event === 'token.continue')
      expect(recorded.filter((one) => one.outcome === 'granted')).toHaveLength(leaves)
      expect(leaves).toBeGreaterThanOrEqual(tokens.filter((token) => claimsOf(token)['sid'] === sid).length)
      if (revoked.includes(session) && !unmarked.has(sid)) expect(record?.get('state')).toBe('closed')
    }
  } finally {
    await store.close()
  }
  const dead = new Set(revoked.map((session) => claimsOf(session)['sid']))
  for (const token of tokens) {
    if (!dead.has(claimsOf(token)['sid'])) continue
    expect((await whenReady(() => broker.introspect(token))).body).toEqual({ active: false })
  }
})

test('redis back without its data: nothing comes back to life, and new work begins', async () => {
  const cut = await sessionWithToken()
  const lived = await sessionWithToken()
  const order = { dimension: 'session_access', session: claimsOf(cut.session)['sid'] }
  const killed = await patient(broker).bearer('/admin/v1/revocations', await fleet.managementToken(), 'POST', order)
  expect(killed.status).toBe(200)
  await redis.kill()
  rmSync(dir, { recursive: true, force: true })
  mkdirSync(dir)
  redis = await startRedis({ dir, port: redis.port, args: DURABLE })
  await until(isReady)
  // Nobody knows which assertions were used before: until none of then is good any more, none is taken.
  const again = patient(broker)
  expect((await again.introspect(lived.token)).body).toMatchObject({ error: 'invalid_client' })
  await until(async () => (await broker.introspect(lived.token)).status === 200, CLOCK_SKEW_S * 1000 + PATIENCE_MS, 200)
  // The store is an allow-list: an absent session is a dead one.
  for (const { session, token } of [cut, lived]) {
    expect((await again.introspect(token)).body).toEqual({ active: false })
    expect((await again.continue(session)).status).toBe(400)
  }
  const fresh = await sessionWithToken()
  expect((await again.introspect(fresh.token)).body.active).toBe(true)
  // The sequence goes on where this broker had it: a new cut-off is later than every token it ever minted.
  expect(claimsOf(fresh.token)['rv']).toBeGreaterThanOrEqual(killed.body.revoked.seq)
  const anew = { dimension: 'session_access', session: claimsOf(fresh.session)['sid'] }
  const { seq } = (await again.bearer('/admin/v1/revocations', await fleet.managementToken(), 'POST', anew)).body
    .revoked
  expect(seq).toBeGreaterThan(Number(claimsOf(fresh.token)['rv']))
  expect((await again.introspect(fresh.token)).body).toEqual({ active: false })
})

test('redis full: nothing is issued, and agents, users and operators still revoke', async () => {
  const [byAgent, byUser, byOperator] = [await sessionWithToken(), await sessionWithToken(), await sessionWithToken()]
  const sid = (session: string) => claimsOf(session)['sid']
  const client = new Redis(redis.url)
  await client.config('SET', 'maxmemory', '1')
  const named = [byAgent, byUser, byOperator].map(({ session }) => sid(session))
  const again = patient(broker)
  const revokes = [
    await again.revoke(byAgent.session),
    await again.bearer(`/sessions/${sid(byUser.session)}`, broker.userToken(), 'DELETE'),
    await again.bearer('/admin/v1/revocations', await fleet.managementToken(), 'POST', {
      dimension: 'session',
      session: sid(byOperator.session),
    }),
  ]
  for (const [at, revoke] of revokes.entries()) {
    expect(revoke.status, JSON.stringify(revoke.body)).toBe(200)
    expect(revoke.body.audit).toBe('deferred')
    expect(revoke.body.revoked.unreached).toContain(named[at])
  }
  expect((await broker.open()).status).toBe(503)
  expect((await broker.continue(byUser.session)).status).toBe(503)

  await client.config('SET', 'maxmemory', '0')
  client.disconnect()
  for (const { session, token } of [byAgent, byUser, byOperator]) {
    expect((await again.introspect(token)).body).toEqual({ active: false })
    expect((await again.continue(session)).status).toBe(400)
  }
  // Deferred is not dropped: the records follow as soon as there is room.
  await until(async () => (await revokesRecorded()) === revokes.length, PATIENCE_MS, 500)
})

async function revokesRecorded(): Promise<number> {
  const { body } = await patient(broker).bearer('/admin/v1/audit?limit=200', await fleet.managementToken())
  const events = ['token.revoke', 'session.revoke', 'control.write']
  const records = body.records as readonly { readonly event: string }[]
  return records.filter((record) => events.includes(record.event)).length
}
