/** Single changes: each makes what it says and nothing else, and says it in words an operator can act on. */
import { describe, expect, test } from 'vitest'
import type { Authority, ToolConstraints } from '../../../src/authority/authority.ts'
import { parseToolConstraints } from '../../../src/authority/constraints.ts'
import type { ResourceUrl } from '../../../src/kernel/ids.ts'
import type { Registry } from '../../../src/model/registry.ts'
import {
  type Case,
  type Change,
  type ChangedTool,
  describeChange,
  grantsOf,
  sayChange,
  withChange,
} from '../../../src/policy/policy-change.ts'
import { agent, authorityOf, FILES, NOTES, question, SLACK, WAREHOUSE, type Wanted, world } from './world.ts'

const registry = world((made) => {
  for (const one of [...made.resources, ...made.agents]) one.state = 'suspended'
  made.users[0].active = false
})

function toolAt(url: ResourceUrl, name: string, rest: Partial<ChangedTool> = {}): ChangedTool {
  const resource = registry.resource(url)
  const tool = resource?.tools.get(name)
  if (resource === undefined || tool === undefined) throw new Error(`no tool ${name}`)
  return { resource, tool, constraints: new Map(), container: undefined, ...rest }
}

const REVENUE = { table: { const: 'revenue' } }
const QUERY = toolAt(WAREHOUSE, 'query', { constraints: parseToolConstraints(REVENUE, 'query'), container: 'reports' })
const INSERT = toolAt(WAREHOUSE, 'insert')
const POST = toolAt(SLACK, 'post')

const ASKED: Wanted = { [WAREHOUSE]: { query: REVENUE, insert: {} }, [SLACK]: { post: {} }, [FILES]: { get: {} } }

function limited(wanted: Wanted): Authority {
  const authority = authorityOf(registry, wanted)
  const resources = [...authority.resources].map(
    ([url, there]) => [url, { ...there, limits: { maxCalls: 3 } }] as const,
  )
  return { ...authority, resources: new Map(resources) }
}

const start: Case = {
  registry,
  question: question(registry, ASKED, { asked: limited(ASKED), chain: [agent(registry, 'planner')] }),
}
const { asked } = start.question

/** What the question says after the change, beside what it says anyway. */
const changed = (change: Change, from: Case = start) => {
  const after = withChange(from, change)
  const { question: before } = from
  const differing = Object.entries(after.question).filter(([name, value]) => value !== Reflect.get(before, name))
  return { registry: after.registry, question: Object.fromEntries(differing) }
}

const toolsIn = (authority: Authority) =>
  Object.fromEntries([...authority.resources].map(([url, { tools }]) => [url, [...tools.keys()]]))

