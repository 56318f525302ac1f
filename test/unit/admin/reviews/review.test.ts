/** The review: what it calls unused is unused, what it says would be enough is enough, and what it cannot know it does not say. */
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { newUsage, usageAt } from '../../../../src/admin/reviews/agent-usage.ts'
import type { Finding } from '../../../../src/admin/reviews/finding.ts'
import { unusedAuthority } from '../../../../src/admin/reviews/unused-authority.ts'
import { drawReview } from '../../../../src/cli/records/review-drawing.ts'
import { plainStyles } from '../../../../src/cli/terminal.ts'
import { selectorKey, ToolReach } from '../../../../src/policy/tool-reach.ts'
import { decodeRegistry } from '../../../../src/registry/load-registry.ts'
import { managementToken } from '../../../support/hops.ts'
import { startIssuer, type TestIssuer } from '../../../support/issuer.ts'
import { registryDocument, startWorld, type World } from '../../../support/world.ts'

const DAY_S = 86_400
/** The embedded store follows no longer step of the clock. */
const STEP_S = DAY_S - 60
let idp: TestIssuer
beforeAll(async () => {
  idp = await startIssuer({ slug: 'corp' })
})
afterAll(() => idp.close())

// biome-ignore lint/suspicious/noExplicitAny: documents of many shapes
type Document = any

