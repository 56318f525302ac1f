/** A store that does not answer: standards.md §8, 9, and threats.md H61, H62. On a real Redis, killed and paused. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Secret } from '../../src/kernel/secret.ts'
import { STORE_DEADLINE_MS } from '../../src/kernel/store-limits.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { PATIENCE_MS, whenReady } from '../support/patience.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { expectRefused } from '../support/refusal.ts'
import {
  type Answer,
  type Held,
  type ManualClock,
  patient,
  startWorld,
  TYPE,
  WAREHOUSE,
  type World,
} from '../support/world.ts'

let idp: TestIssuer
let redis: RunningRedis
let world: World
beforeAll(async () => {
  idp = await startIssuer({ slug: 'corp' })
})
afterAll(() => idp.close())
beforeEach(async () => {
  // On disk at once: what was acknowledged is there after a restart.
  redis = await startRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] })
  world = await startWorld({ store: { kind: 'redis', url: new Secret(redis.url) }, realClock: true, issuer: idp })
})
afterEach(async () => {
  await world.close()
  await redis.stop()
})

/** Brings the server back where and with what it was. */
async function restart(): Promise<void> {
  const args = ['--appendonly', 'yes', '--appendfsync', 'always']
  redis = await startRedis({ port: redis.port, dir: redis.dir, args })
}

