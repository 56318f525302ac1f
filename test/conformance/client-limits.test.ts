/** Limits after authentication on the wire: per client, per issuer, and issuance per agent and scope (R093). */
import { afterEach, expect, test } from 'vitest'
import type { RejectionReason } from '../../src/kernel/rejection.ts'
import { ask, EVALUATION, EVALUATIONS, evaluateToken, evaluatingServices } from '../support/authzen.ts'
import { details, granted, intent, tools } from '../support/hops.ts'
import { expectRefused, type Refusal } from '../support/refusal.ts'
import { HandTicks } from '../support/sources.ts'
import { registryDocument, startWorld, WAREHOUSE, type World, type WorldOptions } from '../support/world.ts'

const tooMany = (reason: RejectionReason): Refusal => ({ status: 429, error: 'temporarily_unavailable', reason })
const RATE = { perSecond: 0.25, burst: 3 }

let world: World
let ticks: HandTicks
async function start(options: WorldOptions): Promise<void> {
  ticks = new HandTicks()
  world = await startWorld({ ...options, ticks })
}
async function startLimited(issuance: readonly { scope: string; per_minute: number }[]): Promise<void> {
  await start({})
  await world.close()
  const agents = registryDocument(world.idp).agents as { client_id: string }[]
  const limited = agents.map((agent) => (agent.client_id === 'orchestrator' ? { ...agent, issuance } : agent))
  await start({ registry: { agents: limited } })
}
afterEach(() => world.close())

const api = (client = 'orchestrator') => world.clientCredentials(client, { resource: `${world.issuer}/api` })

test('a client over its limit is refused with 429 and its reason; another client, and its own revokes, are not', async () => {
  await start({ limits: { perClient: RATE } })
  const { session } = await world.opened()
  for (let request = 0; request < 2; request += 1) expect((await api()).status).toBe(200)
  const { answer, record } = await expectRefused(world, () => api(), tooMany('client_limited'))
  expect(answer.headers.get('retry-after')).toBe('4')
  expect(record.by).toBe('agent:orchestrator')
  expect((await api('researcher')).status).toBe(200)
  expect((await world.revoke(session)).status).toBe(200)
  ticks.advance(4_000)
  expect((await api()).status).toBe(200)
  expect((await api()).status).toBe(429)
})

test('being refused does not fill the log: one record, then counts under its name', async () => {
  await start({ limits: { perClient: RATE } })
  for (let request = 0; request < 3; request += 1) await api()
  const before = (await world.audit(1_000)).length
  for (let request = 0; request < 50; request += 1) {
    const { status, body } = await api()
    expect([status, body.error_reason]).toEqual([429, 'client_limited'])
  }
  await world.broker.flushAudit()
  const added = (await world.audit(1_000)).slice(0, -before)
  expect(added).toHaveLength(2)
  const counts = added.find(({ event }) => event === 'strangers.refused')
  expect(counts.strangers).toEqual([['client_limited', 'agent:orchestrator', 49]])
})

test('whoever replays a client’s assertion spends nothing of what the client has', async () => {
  await start({ limits: { perClient: RATE } })
  const params = {
    grant_type: 'client_credentials',
    resource: `${world.issuer}/api`,
    ...world.authentication('orchestrator'),
  }
  expect((await world.post('/token', params)).status).toBe(200)
  for (let replay = 0; replay < 20; replay += 1) expect((await world.post('/token', params)).status).toBe(401)
  expect((await api()).status).toBe(200)
  expect((await api()).status).toBe(200)
  expect((await api()).status).toBe(429)
})

test('an issuer over its limit holds its own users’ tokens only', async () => {
  await start({ limits: { perIssuer: RATE } })
  const { session } = await world.opened()
  await world.opened()
  await world.opened()
  await expectRefused(world, () => world.open(), tooMany('issuer_limited'))
  expect((await world.continue(session)).status).toBe(200)
})

test('issuance per agent and scope: the N+1st access token within a minute is refused, sessions and revokes are not', async () => {
  await startLimited([{ scope: 'mcp:tools:read', per_minute: 2 }])
  const { session } = await world.opened()
  for (let token = 0; token < 2; token += 1) expect((await world.continue(session)).status).toBe(200)
  const { answer, record } = await expectRefused(world, () => world.continue(session), tooMany('issuance_limited'))
  expect(answer.headers.get('retry-after')).toBe('60')
  expect([answer.body.decision_id, record.question]).toEqual([record.id, expect.any(String)])
  expect(record.layers).toBeDefined()
  expect(answer.body.missing).toEqual(['fewer than 2 tokens with mcp:tools:read within a minute'])
  const narrow = { authorization_details: details(intent(), tools(WAREHOUSE, { query: { table: {}, limit: {} } })) }
  await granted(world.open(narrow))
  await world.advance(60)
  expect((await world.continue(session)).status).toBe(200)
})

test('what is refused on its way has not been issued: it gives its place back', async () => {
  await startLimited([{ scope: 'mcp:tools:read', per_minute: 1 }])
  const { session } = await world.opened()
  const { sessions } = world.broker.store
  const commit = sessions.commit.bind(sessions)
  // The commit finds the session ended, as when it was revoked a moment ago.
  sessions.commit = async () => ({ committed: false, failed: 0 })
  expect((await world.continue(session)).status).toBe(400)
  sessions.commit = commit
  expect((await world.continue(session)).status).toBe(200)
  await expectRefused(world, () => world.continue(session), tooMany('issuance_limited'))
})

test('API tokens count like any other', async () => {
  await startLimited([{ scope: 'sessions', per_minute: 1 }])
  expect((await api()).status).toBe(200)
  await expectRefused(world, () => api(), tooMany('issuance_limited'))
  const other = { resource: `${world.issuer}/api`, scope: 'revocations' }
  expect((await world.clientCredentials('orchestrator', other)).status).toBe(200)
})

test('a service over its limit asks for no more decisions; its tokens, and other services, are counted apart', async () => {
  await start({})
  await world.close()
  const limited = { issuer: world.idp, registry: evaluatingServices(world.idp), limits: { perClient: RATE } }
  await start(limited)
  const token = await evaluateToken(world, 'warehouse-server')
  const other = await evaluateToken(world, 'slack-server')
  const question = {
    subject: { type: 'user', id: 'user:corp:alice' },
    action: { name: 'tools/call' },
    resource: { type: 'tool', id: 'list_tables' },
  }
  const asked = (path: string, as = token) => ask(world, as, path, question)
  for (const path of [EVALUATION, EVALUATIONS, EVALUATION]) expect((await asked(path)).status).toBe(200)
  const { answer, record } = await expectRefused(world, () => asked(EVALUATION), tooMany('client_limited'))
  expect(answer.headers.get('retry-after')).toBe('4')
  expect(record.by).toBe('service:warehouse-server')
  expect((await asked(EVALUATIONS)).status).toBe(429)
  expect((await asked(EVALUATION, other)).status).toBe(200)
  expect((await evaluateToken(world, 'warehouse-server')).length).toBeGreaterThan(0)
  ticks.advance(4_000)
  expect((await asked(EVALUATION)).status).toBe(200)
})