describe('asked of a running broker', () => {
  let world: World
  beforeEach(async () => {
    world = await startWorld({ issuer: idp })
    await world.broker.flushUsage()
  })
  afterEach(() => world.close())

  async function ask(query = '') {
    await world.broker.flushUsage()
    const answer = await world.bearer(`/admin/v1/review${query}`, await managementToken(world))
    expect(answer.status, JSON.stringify(answer.body)).toBe(200)
    return answer.body as Document & { findings: readonly Finding[] }
  }
  const found = async (kind: string, query = '') =>
    (await ask(query)).findings.filter((finding: Finding) => finding.kind === kind)
  const objects = async (kind: string, query = '') => (await found(kind, query)).map(({ object }: Finding) => object)

  const twoDays = async (of = world) => {
    for (const step of [STEP_S, STEP_S]) await of.advance(step)
  }

  /** The orchestrator works, through the researcher too: `query` and `list_tables`, and no more. */
  async function work() {
    const { session } = await world.opened()
    const delegation = (await world.delegate(session)).body.access_token
    const accepted = (await world.accept(delegation)).body.access_token
    for (const answer of [await world.continue(session), await world.continue(accepted, {}, 'researcher')]) {
      expect(answer.status, JSON.stringify(answer.body)).toBe(200)
    }
  }

  test('nothing is called unused before it has been counted for as long as is asked about', async () => {
    const early = await ask()
    expect(early.findings.filter(({ kind }: Finding) => kind.endsWith('unused'))).toEqual([])
    await world.advance(STEP_S)
    expect(await objects('agent_unused', '?days=1')).toEqual([])
    await world.advance(61)
    expect(await objects('agent_unused')).toEqual([])
    expect((await objects('agent_unused', '?days=1')).toSorted()).toEqual([
      'agent:orchestrator',
      'agent:orchestrator-twin',
      'agent:researcher',
      'agent:scribe',
    ])
  })

  test('scopes granted and never used are listed, with when they last were, and the manifest that is enough', async () => {
    await work()
    await twoDays()
    const wiki = { resource: 'https://wiki.example/mcp', scope: 'mcp:tools:read' }
    expect((await world.clientCredentials('orchestrator', wiki)).status).toBe(200)

    const [finding] = (await found('authority_unused', '?days=1')).filter(
      ({ object }: Finding) => object === 'agent:orchestrator',
    )
    expect(finding.unused).toEqual([
      { server: 'calendar', scopes: ['mcp:tools:read'], tools: [{ tool: 'list_events' }, { tool: 'free_busy' }] },
      {
        server: 'slack',
        scopes: expect.arrayContaining(['mcp:tools:read', 'mcp:tools:write']),
        tools: expect.anything(),
      },
      {
        server: 'warehouse',
        scopes: expect.arrayContaining(['mcp:tools:read', 'mcp:tools:write']),
        tools: expect.arrayContaining([
          { tool: 'query', last_used: expect.stringMatching(/^20\d\d-\d\d-\d\dT/) },
          { tool: 'insert_rows' },
        ]),
      },
      { server: 'wiki', scopes: ['mcp:tools:write'], tools: [{ tool: 'edit_page' }] },
    ])
    expect(finding.narrowed_manifest).toEqual([
      { server: 'wiki', tool: 'search' },
      { server: 'wiki', tool: 'read_page' },
    ])
    expect(await objects('agent_unused', '?days=1')).toContain('agent:researcher')
    expect(await objects('user_unused', '?days=1')).toEqual(['user:corp:alice', 'user:corp:bob'])
  })

  test('what is passed on is used: the delegator’s manifest is not narrowed below what its delegate has used', async () => {
    const { session } = await world.opened()
    await twoDays()
    void session
    await work()
    const findings = await found('authority_unused', '?days=1')
    const of = (agent: string) => findings.find(({ object }: Finding) => object === `agent:${agent}`)
    expect(of('orchestrator').narrowed_manifest).toEqual([
      { server: 'warehouse', tool: 'query' },
      { server: 'warehouse', tool: 'list_tables' },
    ])
    expect(of('researcher').narrowed_manifest).toEqual([{ server: 'warehouse', tool: 'query' }])
  })

  test('a grant that no decision has needed, and a user whom no grant names, are good to know', async () => {
    const document = registryDocument(idp) as Document
    const more = await startWorld({
      issuer: idp,
      registry: {
        users: [...document.users, { issuer: 'corp', sub: 'carol', groups: ['marketing'] }],
        grants: [
          ...document.grants,
          { id: 'bob-too', effect: 'allow', principals: [{ user: 'corp:bob' }], resources: [{ server: 'wiki' }] },
          { id: 'no-drops', effect: 'deny', principals: [{ group: 'finance' }], resources: [{ tool: 'drop_table' }] },
        ],
      },
    })
    await more.broker.flushUsage()
    await twoDays(more)
    await more.held()
    await more.broker.flushUsage()
    const { body } = await more.bearer('/admin/v1/review?days=1', await managementToken(more))
    const of = (kind: string) =>
      body.findings.filter((one: Finding) => one.kind === kind).map((one: Finding) => one.object)
    expect(of('grant_unused')).toEqual(['grant:bob-too'])
    expect(of('user_without_grants')).toEqual(['user:corp:carol'])
    expect(of('user_unused')).toEqual(['user:corp:bob'])
    await more.close()
  })

  test('secrets and API keys that end within two weeks, or have ended, need attention', async () => {
    const at = (days: number) => new Date((world.now() + days * DAY_S) * 1000).toISOString()
    const secret = (id: string, days: number) => ({
      id,
      version: '1',
      sha256: 'A'.repeat(42) + id.slice(-1),
      issued_at: at(-20),
      expires_at: at(days),
    })
    const document = registryDocument(idp) as Document
    const agents = document.agents.map((agent: Document) => {
      const reach = { resources: ['warehouse'], scopes: ['mcp:tools:read'] }
      if (agent.client_id === 'scribe') return { ...agent, client_secrets: [secret('secret-E', 1)] }
      if (agent.client_id === 'researcher') return { ...agent, api_keys: [{ ...secret('key-E', 1), ...reach }] }
      if (agent.client_id !== 'orchestrator') return agent
      return { ...agent, client_secrets: [secret('old-E', 1), secret('new-I', 60)] }
    })
    const more = await startWorld({ issuer: idp, registry: { agents } })
    const review = async () => (await more.bearer('/admin/v1/review', await managementToken(more))).body
    const of = (body: Document, kind: string) =>
      body.findings.filter((one: Finding) => one.kind === kind).map((one: Finding) => one.object)
    expect(of(await review(), 'credential_expiring')).toEqual(['agent:researcher', 'agent:scribe'])
    await twoDays(more)
    const later = await review()
    expect(of(later, 'credential_expired')).toEqual(['agent:orchestrator', 'agent:researcher', 'agent:scribe'])
    expect(later.attention).toBe(3)
    await more.close()
  })

  test('days must be a whole number; a look is recorded', async () => {
    for (const days of ['0', '-1', 'x', '1.5', '1e9']) {
      const answer = await world.bearer(`/admin/v1/review?days=${days}`, await managementToken(world))
      expect([days, answer.body.error_reason]).toEqual([days, 'parameter_malformed'])
    }
    await ask()
    expect((await world.audit(1))[0]).toMatchObject({ event: 'admin.read', by: 'operator:ops', outcome: 'granted' })
  })

  test('in a terminal, the manifest to paste is YAML of the registry, within a hundred columns', async () => {
    await work()
    await twoDays()
    const wiki = { resource: 'https://wiki.example/mcp', scope: 'mcp:tools:read' }
    expect((await world.clientCredentials('orchestrator', wiki)).status).toBe(200)
    const text = drawReview(await ask('?days=1'), plainStyles)
    expect(text).toContain('Review of 4 agents, 4 servers, 3 users')
    expect(text).toContain('wiki: edit_page; nothing of mcp:tools:write')
    const lines = text.split('\n')
    const from = lines.findIndex((line) => line.includes('- client_id: orchestrator'))
    const pasted = parse(lines.slice(from, from + 4).join('\n'))
    expect(pasted).toEqual([
      {
        client_id: 'orchestrator',
        manifest: [
          { server: 'wiki', tool: 'search' },
          { server: 'wiki', tool: 'read_page' },
        ],
      },
    ])
    expect(lines.filter((line) => line.length > 100)).toEqual([])
  })
})

