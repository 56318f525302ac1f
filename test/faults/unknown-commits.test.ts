/**
 * A commit whose answer never comes (DESIGN §5): its token is not handed out, and as soon as the store answers again whatever
 * the commit wrote is dead and the log says how it ended. A real Redis behind a network that fails in the middle of a request,
 * after the token has been signed.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { parseHead } from '../../src/audit/log/head.ts'
import { FIELD } from '../../src/sessions/session-record.ts'
import { openStore } from '../../src/store/open-store.ts'
import type { Store } from '../../src/store/ports.ts'
import { type BrokerProcess, type Fleet, startFleet, until } from '../support/broker-process.ts'
import { whenAvailable, whenReady } from '../support/patience.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { type StoreProxy, startStoreProxy } from '../support/store-proxy.ts'
import { type Answer, claimsOf, type Held, TYPE, WAREHOUSE, WIKI } from '../support/world.ts'

const SETTLED_MS_MAX = 30_000
/** Only a record says so: the trap is sprung by the commit, after claims and signature. */
const COMMIT = '"outcome":"granted"'

let redis: RunningRedis
let proxy: StoreProxy
let fleet: Fleet
let broker: BrokerProcess
/** Past the proxy. */
let store: Store

beforeAll(async () => {
  redis = await startRedis()
  proxy = await startStoreProxy(redis)
  fleet = await startFleet(() => ({ store: { kind: 'redis', url: proxy.url } }))
  broker = await fleet.start()
  store = await openStore({ kind: 'redis', url: redis.url, org: 'default' })
})
afterAll(async () => {
  await store?.close()
  await fleet?.close()
  await proxy?.close()
  await redis?.stop()
})
afterEach(async () => {
  await proxy.heal()
  await until(isReady, SETTLED_MS_MAX)
})

const isReady = async () => (await broker.request('/readyz')).status === 200

const FLOWS: Readonly<Record<string, (held: Held) => Promise<Answer>>> = {
  open: () => broker.open(),
  'open for an access token': () => broker.open({ requested_token_type: TYPE.access, resource: WAREHOUSE }),
  autonomous: () => broker.clientCredentials('orchestrator', { resource: WIKI }),
  continue: ({ session }) => broker.continue(session),
  delegate: ({ session }) => broker.delegate(session),
  accept: ({ delegation }) => broker.accept(delegation),
}

/** For the next commit, not for what was granted before and is on its way into the log. */
async function trap(fate: Parameters<StoreProxy['at']>[1]): Promise<void> {
  await until(
    () =>
      whenAvailable(async () => (await store.audit.pending(parseHead(await store.log.head()).cursors, 1)).size === 0),
    SETTLED_MS_MAX,
    20,
  )
  proxy.at(COMMIT, fate)
}

// biome-ignore lint/suspicious/noExplicitAny: records of many shapes
type Record_ = any

const records = async (): Promise<readonly Record_[]> =>
  (await whenAvailable(() => store.audit.latest(500))).map(({ record }) => JSON.parse(record))

/** The newest record of this outcome. */
async function recordOf(known: ReadonlySet<string>, outcome: string): Promise<Record_> {
  let found: Record_
  await until(
    async () => {
      found = (await records()).find((record) => record.outcome === outcome && !known.has(record.id))
      return found !== undefined
    },
    SETTLED_MS_MAX,
    20,
  )
  return found
}

const knownIds = async (): Promise<ReadonlySet<string>> => new Set((await records()).map(({ id }) => id))

const isListed = async (sid: string): Promise<boolean> =>
  (await whenAvailable(() => store.indexes.list('sessions:all', Date.now(), 100))).includes(sid)

/** While the store is still away: how soon, is what `redis-faults` measures. */
async function expectRefused(ask: () => Promise<Answer>): Promise<void> {
  const { status, headers, body } = await ask()
  expect([status, body.error, body.access_token]).toEqual([503, 'temporarily_unavailable', undefined])
  expect(Number(headers.get('retry-after'))).toBeGreaterThan(0)
}

