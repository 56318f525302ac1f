/** What an agent could be given, as operators ask it: never another answer than an exchange would be given. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { kill, managementToken } from '../support/hops.ts'
import { expectRefused } from '../support/refusal.ts'
import { registryDocument, startWorld, WIKI, type World } from '../support/world.ts'

let world: World
let token: string
beforeAll(async () => {
  world = await startWorld()
  token = await managementToken(world)
})
afterAll(() => world.close())

const ask = (path: string, at = world, as = token) =>
  at.request(`/admin/v1${path}`, { headers: { authorization: `Bearer ${as}` } })

interface There {
  readonly server: string
  readonly tools: readonly { readonly tool: string; readonly constraints?: unknown }[]
  readonly refused: readonly { readonly tool: string; readonly layer: string; readonly says: string }[]
}
const server = (body: { readonly servers: readonly There[] }, id: string) =>
  body.servers.find((one) => one.server === id)
const names = (there: There | undefined) => there?.tools.map(({ tool }) => tool)

test('what it says of an agent’s own work is what the agent is then given, scope by scope', async () => {
  const { status, body } = await ask('/agents/orchestrator/reach')
  expect([status, body.on_behalf_of, body.stopped, body.external_policy]).toEqual([
    200,
    'agent:orchestrator',
    [],
    'none',
  ])
  const wiki = server(body, 'wiki')
  const answer = await world.clientCredentials('orchestrator', {
    resource: WIKI,
    authorization_details: JSON.stringify([
      { type: 'agent_intent', purpose: 'look', expires_in: 600 },
      {
        type: 'mcp_tools',
        locations: [WIKI],
        tools: Object.fromEntries((names(wiki) ?? []).map((tool) => [tool, {}])),
      },
    ]),
  })
  expect(answer.status, JSON.stringify(answer.body)).toBe(200)
  expect(Object.keys(answer.body.authorization_details[0].tools).sort()).toEqual([...(names(wiki) ?? [])].sort())
  expect(server(body, 'warehouse')?.refused).toContainEqual({
    tool: 'drop_table',
    layer: 'tool',
    says: 'not delegable to agents',
  })
})

test('servers that its manifest does not touch are counted; of the others each tool is given or refused', async () => {
  const { body } = await ask('/agents/scribe/reach')
  expect(body.servers.map((one: There) => one.server)).toEqual(['warehouse'])
  expect(body.servers_beyond_manifest).toBe(3)
  const there = server(body, 'warehouse')
  expect(names(there)).toEqual(['query'])
  expect(there?.refused.map(({ tool, layer }) => [tool, layer])).toEqual([
    ['list_tables', 'agent'],
    ['insert_rows', 'agent'],
    ['drop_table', 'tool'],
  ])
})

test('for a user it is what the grants leave, with their constraints and their end; without a grant it is nothing', async () => {
  const ends = new Date((world.now() + 3600) * 1000).toISOString()
  const other = await startWorld({
    issuer: world.idp,
    registry: {
      grants: [
        {
          id: 'until-soon',
          effect: 'allow',
          principals: [{ user: 'corp:alice' }],
          resources: [{ server: 'warehouse', category: 'read' }],
          constraints: { table: { enum: ['revenue'] } },
          when: { not_after: ends },
        },
        { id: 'no-list', effect: 'deny', principals: [{ group: 'finance' }], resources: [{ tool: 'list_tables' }] },
      ],
    },
  })
  try {
    const as = await managementToken(other)
    const { body } = await ask('/agents/researcher/reach?user=user:corp:alice', other, as)
    const there = server(body, 'warehouse')
    expect(body.on_behalf_of).toBe('user:corp:alice')
    expect(there?.tools).toEqual([{ tool: 'query', constraints: { table: { enum: ['revenue'] } } }])
    expect((there as unknown as { until: string }).until).toBe(ends.replace(/\.\d+Z/, 'Z'))
    expect(there?.refused).toContainEqual({
      tool: 'list_tables',
      layer: 'deny_grants',
      says: 'denied by grant no-list',
    })
    const bob = server((await ask('/agents/researcher/reach?user=user:corp:bob', other, as)).body, 'warehouse')
    expect([bob?.tools, bob?.refused[0]?.layer]).toEqual([[], 'user'])
  } finally {
    await other.close()
  }
})

test('what stands in the way whatever policy gives is said: a block, an overdue certification, no grant type', async () => {
  const document = registryDocument(world.idp) as { readonly agents: readonly Record<string, unknown>[] }
  const other = await startWorld({
    issuer: world.idp,
    registry: {
      agents: document.agents.map((agent) =>
        agent['client_id'] === 'scribe' ? { ...agent, grant_types: ['token-exchange'] } : agent,
      ),
    },
    settings: { suspendOverdue: true },
  })
  try {
    await kill(other, { dimension: 'agent', agent: 'scribe', block: true })
    const { body } = await ask('/agents/scribe/reach', other, await managementToken(other))
    expect(body.stopped.map(({ reason }: { readonly reason: string }) => reason)).toEqual([
      'principal_blocked',
      'certification_overdue',
      'grant_type_not_allowed',
    ])
  } finally {
    await other.close()
  }
})

test('nobody by that name, a service, a user nobody vouches for and a malformed user are refused', async () => {
  const refused = { status: 404, error: 'not_found', reason: 'not_found' } as const
  await expectRefused(world, () => ask('/agents/nobody/reach'), refused)
  await expectRefused(world, () => ask('/agents/warehouse-server/reach'), refused)
  await expectRefused(world, () => ask('/agents/scribe/reach?user=user:corp:eve'), refused)
  await expectRefused(world, () => ask('/agents/scribe/reach?user=alice'), {
    status: 400,
    error: 'invalid_request',
    reason: 'parameter_malformed',
  })
})

test('a URL as the name of an agent is written into the path as it is everywhere else', async () => {
  const url = 'https://agents.partner.example/report'
  const at = `~${Buffer.from(url).toString('base64url')}`
  const answer = await ask(`/agents/${at}/reach`)
  expect([answer.status, answer.body.error_description]).toEqual([404, 'there is no such agent'])
})
