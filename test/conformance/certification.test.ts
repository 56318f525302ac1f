/** Reviews that are put off: what the report says of who has left and of dates that have passed, and what an overdue agent gets. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Finding } from '../../src/admin/reviews/finding.ts'
import { managementToken } from '../support/hops.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { expectRefused } from '../support/refusal.ts'
import { registryDocument, startWorld, WAREHOUSE, type World } from '../support/world.ts'

const DAY_S = 86_400
const OVERDUE = { status: 400, error: 'invalid_request', reason: 'certification_overdue' } as const

let idp: TestIssuer
let world: World
beforeAll(async () => {
  idp = await startIssuer({ slug: 'corp' })
})
afterAll(() => idp.close())
afterEach(() => world.close())

// biome-ignore lint/suspicious/noExplicitAny: documents of many shapes
type Document = any

const inDays = (days: number) => new Date(Date.now() + days * DAY_S * 1000).toISOString()

/** Certified for a year, but for those named. */
function agentsUntil(until: Readonly<Record<string, string | undefined>>): readonly Document[] {
  return (registryDocument(idp) as Document).agents.map((agent: Document) => {
    const certified = Object.hasOwn(until, agent.client_id) ? until[agent.client_id] : inDays(365)
    const alone = { ...agent, standing_intent: { purpose: 'Count rows', tools: { warehouse: { query: {} } } } }
    return certified === undefined ? alone : { ...alone, certified_until: certified }
  })
}

async function findings(kind: string, of = world): Promise<readonly Finding[]> {
  const { status, body } = await of.bearer('/admin/v1/review', await managementToken(of))
  expect(status, JSON.stringify(body)).toBe(200)
  return body.findings.filter((finding: Finding) => finding.kind === kind)
}

describe('with reviews.suspend_overdue', () => {
  const start = async (until: Readonly<Record<string, string | undefined>>) => {
    world = await startWorld({
      issuer: idp,
      settings: { suspendOverdue: true },
      registry: { agents: agentsUntil(until) },
    })
  }
  const alone = (client: string) => () => world.clientCredentials(client, { resource: WAREHOUSE })
  const api = (client: string) => () =>
    world.clientCredentials(client, { resource: `${world.issuer}/api`, scope: 'sessions' })

  test('an agent past its date is issued nothing, by any grant type; others are', async () => {
    await start({ scribe: inDays(-1), orchestrator: inDays(-1) })
    await expectRefused(world, () => world.open(), OVERDUE)
    await expectRefused(world, alone('scribe'), OVERDUE)
    await expectRefused(world, api('scribe'), OVERDUE)
    expect((await alone('researcher')()).status).toBe(200)
    expect((await api('researcher')()).status).toBe(200)
    expect((await findings('certification_overdue')).map(({ object }) => object)).toEqual([
      'agent:orchestrator',
      'agent:scribe',
    ])
  })

  test('no date is no certificate', async () => {
    await start({ scribe: undefined })
    await expectRefused(world, alone('scribe'), OVERDUE)
    expect(await findings('certification_missing')).toContainEqual({
      kind: 'certification_missing',
      severity: 'attention',
      object: 'agent:scribe',
      owner: 'alice@corp.example',
      says: 'nobody has certified it, and it is issued nothing',
    })
  })

  test('the moment the date of a delegator passes, its delegate is issued nothing from what it was given; it may still revoke', async () => {
    await start({ orchestrator: new Date(Date.now() + 300_000).toISOString() })
    const { session } = await world.opened()
    const accepted = (await world.accept((await world.delegate(session)).body.access_token)).body.access_token
    expect((await world.continue(accepted, {}, 'researcher')).status).toBe(200)
    await world.advance(301)
    await expectRefused(world, () => world.continue(accepted, {}, 'researcher'), OVERDUE)
    await expectRefused(world, () => world.continue(session), OVERDUE)
    expect((await alone('researcher')()).status).toBe(200)
    expect((await world.revoke(session)).status).toBe(200)
  })
})

test('without it the date is reported, and nobody is refused', async () => {
  world = await startWorld({
    issuer: idp,
    registry: { agents: agentsUntil({ orchestrator: inDays(-1), scribe: inDays(9) }) },
  })
  expect((await world.open()).status).toBe(200)
  const [overdue, ...more] = await findings('certification_overdue')
  expect(more).toEqual([])
  expect(overdue).toMatchObject({ severity: 'attention', object: 'agent:orchestrator' })
  expect((await findings('certification_due')).map(({ object }) => object)).toEqual(['agent:scribe'])
  const servers = (await findings('certification_missing')).map(({ object, severity }) => [object, severity])
  expect(servers).toContainEqual(['resource:warehouse', 'notice'])
})

test('a server whose tools are others than those that were classified needs attention', async () => {
  const { resources } = registryDocument(idp) as Document
  const pinned = resources.map((one: Document) =>
    one.id === 'wiki' ? { ...one, manifest_digest: 'A'.repeat(43) } : one,
  )
  world = await startWorld({ issuer: idp, registry: { resources: pinned } })
  const unclassified = await findings('tools_unclassified')
  expect(unclassified.map(({ object, severity }) => [object, severity])).toEqual([['resource:wiki', 'attention']])
})

test('what an owner leaves behind appears the moment they are deactivated', async () => {
  const document = registryDocument(idp) as Document
  const owned = {
    agents: document.agents.map((one: Document) => ({
      ...one,
      owner: one.client_id === 'scribe' ? 'user:corp:bob' : 'group:finance',
    })),
    resources: document.resources.map((one: Document) =>
      one.id === 'wiki' ? { ...one, owner: 'user:corp:bob' } : one,
    ),
  }
  world = await startWorld({ issuer: idp, registry: owned })
  expect(await findings('owner_left')).toEqual([])
  expect((await findings('owner_unverified')).map(({ object }) => object)).toEqual(['owner:data-team'])

  const users = document.users.map((user: Document) => (user.sub === 'bob' ? { ...user, active: false } : user))
  const later = await startWorld({ issuer: idp, registry: { ...owned, users } })
  expect((await findings('owner_left', later)).map(({ object, owner }) => [object, owner])).toEqual([
    ['agent:scribe', 'user:corp:bob'],
    ['resource:wiki', 'user:corp:bob'],
  ])
  await later.close()
})
