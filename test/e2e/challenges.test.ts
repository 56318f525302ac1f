/** What the policy refuses again and again, and what a draft of it would change (R152, R091). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { drawChallenges, drawDiff } from '../../src/cli/policy/diff-drawing.ts'
import { plainStyles } from '../../src/cli/terminal.ts'
import { managementToken } from '../support/hops.ts'
import { type Answer, INTENT, registryDocument, SLACK, startWorld, WAREHOUSE, type World } from '../support/world.ts'

const READ = [INTENT[0], { type: 'mcp_tools', locations: [WAREHOUSE], tools: { query: { table: { const: 'costs' } } } }]
const DROP = [INTENT[0], { type: 'mcp_tools', locations: [WAREHOUSE], tools: { drop_table: {} } }]
const POST = [INTENT[0], { type: 'mcp_tools', locations: [SLACK], tools: { post_message: {} } }]

const GRANTS = [
  {
    id: 'alice-reads',
    effect: 'allow',
    principals: [{ user: 'corp:alice' }],
    resources: [{ server: '*', category: 'read' }],
  },
  { id: 'no-slack', effect: 'deny', principals: [{ group: 'finance' }], resources: [{ server: 'slack' }] },
]

let world: World
let bearer: string
const ask = (sub: string, details: unknown): Promise<Answer> =>
  world.open({ subject_token: world.idToken({ sub }), authorization_details: JSON.stringify(details) })
const post = (path: string, body: unknown = {}) => world.bearer(`/admin/v1${path}`, bearer, 'POST', body)
const challenges = async () => (await world.bearer('/admin/v1/challenges', bearer)).body
// biome-ignore lint/suspicious/noExplicitAny: answers of many shapes
const about = (all: any, user: string, tool: string) =>
  // biome-ignore lint/suspicious/noExplicitAny: the same
  all.challenges.find((one: any) => one.on_behalf_of === `user:corp:${user}` && one.tools[0].tool === tool)

beforeAll(async () => {
  const document = await startWorld()
  const made = registryDocument(document.idp)
  await document.close()
  const resources = structuredClone(made['resources']) as { tools: Record<string, object> }[]
  Object.assign(resources[0]?.tools['drop_table'] ?? {}, { delegable: false })
  world = await startWorld({ registry: { grants: GRANTS, resources } })
  bearer = await managementToken(world)
  for (let n = 0; n < 3; n += 1) {
    await ask('bob', READ)
    await world.advance(1)
  }
  bearer = await managementToken(world)
  await ask('alice', READ)
  await ask('alice', DROP)
  await ask('alice', POST)
  await world.open({ subject_token: world.idToken({ sub: 'mallory' }) })
})
afterAll(() => world.close())

describe('challenges', () => {
  test('refusals that are alike are one challenge, under an id that stays', async () => {
    const first = await challenges()
    const bobs = about(first, 'bob', 'query')
    expect(bobs).toMatchObject({
      agent: 'orchestrator',
      reason: 'nothing_granted',
      tools: [{ resource: WAREHOUSE, tool: 'query' }],
      count: 3,
      state: 'open',
    })
    expect(bobs.challenge).toMatch(/^chl_[A-Za-z0-9_-]{22}$/)
    expect(bobs.examples).toHaveLength(3)
    expect(Date.parse(bobs.first_seen)).toBeLessThan(Date.parse(bobs.last_seen))
    // What was granted is none of them, nor what was refused before the policy was asked.
    expect(about(first, 'alice', 'query')).toBeUndefined()
    await ask('bob', READ)
    const again = about(await challenges(), 'bob', 'query')
    expect([again.challenge, again.count]).toEqual([bobs.challenge, 4])
    expect(drawChallenges(await challenges(), plainStyles)).toContain(
      'orchestrator for user:corp:bob, 4 times: nothing_granted',
    )
  })

  test('a preview says what to grant, with the arguments asked for; what it would turn; and who else could use it', async () => {
    const { challenge } = about(await challenges(), 'bob', 'query')
    const { status, body } = await post(`/challenges/${challenge}/preview`)
    expect(status, JSON.stringify(body)).toBe(200)
    expect(body).toMatchObject({
      approvable: true,
      grant: {
        kind: 'grant',
        user: 'corp:bob',
        tools: [{ server: 'warehouse', tool: 'query', constraints: { table: { const: 'costs' } } }],
      },
      why_not: [],
      also_allows: [
        { agent: 'researcher', tools: ['query at warehouse'] },
        { agent: 'scribe', tools: ['query at warehouse'] },
      ],
    })
    expect(body.turns).toHaveLength(body.looked_at)
    expect(body.turns.length).toBeGreaterThanOrEqual(3)
  })

  test.each([
    ['drop_table', 'not delegable to agents, whatever the user may do'],
    ['post_message', 'approvers grant nothing that a deny forbids'],
  ])('what no approver may grant is said to be so: %s', async (tool, why) => {
    const { challenge } = about(await challenges(), 'alice', tool)
    const { body } = await post(`/challenges/${challenge}/preview`)
    expect(body).toMatchObject({ approvable: false, turns: [], also_allows: [] })
    expect(body.why_not.join()).toContain(why)
    expect(body).not.toHaveProperty('grant')
  })

  test('what nobody was refused is no challenge', async () => {
    for (const id of ['chl_AAAAAAAAAAAAAAAAAAAAAA', '*', 'dec_1']) {
      expect((await post(`/challenges/${encodeURIComponent(id)}/preview`)).body.error_reason).toBe('not_found')
    }
  })
})

describe('a draft', () => {
  const draft = (grants: unknown, more: Record<string, unknown> = {}) => ({
    files: [{ name: 'draft.yaml', document: { ...registryDocument(world.idp), grants, ...more } }],
  })

  test('that is the policy changes nothing', async () => {
    const own = { resources: ownResources() }
    const { status, body } = await post('/policy/diff', draft(GRANTS, own))
    expect(status, JSON.stringify(body)).toBe(200)
    expect(body).toMatchObject({ changed: [], not_comparable: 0, more: false })
    expect(body.compared).toBeGreaterThanOrEqual(6)
    expect(drawDiff(body, plainStyles)).toMatch(/^nothing would change\n\d+ decisions compared\n$/)
  })

  test('is put to every past decision: what it would refuse, allow, or give less of, in groups', async () => {
    const narrower = [
      { ...GRANTS[0], constraints: { table: { const: 'costs' }, limit: { maximum: 5 } } },
      GRANTS[1],
      { id: 'bob-reads', effect: 'allow', principals: [{ user: 'corp:bob' }], resources: [{ server: 'warehouse' }] },
    ]
    const { body } = await post('/policy/diff', draft(narrower, { resources: ownResources() }))
    const turns = body.changed.map(({ turn, subject }: { turn: string; subject: string }) => `${turn} ${subject}`)
    expect(turns).toEqual(['granted user:corp:bob', 'refused user:corp:alice'])
    expect(body.changed[0]).toMatchObject({ agent: 'orchestrator', count: expect.any(Number) })
    const drawn = drawDiff(body, plainStyles)
    expect(drawn).toMatch(/\+ \d requests of orchestrator for user:corp:bob would be allowed/)
    expect(drawn).toMatch(/- 1 request of orchestrator for user:corp:alice would be refused/)
  })

  test('without the agent refuses what it was given', async () => {
    const { body } = await post('/policy/diff', draft([], { agents: [] }))
    expect(body.changed).toMatchObject([{ turn: 'refused', says: 'agent orchestrator is not registered', count: 1 }])
  })

  test('can be put to the newest decisions, or to those since a time, and says what was left out', async () => {
    const few = (await post('/policy/diff', { ...draft(GRANTS), limit: 2 })).body
    expect(few).toMatchObject({ compared: 2, more: true })
    const since = new Date(world.clock.nowMs() + 3600_000).toISOString()
    expect((await post('/policy/diff', { ...draft(GRANTS), since })).body).toMatchObject({ compared: 0, more: false })
  })

  test('is put beside what was written over the admin API, which stays when files are published', async () => {
    const rule = { effect: 'deny', principals: [{ user: 'corp:alice' }], resources: [{ server: 'warehouse' }] }
    const headers = { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' }
    const path = '/admin/v1/grants/over-the-api'
    const body = JSON.stringify({ id: 'over-the-api', ...rule, reason: 'freeze' })
    expect((await world.request(path, { method: 'PUT', headers, body })).status).toBe(201)
    try {
      const { changed } = (await post('/policy/diff', draft(GRANTS, { resources: ownResources() }))).body
      expect(changed).toMatchObject([{ turn: 'refused', subject: 'user:corp:alice' }])
    } finally {
      await world.request(path, { method: 'DELETE', headers: { ...headers, 'if-match': '*' } })
    }
  })

  test('a filter that is not known is refused: it would filter nothing, and look as if it had', async () => {
    const { status, body } = await world.bearer('/admin/v1/challenges?agent=analyst', bearer)
    expect([status, body.error_reason]).toEqual([400, 'parameter_malformed'])
  })

  test('that is no policy is refused with its problems, and one needs the permission', async () => {
    const wrong = await post('/policy/diff', { files: [{ name: 'draft.yaml', document: { grants: [{}] } }] })
    expect([wrong.status, wrong.body.error_reason]).toEqual([400, 'policy_invalid'])
    expect(wrong.body.missing.join()).toContain('draft.yaml: grants[0]')
  })
})

function ownResources() {
  const resources = structuredClone(registryDocument(world.idp)['resources']) as { tools: Record<string, object> }[]
  Object.assign(resources[0]?.tools['drop_table'] ?? {}, { delegable: false })
  return resources
}