describe.each(Object.entries(FLOWS))('%s', (name, ask) => {
  test('performed, but never answered: what it wrote is dead once the store is back', async () => {
    const held = await broker.held()
    // Lists follow behind, and what waits to be listed is lost when the network fails.
    await until(() => isListed(held.sid), SETTLED_MS_MAX, 20)
    const known = await knownIds()
    await trap('unanswered')
    await expectRefused(() => ask(held))
    const { jti, session: sid } = await recordOf(known, 'granted')
    await proxy.heal()
    const undone = await recordOf(known, 'undone')
    expect(undone).toMatchObject({
      jti,
      session: sid,
      reason: 'store_unavailable',
      by: expect.stringMatching(/^agent:/),
    })

    const fields = await whenAvailable(() => store.sessions.readAll(sid))
    const dead = { continue: jti, delegate: jti, accept: claimsOf(held.delegation)['jti'] }[name]
    if (dead === undefined) expect(fields?.get('state')).toBe('revoked')
    else expect(fields?.has(FIELD.revoked(String(dead)))).toBe(true)
    const { entries } = await whenAvailable(() => store.control.snapshot())
    expect(entries).toContainEqual(
      expect.objectContaining({ dimension: dead === undefined ? 'session' : 'node', id: dead ?? sid }),
    )
    // In no list as if it had been granted.
    expect(await isListed(sid)).toBe(dead !== undefined)
    // Nothing else of the session is: it goes on.
    await until(isReady, SETTLED_MS_MAX)
    expect((await whenReady(() => broker.continue(held.session))).status).toBe(200)
    if (name !== 'accept') return
    expect((await whenReady(() => broker.accept(held.delegation))).body.error_reason).toBe('node_revoked')
  })

  test('lost on its way: it never happens later, and burns nothing', async () => {
    const held = await broker.held()
    const known = await knownIds()
    const before = await whenAvailable(() => store.sessions.readAll(held.sid))
    await trap('unsent')
    await expectRefused(() => ask(held))
    await proxy.heal()
    const refused = await recordOf(known, 'refused')
    expect(refused).toMatchObject({ reason: 'store_unavailable', jti: expect.any(String) })
    expect(await whenAvailable(() => store.sessions.readAll(held.sid))).toEqual(before)
    expect((await records()).filter(({ id, outcome }) => !known.has(id) && outcome === 'granted')).toEqual([])
    await until(isReady, SETTLED_MS_MAX)
    expect((await whenReady(() => ask(held))).status).toBe(200)
  })

  test('performed, and the connection lost with the answer: asked again on a new one, it is granted, once', async () => {
    const held = await broker.held()
    const known = await knownIds()
    await trap('cut')
    const { status, body } = await ask(held)
    // A slow machine may not have reconnected in time: then it is undone.
    expect([200, 503]).toContain(status)
    const end = status === 200 ? 'granted' : 'undone'
    const { jti } = await recordOf(known, end)
    const mine = (await records()).filter((record) => record.jti === jti && record.outcome === 'granted')
    expect(mine).toHaveLength(1)
    if (status === 200) expect(claimsOf(body.access_token)['jti']).toBe(jti)
  })
})

test('a hundred at once: each is settled, none is handed out, and the session lives on', async () => {
  const held = await broker.held()
  const known = await knownIds()
  await trap('unanswered')
  const answers = await Promise.all(Array.from({ length: 100 }, () => broker.continue(held.session)))
  const granted = answers.filter(({ status }) => status === 200)
  for (const { status } of answers) expect([200, 503]).toContain(status)
  await proxy.heal()
  await until(
    async () => {
      const mine = (await records()).filter(({ id, jti }) => !known.has(id) && jti !== undefined)
      const ended = new Map<string, Set<string>>()
      for (const { jti, outcome } of mine) ended.set(jti, (ended.get(jti) ?? new Set()).add(outcome))
      const out = new Set(granted.map(({ body }) => claimsOf(body.access_token)['jti']))
      // Granted and handed out, or granted and undone, or never performed.
      return [...ended].every(
        ([jti, all]) => out.has(jti) || all.has('undone') || (all.has('refused') && !all.has('granted')),
      )
    },
    SETTLED_MS_MAX,
    50,
  )
  await until(isReady, SETTLED_MS_MAX)
  expect((await whenReady(() => broker.continue(held.session))).status).toBe(200)
})

test('an API token whose record nobody knows of is not handed out, and the log says that it was not', async () => {
  const known = await knownIds()
  proxy.at('"event":"token.api"', 'unanswered')
  await expectRefused(() => broker.clientCredentials('orchestrator', { resource: `${fleet.issuer}/api` }))
  const { id, jti } = await recordOf(known, 'granted')
  await proxy.heal()
  await until(isReady, SETTLED_MS_MAX)
  // What waits is written on the way out, at the latest.
  expect(await broker.stop()).toBe(0)
  expect(await recordOf(known, 'unfinished')).toMatchObject({ id, jti, event: 'token.api' })
  broker = await fleet.start()
})