async function until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  const from = Date.now()
  while (!(await holds())) {
    if (Date.now() - from > PATIENCE_MS) throw new Error(`never: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
}

const ready = async () => (await world.request('/readyz')).status === 200

function expectLater(what: string, { status, headers, body }: Answer): void {
  expect([what, status, body?.error]).toEqual([what, 503, 'temporarily_unavailable'])
  expect(Number(headers.get('retry-after')), what).toBeGreaterThanOrEqual(1)
  expect(headers.get('cache-control'), what).toBe('no-store')
  expect(JSON.stringify(body), what).not.toMatch(/eyJ|redis|127\.0\.0\.1|ECONN/i)
}

interface HeldWithApi extends Held {
  readonly api: string
}

const hold = async (): Promise<HeldWithApi> => ({ ...(await world.held()), api: await world.apiToken() })

/** Every kind of request that needs the store. */
const requests = (held: HeldWithApi): Record<string, () => Promise<Answer>> => ({
  open: () => world.open(),
  'open for an access token': () => world.open({ requested_token_type: TYPE.access, resource: WAREHOUSE }),
  continue: () => world.continue(held.session),
  delegate: () => world.delegate(held.session),
  accept: () => world.accept(held.delegation),
  autonomous: () => world.clientCredentials('orchestrator', { resource: 'https://wiki.example/mcp' }),
  'API token': () => world.clientCredentials('orchestrator', { resource: `${world.issuer}/api` }),
  introspect: () => world.introspect(held.access),
  revoke: () => world.revoke(held.access),
  'list sessions': () => world.bearer('/sessions', held.api),
  'inspect a session': () => world.bearer(`/sessions/${held.sid}`, held.api),
  'end a session': () => world.bearer(`/sessions/${held.sid}`, world.userToken(), 'DELETE'),
})

/** What the store holds of sessions: how many, and how many nodes and leaves. */
async function footprint(held: HeldWithApi): Promise<unknown> {
  const operatorView = await world.broker.store.sessions.readAll(held.sid as never)
  const fields = [...(operatorView ?? [])].filter(([name]) => /^(state|nodes|[nlx]:)/.test(name))
  return { sessions: (await world.sessions()).length, fields: fields.sort() }
}

describe('9: the store does not answer', () => {
  test('RFC 6749 §5.2: nothing is issued, answered or claimed to be done while it is gone; it ends by itself', async () => {
    const held = await hold()
    await until('the session is listed', async () => (await world.sessions()).length === 1)
    const before = await footprint(held)
    await redis.kill()
    for (const [what, request] of Object.entries(requests(held))) expectLater(what, await request())
    const readiness = await world.request('/readyz')
    expect([readiness.status, readiness.body.status]).toEqual([503, 'not ready'])
    expect((await world.request('/healthz')).status, 'alive all the same').toBe(200)
    expect((await world.request('/jwks')).status).toBe(200)

    await restart()
    await until('ready again', ready)
    // One connection that comes back later than the others is looked at once more.
    const found = () => footprint(held).catch((error) => error)
    await expect.poll(found, { message: 'nothing half-written' }).toEqual(before)
    for (const [what, request] of Object.entries(requests(held))) {
      const answer = await whenReady(request)
      expect([what, answer.status], JSON.stringify(answer.body)).toEqual([what, 200])
    }
  })

  test('RFC 6749 §5.2: a bad request is not excused by it, nor answered with more than a retry', async () => {
    const held = await hold()
    await redis.kill()
    const wrong = await world.post('/token', { grant_type: 'password' })
    expect(wrong.body.error).toBe('unsupported_grant_type')
    const impostor = await world.continue(held.session, {
      client_assertion: world.assertion('orchestrator', { aud: 'x' }),
    })
    expect(impostor.body.error).toBe('invalid_client')
    // Known, but not recordable: what it may not have is not told without a record.
    expectLater('wrong scope', await world.continue(held.session, { scope: 'admin' }))
    expectLater('introspection of garbage', await world.introspect('not-a-token'))
  })

  test('RFC 6749 §5.2: a server that hangs costs every request its deadline, not more', async () => {
    const held = await hold()
    redis.pause()
    const all = Object.entries(requests(held))
    const from = Date.now()
    const answers = await Promise.all(all.map(([, request]) => request()))
    const took = Date.now() - from
    redis.resume()
    for (const [index, [what]] of all.entries()) expectLater(what, answers[index] as Answer)
    expect(took).toBeLessThan(STORE_DEADLINE_MS * 6)
    await until('ready again', ready)
    expect((await whenReady(() => world.continue(held.session))).status).toBe(200)
  })

  test('DESIGN §7: a broker whose clock is away from the store’s issues nothing, and recovers with its clock', async () => {
    const { directory: keysDirectory } = world.config.keys
    const own = await startWorld({ store: { kind: 'redis', url: new Secret(redis.url) }, issuer: idp, keysDirectory })
    const clock = own.clock as ManualClock
    const setRight = () => clock.advance((Date.now() - clock.nowMs()) / 1000)
    setRight()
    await until('fresh', () => own.broker.cutoffs.fresh)
    const { session } = await own.opened()
    const access = (await whenReady(() => own.continue(session))).body.access_token
    const stale = { status: 503, error: 'temporarily_unavailable', reason: 'cutoffs_stale' } as const
    for (const seconds of [5, -5]) {
      setRight()
      clock.advance(seconds)
      await until('noticed', () => !own.broker.cutoffs.fresh)
      await expectRefused(own, () => own.open(), stale)
      await expectRefused(own, () => own.continue(session), stale)
      await expectRefused(own, () => own.delegate(session), stale)
      await expectRefused(own, () => own.introspect(access), stale)
      await expectRefused(own, () => own.clientCredentials('orchestrator', { resource: `${own.issuer}/api` }), stale)
      expect((await own.request('/readyz')).status).toBe(503)
    }
    setRight()
    await until('fresh again', () => own.broker.cutoffs.fresh)
    expect((await whenReady(() => own.continue(session))).status).toBe(200)
    await own.close()
  })

  test('DESIGN §7: what was revoked before the outage is dead after it', async () => {
    const held = await hold()
    const again = patient(world)
    await again.bearer(`/sessions/${held.sid}`, world.userToken(), 'DELETE')
    await redis.kill()
    await restart()
    await until('ready again', ready)
    expect((await again.introspect(held.access)).body).toEqual({ active: false })
    expect((await again.continue(held.session)).body.error_reason).toBe('session_not_issuing')
    const fresh = world.idToken({ jti: 'another' })
    expect((await again.open({ subject_token: fresh })).body.error_reason).toBe('principal_blocked')
  })

  test('DESIGN §5: strangers refused during the outage are counted after it', async () => {
    await redis.kill()
    for (let index = 0; index < 3; index += 1) await world.post('/token', { grant_type: 'password' })
    await world.broker.flushAudit()
    await restart()
    await until('ready again', ready)
    const counted = async () => {
      await world.broker.flushAudit()
      return (await world.audit()).flatMap(({ strangers = [] }) => strangers)
    }
    await expect.poll(counted).toEqual([['grant_type_unsupported', 'unknown', 3]])
  })
})