describe('a change of the question', () => {
  test('makes one agent of it active, whether it holds the authority or passed it on', () => {
    const states = (name: string) => {
      const { question: after } = withChange(start, { kind: 'activate_agent', agent: name })
      return [after.agent, ...after.chain].map(({ state }) => state)
    }
    expect(states('orchestrator')).toEqual(['active', 'suspended'])
    expect(states('planner')).toEqual(['suspended', 'active'])
  })

  test('makes its user active, and nobody where there is none', () => {
    const change: Change = { kind: 'activate_user', user: 'user:corp:alice' }
    const { user } = start.question
    expect(changed(change)).toEqual({ registry, question: { user: { ...user, active: true } } })
    const nobody = { registry, question: { ...start.question, user: undefined } }
    expect(withChange(nobody, change)).toEqual(nobody)
  })

  test('adds tools to the manifest of one agent, where and as they were asked for', () => {
    const after = changed({ kind: 'add_to_manifest', agent: 'planner', tools: [QUERY, POST] })
    const [planner] = start.question.chain
    const added = [
      { selector: { server: 'warehouse', tool: 'query', container: 'reports' }, constraints: QUERY.constraints },
      { selector: { server: 'slack', tool: 'post' }, constraints: new Map() },
    ]
    expect(Object.keys(after.question)).toEqual(['chain'])
    expect(after.question.chain).toStrictEqual([{ ...planner, manifest: [...(planner?.manifest ?? []), ...added] }])
  })

  test('leaves tools out of it, and a server with its last one', () => {
    const left = (...tools: ChangedTool[]) => changed({ kind: 'ask_without', tools }).question
    expect(toolsIn(left(QUERY).asked as Authority)).toEqual({ ...toolsIn(asked), [WAREHOUSE]: ['insert'] })
    expect(toolsIn(left(INSERT, POST).asked as Authority)).toEqual({ [WAREHOUSE]: ['query'], [FILES]: ['get'] })
    expect(Object.keys(left(QUERY))).toEqual(['asked'])
  })

  test('asks for the scopes of tools, too', () => {
    const scopeless = { registry, question: question(registry, {}, { asked: unscoped(asked) }) }
    const after = withChange(scopeless, { kind: 'ask_for_scope', tools: [QUERY, POST] })
    expect(after).toEqual({
      registry,
      question: { ...scopeless.question, asked: unscoped(asked, { [WAREHOUSE]: 'mcp:tools:read', [SLACK]: 'chat' }) },
    })
  })

  test('lifts the limits of one server, and of no other, for all that bounds it', () => {
    const bounds = {
      asked,
      parent: limited({ [WAREHOUSE]: { query: {} } }),
      ceiling: limited({ [NOTES]: { note: {} } }),
    }
    const from = { registry, question: { ...start.question, ...bounds } }
    const lifted = ({ resources }: Authority) => [...resources].map(([url, { limits }]) => [url, limits.maxCalls])
    const change: Change = { kind: 'ask_without_limits', resource: 'warehouse' }
    const { question: after } = withChange(from, change)
    expect(lifted(after.asked)).toEqual([
      [WAREHOUSE, undefined],
      [SLACK, 3],
      [FILES, 3],
    ])
    expect(toolsIn(after.asked)).toEqual(toolsIn(asked))
    expect(after.parent && lifted(after.parent)).toEqual([[WAREHOUSE, undefined]])
    expect(after.ceiling && lifted(after.ceiling)).toEqual([[NOTES, 3]])
    expect(Object.keys(changed(change).question)).toEqual(['asked'])
    expect(withChange(from, { kind: 'ask_without_limits', resource: 'nowhere' })).toEqual(from)
  })

  test.each([
    'parent',
    'ceiling',
  ] as const)('widens the %s by tools with their scopes, and none where there is none', (bound) => {
    const change: Change = { kind: bound === 'parent' ? 'widen_parent' : 'widen_session', tools: [QUERY, POST] }
    const from = { registry, question: { ...start.question, [bound]: limited({ [WAREHOUSE]: { insert: {} } }) } }
    const after = changed(change, from).question[bound] as Authority
    expect(Object.keys(changed(change, from).question)).toEqual([bound])
    expect([...after.resources]).toEqual([
      [
        WAREHOUSE,
        {
          scopes: ['mcp:tools:write', 'mcp:tools:read'],
          tools: new Map<string, ToolConstraints>([
            ['insert', new Map()],
            ['query', QUERY.constraints],
          ]),
          limits: { maxCalls: 3 },
        },
      ],
      [SLACK, { scopes: ['chat'], tools: new Map([['post', new Map()]]), limits: {} }],
    ])
    expect(withChange(start, change)).toEqual(start)
  })
})

function unscoped({ resources, ...rest }: Authority, scopes: Readonly<Record<string, string>> = {}): Authority {
  const without = [...resources].map(([url, there]) => {
    return [url, { ...there, scopes: [scopes[url] ?? []].flat() }] as const
  })
  return { ...rest, resources: new Map(without) }
}

