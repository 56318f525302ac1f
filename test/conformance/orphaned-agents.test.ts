/** Agents that nobody answers for any more: seen at once, issued nothing after a grace, by no way and by nobody on their behalf (R014). */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { Finding } from '../../src/admin/reviews/finding.ts'
import { OrphanWatch } from '../../src/admin/reviews/orphan-watch.ts'
import { until } from '../support/broker-process.ts'
import { managementToken } from '../support/hops.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { PATIENCE_MS } from '../support/patience.ts'
import { expectRefused } from '../support/refusal.ts'
import { registryDocument, startWorld, WAREHOUSE, type World } from '../support/world.ts'

const GRACE_S = 600
const ORPHANED = { status: 400, error: 'invalid_request', reason: 'agent_orphaned' } as const
const ERIN = { issuer: 'corp', sub: 'erin', groups: ['owners'] }

// biome-ignore lint/suspicious/noExplicitAny: documents of many shapes
type Document = any

let idp: TestIssuer
let world: World
beforeAll(async () => {
  idp = await startIssuer({ slug: 'corp' })
})
afterAll(() => idp.close())
afterEach(() => world.close())

/** The orchestrator is `owner`'s; everybody else is a team's. */
function document(owner: string, ...people: readonly object[]): Document {
  const made: Document = registryDocument(idp)
  const agents = made.agents.map((agent: Document) => ({
    ...agent,
    standing_intent: { purpose: 'Count rows', tools: { warehouse: { query: {} } } },
    ...(agent.client_id === 'orchestrator' ? { owner } : {}),
  }))
  return { ...made, agents, users: [...made.users, ...people] }
}

async function start(owner: string, orphanGraceSeconds = GRACE_S): Promise<void> {
  world = await startWorld({ issuer: idp, settings: { orphanGraceSeconds }, registry: document(owner, ERIN) })
}

async function finding(): Promise<Finding | undefined> {
  const { status, body } = await world.bearer('/admin/v1/review', await managementToken(world))
  expect(status, JSON.stringify(body)).toBe(200)
  return body.findings.find(({ kind }: Finding) => kind === 'owner_left')
}

async function publish(next: Document): Promise<void> {
  await world.broker.publisher.publishFiles([{ name: 'world.yaml', document: next }], { by: 'operator:test' })
}

/** Somebody has noticed. */
const eventually = (holds: () => Promise<boolean>) => until(holds, PATIENCE_MS, 20)
const isNoticed = async () => (await finding())?.says.includes('issued nothing') === true

test.each([
  ['the user who owns it is taken out', 'user:corp:erin', []],
  ['the user who owns it is not active any more', 'user:corp:erin', [{ ...ERIN, active: false }]],
  ['nobody is left in the group that owns it', 'group:owners', [{ ...ERIN, groups: [] }]],
] as const)('%s: within the grace it works, and the review says until when; then it is issued nothing', async (_how, owner, people) => {
  await start(owner)
  const alone = () => world.clientCredentials('orchestrator', { resource: WAREHOUSE })
  const api = () => world.clientCredentials('orchestrator', { resource: `${world.issuer}/api`, scope: 'sessions' })
  expect(await finding()).toBeUndefined()
  await publish(document(owner, ...people))
  await eventually(isNoticed)
  expect(await finding()).toMatchObject({ severity: 'attention', object: 'agent:orchestrator', owner })
  const { body: listed } = await world.bearer('/admin/v1/agents?orphaned=true', await managementToken(world))
  const [orphan, ...others]: Document[] = listed.objects
  expect([orphan.id, others]).toEqual(['orchestrator', []])
  const [since, until] = [Date.parse(orphan.orphaned_since), Date.parse(orphan.issued_nothing_from)]
  expect([until - since, Math.abs(since - world.clock.nowMs()) < 60_000]).toEqual([GRACE_S * 1000, true])
  await world.advance(GRACE_S - 60)
  const { session } = await world.opened()
  const accepted = (await world.accept((await world.delegate(session)).body.access_token)).body.access_token
  expect((await alone()).status).toBe(200)
  const token = (await world.continue(session)).body.access_token

  await world.advance(60)
  expect((await finding())?.says).toMatch(/; it is issued nothing since \S+Z$/)
  const { record } = await expectRefused(world, () => world.open(), ORPHANED)
  expect(record.missing).toEqual(['an owner of orchestrator who has not left'])
  await expectRefused(world, () => world.continue(session), ORPHANED)
  await expectRefused(world, () => world.delegate(session), ORPHANED)
  await expectRefused(world, () => world.continue(accepted, {}, 'researcher'), ORPHANED)
  await expectRefused(world, alone, ORPHANED)
  await expectRefused(world, api, ORPHANED)
  const reach = await world.bearer('/admin/v1/agents/orchestrator/reach', await managementToken(world))
  expect(JSON.stringify(reach.body)).toContain('agent_orphaned')
  // What is out ends by itself, and may be ended; what is others' own goes on.
  expect((await world.introspect(token)).body.active).toBe(true)
  expect((await world.revoke(session)).status).toBe(200)
  expect((await world.clientCredentials('researcher', { resource: WAREHOUSE })).status).toBe(200)
})

test('with the old owner back, or another one, it works again; the next to leave begins another grace', async () => {
  await start('user:corp:erin')
  for (const next of [document('user:corp:erin', ERIN), document('data-team')]) {
    await publish(document('user:corp:erin'))
    await eventually(isNoticed)
    expect((await world.open()).status).toBe(200)
    await world.advance(GRACE_S)
    await expectRefused(world, () => world.open(), ORPHANED)
    await publish(next)
    await eventually(async () => (await world.open()).status === 200)
  }
})

test('no grace is none', async () => {
  await start('user:corp:erin', 0)
  await publish(document('user:corp:erin'))
  await eventually(async () => (await world.open()).status === 400)
  await expectRefused(world, () => world.open(), ORPHANED)
})

test('since when is what the first has written: a broker that starts later, or whose store fails for a while, makes it no later', async () => {
  await start('user:corp:erin')
  await publish(document('user:corp:erin'))
  await eventually(isNoticed)
  const { documents } = world.broker.store
  const first = Object.values(JSON.parse((await documents.read('orphans')) ?? '{}'))[0]
  const registries = { current: world.broker.publisher.published.registry }
  const log = { warn: () => undefined }
  const later = { nowMs: () => world.clock.nowMs() + 3_600_000 }
  const restarted = new OrphanWatch({ documents, registries, clock: later, log })
  await restarted.look()
  expect(restarted.since('orchestrator')).toBe(first)
  expect(restarted.since('researcher')).toBeUndefined()

  const failing = { ...later, isDown: true }
  const read = (key: string) => (failing.isDown ? Promise.reject(new Error('away')) : documents.read(key))
  const store = { read, replace: documents.replace.bind(documents) } as typeof documents
  const unlucky = new OrphanWatch({ documents: store, registries, clock: later, log })
  await unlucky.look()
  expect(unlucky.since('orchestrator')).toBe(later.nowMs())
  failing.isDown = false
  await unlucky.look()
  expect(unlucky.since('orchestrator')).toBe(first)
})