describe('the narrowed manifest', () => {
  const registry = () => decodeRegistry(registryDocument(idp), 'world.yaml', { issuer: 'http://localhost:4400' })
  const SERVERS = { warehouse: ['query', 'list_tables', 'insert_rows'], wiki: ['search', 'edit_page'] } as const
  const selectors = fc.oneof(
    fc.constantFrom({ server: '*' }, { server: 'warehouse' }, { category: 'read' as const }, { project: 'analytics' }),
    fc.constantFrom(
      { server: 'warehouse', category: 'write' as const },
      { server: 'wiki', tool: 'search' },
      { tool: '*' },
    ),
  )
  const constraints = fc.constantFrom(new Map(), new Map([['limit', { maximum: 5 }]]))
  const manifests = fc.array(fc.record({ selector: selectors, constraints }), { minLength: 1, maxLength: 4 })
  const uses = fc.array(
    fc.constantFrom(...Object.entries(SERVERS).flatMap(([server, tools]) => tools.map((tool) => ({ server, tool })))),
  )

  test('reaches all that was used, nothing that was not, under the same constraints; and narrowing twice is narrowing once', () => {
    const known = registry()
    const [agent] = known.agents
    if (agent === undefined) throw new Error('no agent')
    const reach = new ToolReach(known.resources)
    const from = 1_000_000
    fc.assert(
      fc.property(manifests, uses, (manifest, used) => {
        const usage = { ...newUsage(from - 10), manifest: new Map<string, number>() }
        for (const { selector } of manifest) usage.manifest.set(selectorKey(selector), from - 10)
        for (const { server, tool } of used) usageAt(usage, server)?.tools.record(tool, from + 1)
        const narrow = (entries: typeof manifest) => {
          const { narrowed } = unusedAuthority({ ...agent, manifest: entries as never }, usage, from, reach)
          return narrowed.map(({ constraints: given, ...selector }) => ({
            selector,
            constraints: new Map(Object.entries((given ?? {}) as object)),
          }))
        }
        const covered = (entries: readonly { selector: object; constraints: ReadonlyMap<string, unknown> }[]) =>
          new Set(
            entries.flatMap(({ selector, constraints: given }) =>
              reach
                .of(selector)
                .filter(({ tool }) => tool.delegable)
                .map(({ resource, tool }) => `${resource.id} ${tool.name} ${given.size}`),
            ),
          )
        const isUsed = (key: string) => used.some(({ server, tool }) => key.startsWith(`${server} ${tool} `))
        const narrowed = narrow(manifest)
        expect([...covered(narrowed)].toSorted()).toEqual([...covered(manifest)].filter(isUsed).toSorted())
        expect(covered(narrow(narrowed as typeof manifest))).toEqual(covered(narrowed))
      }),
    )
  })
})