describe('a change of the policy', () => {
  const resourcesOf = (after: Registry) => [WAREHOUSE, SLACK].map((url) => after.resource(url))

  test('is of one server', () => {
    const [warehouse, slack] = resourcesOf(registry)
    const active = changed({ kind: 'activate_resource', resource: 'warehouse' })
    expect(resourcesOf(active.registry)).toEqual([{ ...warehouse, state: 'active' }, slack])
    expect(active.registry.resource('https://other.example/mcp')).toBeUndefined()
    const raised = changed({ kind: 'raise_enforces', resource: 'slack', to: 'tools' })
    expect(resourcesOf(raised.registry)).toEqual([warehouse, { ...slack, enforces: 'tools' }])
    expect([active.question, raised.question]).toEqual([{}, {}])
  })

  test('adds a grant for each tool, with its own arguments, and takes back one', () => {
    const after = changed({ kind: 'grant', user: 'corp:alice', tools: [QUERY, POST] })
    const common = { at: 'proposed', effect: 'allow', principals: [{ user: 'corp:alice' }], when: {}, reason: '' }
    const query = { server: 'warehouse', tool: 'query', container: 'reports' }
    expect(after.question).toEqual({})
    expect(after.registry.grants).toStrictEqual([
      ...registry.grants,
      { ...common, id: 'proposed-1', resources: [query], constraints: QUERY.constraints },
      { ...common, id: 'proposed-2', resources: [{ server: 'slack', tool: 'post' }], constraints: new Map() },
    ])
    const lifted = withChange({ ...start, registry: after.registry }, { kind: 'lift_deny', grant: 'proposed-1' })
    expect(lifted.registry.grants.map(({ id }) => id)).toEqual(['all', 'proposed-2'])
    const [one] = grantsOf({ kind: 'grant', user: 'corp:alice', tools: [POST] }, 'resolved')
    expect([one?.id, one?.at]).toEqual(['resolved', 'resolved'])
  })
})

const SAID: readonly (readonly [Change, string])[] = [
  [{ kind: 'activate_agent', agent: 'planner' }, 'make agent planner active'],
  [{ kind: 'activate_user', user: 'user:corp:alice' }, 'make user:corp:alice active'],
  [{ kind: 'activate_resource', resource: 'slack' }, 'make resource slack active'],
  [
    { kind: 'add_to_manifest', agent: 'planner', tools: [QUERY, INSERT, POST] },
    'add `query` (as asked) in reports, `insert` at warehouse and `post` at slack to the manifest of agent planner',
  ],
  [{ kind: 'grant', user: 'corp:alice', tools: [POST] }, 'grant user corp:alice `post` at slack'],
  [{ kind: 'lift_deny', grant: 'no-slack' }, 'take back the deny grant no-slack'],
  [
    { kind: 'raise_enforces', resource: 'slack', to: 'tools' },
    'let resource slack enforce tools, once its server does',
  ],
  [{ kind: 'ask_without', tools: [POST] }, 'ask without `post` at slack'],
  [{ kind: 'ask_for_scope', tools: [POST] }, 'ask for the scope of `post` at slack, too'],
  [{ kind: 'ask_without_limits', resource: 'slack' }, 'ask without a limit of calls at slack'],
  [{ kind: 'widen_parent', tools: [POST] }, 'let the agent above pass on `post` at slack'],
  [{ kind: 'widen_session', tools: [POST] }, 'open a session whose intent names `post` at slack'],
]

describe('to people and to programs', () => {
  test.each(SAID)('$kind is said', (change, says) => {
    expect(sayChange(change)).toBe(says)
    const { tools: _tools, ...members } = { tools: undefined, ...change }
    expect(describeChange(change)).toMatchObject({ ...members, says })
  })

  test('tools are named with their server, and with arguments and containers where they have some', () => {
    expect(describeChange({ kind: 'ask_without', tools: [QUERY, POST] }).tools).toStrictEqual([
      { server: 'warehouse', tool: 'query', container: 'reports', constraints: REVENUE },
      { server: 'slack', tool: 'post' },
    ])
    expect(describeChange({ kind: 'lift_deny', grant: 'no' })).toStrictEqual({
      kind: 'lift_deny',
      grant: 'no',
      says: 'take back the deny grant no',
    })
  })
})
