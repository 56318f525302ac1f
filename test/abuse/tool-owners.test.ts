/** What a server's tools are, its owner says: whoever may change policy does not also decide what a tool is taken for (R015). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AdminEntry } from '../../src/model/admin-role.ts'
import { managementToken } from '../support/hops.ts'
import { expectRefused } from '../support/refusal.ts'
import { registryDocument, startWorld, type World } from '../support/world.ts'

const ADMINS: readonly AdminEntry[] = [
  { user: 'corp:alice', roles: ['policy_admin'] },
  { user: 'corp:bob', roles: ['policy_admin'] },
  { user: 'corp:carol', roles: ['viewer', 'approver'] },
  { user: 'corp:dora', roles: ['policy_admin', 'security'] },
]
const FORBIDDEN = { status: 403, error: 'insufficient_scope', reason: 'admin_forbidden' } as const

let world: World
beforeAll(async () => {
  const users = [
    { issuer: 'corp', sub: 'alice', groups: ['finance'] },
    { issuer: 'corp', sub: 'bob', groups: ['server-people'] },
    { issuer: 'corp', sub: 'carol', groups: ['server-people'] },
    { issuer: 'corp', sub: 'dora' },
  ]
  world = await startWorld({ config: { admins: ADMINS }, registry: { users } })
})
afterAll(() => world.close())

let tokens = 0
async function as(sub: string): Promise<string> {
  tokens += 1
  const token = world.idToken({ sub, aud: 'errand-admins', nonce: `${tokens}` })
  const headers = { 'content-type': 'application/json' }
  const answer = await world.request('/admin/v1/login', { method: 'POST', headers, body: JSON.stringify({ token }) })
  expect(answer.status, JSON.stringify(answer.body)).toBe(200)
  return answer.body.token
}

function ask(token: string, method: string, path: string, body?: unknown) {
  return world.request(`/admin/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', 'if-match': '*' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
}

const lab = (owner: string, more: object = {}) => ({
  id: 'lab',
  url: 'https://lab.example/mcp',
  owner,
  tools: { look: { category: 'read' }, wipe: { category: 'destructive', delegable: false } },
  ...more,
})
const WIDER = { tools: { look: { category: 'read' }, wipe: { category: 'read' } } }
const entry = async () => (await ask(await managementToken(world), 'GET', '/resources/lab')).body.entry

/** As an owner's of this kind, whatever there was. */
async function provisioned(owner: string): Promise<void> {
  const answer = await ask(await managementToken(world), 'PUT', '/resources/lab', lab(owner))
  expect(answer.status, JSON.stringify(answer.body)).toBeLessThan(300)
}
/** The first of it: nobody's yet. */
beforeAll(async () => {
  const token = await as('alice')
  const body = JSON.stringify(lab('user:corp:bob'))
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  const answer = await world.request('/admin/v1/resources/lab', { method: 'PUT', headers, body })
  expect(answer.status, JSON.stringify(answer.body)).toBe(201)
})

/** Ways to say it, each by somebody who may change policy. */
const WAYS: readonly (readonly [string, (token: string, owner: string) => ReturnType<typeof ask>])[] = [
  ['replaces its tools', (token, owner) => ask(token, 'PUT', '/resources/lab', lab(owner, WIDER))],
  [
    'pins another manifest',
    (token, owner) => ask(token, 'PUT', '/resources/lab', lab(owner, { manifest_digest: 'A'.repeat(43) })),
  ],
  ['makes it their own', (token) => ask(token, 'PUT', '/resources/lab', lab('user:corp:alice'))],
  ['makes it a team’s', (token) => ask(token, 'PUT', '/resources/lab', lab('anybody'))],
  ['takes it out, to put in another', (token) => ask(token, 'DELETE', '/resources/lab')],
  [
    'imports it with other tools',
    (token, owner) => ask(token, 'POST', '/registry', { document: { resources: [lab(owner, WIDER)] } }),
  ],
  ['imports all but it', (token) => ask(token, 'POST', '/registry', { document: {} })],
]

describe.each([
  ['a user', 'user:corp:bob'],
  ['a group', 'group:server-people'],
] as const)('of a server that %s owns', (_what, owner) => {
  test.each(
    WAYS,
  )('a policy admin who is not its owner %s: refused, on record, and nothing changes', async (_way, act) => {
    await provisioned(owner)
    const [token, before] = [await as('alice'), await entry()]
    const { record } = await expectRefused(world, () => act(token, owner), FORBIDDEN)
    expect(record).toMatchObject({
      by: 'user:corp:alice',
      missing: ['owner of resource lab, or permission security'],
    })
    expect(await entry()).toEqual(before)
  })

  test('its owner does, as far as they may change policy', async () => {
    await provisioned(owner)
    expect((await ask(await as('bob'), 'PUT', '/resources/lab', lab(owner, WIDER))).status).toBe(200)
    expect((await entry()).tools).toEqual(WIDER.tools)
    const token = await as('carol')
    await expectRefused(world, () => ask(token, 'PUT', '/resources/lab', lab(owner)), FORBIDDEN)
  })

  test('who has the permission for security may take it from them', async () => {
    await provisioned(owner)
    expect((await ask(await as('dora'), 'PUT', '/resources/lab', lab(owner, WIDER))).status).toBe(200)
  })

  test('what is not about its tools is policy, for every policy admin', async () => {
    await provisioned(owner)
    const token = await as('alice')
    expect(
      (await ask(token, 'PUT', '/resources/lab', lab(owner, { certified_until: '2030-01-01T00:00:00Z' }))).status,
    ).toBe(200)
    expect((await ask(token, 'POST', '/resources/lab/state', { state: 'suspended' })).status).toBe(200)
    expect((await ask(token, 'POST', '/resources/lab/state', { state: 'active' })).status).toBe(200)
  })
})

test('a team is a name that nobody can be asked for: there every policy admin may', async () => {
  await provisioned('team-lab')
  expect((await ask(await as('alice'), 'PUT', '/resources/lab', lab('team-lab', WIDER))).status).toBe(200)
})

test('files that are published over the API are no way round', async () => {
  const document = registryDocument(world.idp)
  const users = world.broker.publisher.published.documents.files[0]?.document as { users: unknown }
  const owned = (document['resources'] as { id: string; tools: object }[]).map((one) =>
    one.id === 'warehouse' ? { ...one, owner: 'user:corp:bob' } : one,
  )
  const files = (resources: unknown) => ({
    files: [{ name: 'world.yaml', document: { ...document, users: users.users, resources } }],
  })
  expect((await ask(await managementToken(world), 'POST', '/policy', files(owned))).status).toBe(200)
  const others = owned.map((one) => (one.id === 'warehouse' ? { ...one, tools: { query: { category: 'read' } } } : one))
  const token = await as('alice')
  await expectRefused(world, () => ask(token, 'POST', '/policy', files(others)), FORBIDDEN)
  expect((await ask(token, 'POST', '/policy', files(owned))).status).toBe(200)
})
