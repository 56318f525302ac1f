/** Refusals of every layer, in one sentence, and what would have to change. */
import { expect, test } from 'vitest'
import type { ResourceUrl } from '../../../src/kernel/ids.ts'
import type { Layer, Question } from '../../../src/model/decision.ts'
import type { Registry } from '../../../src/model/registry.ts'
import { deliberate } from '../../../src/policy/decide.ts'
import { explain } from '../../../src/policy/explain.ts'
import { describeChange, sayChange } from '../../../src/policy/policy-change.ts'
import { smallestChange } from '../../../src/policy/smallest-change.ts'
import {
  authorityOf,
  FILES,
  forUser,
  NOTES,
  question,
  type Raw,
  SLACK,
  WAREHOUSE,
  type Wanted,
  world,
} from './world.ts'

interface Refused {
  readonly layer: Layer
  readonly change?: (document: Raw) => void
  readonly wanted?: Wanted
  readonly rest?: (registry: Registry) => Partial<Question>
  readonly sentence: string
  /** What the smallest change says; empty: there is none. */
  readonly ways: readonly (readonly string[])[]
  readonly never?: readonly string[]
}

const ALICE = 'Refused: agent orchestrator, acting for user:corp:alice, may not'
const QUERY: Wanted = { [WAREHOUSE]: { query: {} } }

const REFUSALS: readonly Refused[] = [
  {
    layer: 'resource',
    change: (made) => Object.assign(made.resources[0], { state: 'suspended' }),
    sentence: `${ALICE} \`query\` at warehouse: the resource is suspended.`,
    ways: [['make resource warehouse active']],
  },
  {
    layer: 'resource',
    wanted: { 'https://other.example/mcp': { query: {} } },
    sentence: `${ALICE} \`query\` at https://other.example/mcp: the resource is not registered.`,
    ways: [],
    never: ['query at https://other.example/mcp: the resource is not registered'],
  },
  {
    layer: 'enforcement',
    wanted: { [SLACK]: { list: {} } },
    sentence: `${ALICE} \`list\` at slack: the server checks scopes only, and chat would also open post.`,
    ways: [['let resource slack enforce tools, once its server does']],
  },
  {
    layer: 'enforcement',
    wanted: { [FILES]: { get: { path: { prefix: 'reports/' } } } },
    sentence: `${ALICE} \`get\` at files: the server checks tools only, not their arguments.`,
    ways: [['let resource files enforce arguments, once its server does']],
  },
  {
    layer: 'tool',
    change: (made) => Object.assign(made.resources[0].tools.query, { delegable: false }),
    sentence: `${ALICE} \`query\` at warehouse: not delegable to agents.`,
    ways: [],
    never: ['query at warehouse: not delegable to agents, whatever the user may do'],
  },
  {
    layer: 'agent',
    change: (made) => Object.assign(made.agents[0], { state: 'suspended' }),
    sentence: `${ALICE} \`query\` at warehouse: agent orchestrator is suspended.`,
    ways: [['make agent orchestrator active']],
  },
  {
    layer: 'agent',
    change: (made) => Object.assign(made.agents[0], { manifest: [] }),
    sentence: `${ALICE} \`query\` at warehouse: not in the manifest of agent orchestrator.`,
    ways: [['add `query` at warehouse to the manifest of agent orchestrator']],
  },
  {
    layer: 'agent',
    change: (made) => Object.assign(made.agents[0], { environment: 'staging' }),
    sentence: `${ALICE} \`query\` at warehouse: agent orchestrator belongs to environment staging, this is production.`,
    ways: [],
    never: ['query at warehouse: agent orchestrator belongs to environment staging, and environments do not mix'],
  },
  {
    layer: 'user',
    rest: (registry) => forUser(registry, 'bob'),
    sentence:
      'Refused: agent orchestrator, acting for user:corp:bob, may not `query` at warehouse: no grant allows user:corp:bob.',
    ways: [['grant user corp:bob `query` at warehouse']],
  },
  {
    layer: 'user',
    change: (made) => Object.assign(made.users[0], { active: false }),
    sentence: `${ALICE} \`query\` at warehouse: user:corp:alice is not active.`,
    ways: [['make user:corp:alice active']],
  },
  {
    layer: 'user',
    wanted: { [NOTES]: { note: {} } },
    rest: (registry) => ({ user: undefined, subject: `agent:${registry.agents[0]?.clientId}` as Question['subject'] }),
    sentence: 'Refused: agent orchestrator may not `note` at notes: personal mode requires a user.',
    ways: [],
    never: ['note at notes: personal mode requires a user'],
  },
  {
    layer: 'agent_grants',
    change: (made) =>
      made.grants.push({
        id: 'narrow',
        effect: 'allow',
        principals: [{ agent: 'orchestrator' }],
        resources: [{ server: 'warehouse' }],
        constraints: { table: { const: 'costs' } },
      }),
    wanted: { [WAREHOUSE]: { query: { table: { const: 'revenue' } } } },
    sentence: `${ALICE} \`query\` at warehouse: no call satisfies both what was asked for and the agent's grants.`,
    ways: [],
    never: ["query at warehouse: no call satisfies both what was asked for and the agent's grants"],
  },
  {
    layer: 'parent',
    rest: (registry) => ({ parent: authorityOf(registry, { [WAREHOUSE]: { insert: {} } }) }),
    sentence: `${ALICE} \`query\` at warehouse: not in the authority above.`,
    ways: [['let the agent above pass on `query` at warehouse']],
  },
  {
    layer: 'intent',
    rest: (registry) => ({ ceiling: authorityOf(registry, { [WAREHOUSE]: { insert: {} } }) }),
    sentence: `${ALICE} \`query\` at warehouse: not in what the session is for.`,
    ways: [['open a session whose intent names `query` at warehouse']],
  },
  {
    layer: 'external',
    rest: () => ({
      external: { kind: 'answered', allowed: new Map([[WAREHOUSE as ResourceUrl, new Set(['insert'])]]) },
    }),
    sentence: `${ALICE} \`query\` at warehouse: the external policy does not allow it.`,
    ways: [],
    never: ['query at warehouse: the external policy does not allow it'],
  },
  {
    layer: 'external',
    rest: () => ({ external: { kind: 'failed', cause: 'the external policy did not answer in time' } }),
    sentence: `${ALICE} \`query\` at warehouse: the external policy did not answer in time.`,
    ways: [],
    never: ['query at warehouse: the external policy did not answer in time'],
  },
  {
    layer: 'deny_grants',
    change: (made) =>
      made.grants.push(
        { id: 'no-b', effect: 'deny', principals: [{ user: 'corp:alice' }], resources: [{ tool: 'query' }] },
        { id: 'no-a', effect: 'deny', principals: [{ group: 'finance' }], resources: [{ server: 'warehouse' }] },
      ),
    sentence: `${ALICE} \`query\` at warehouse: denied by grant no-a.`,
    ways: [['take back the deny grant no-a', 'take back the deny grant no-b']],
  },
]

test.each(REFUSALS)('a refusal of $layer: $sentence', ({
  layer,
  change,
  wanted = QUERY,
  rest,
  sentence,
  ways,
  never = [],
}) => {
  const registry = world(change)
  const asked = question(registry, wanted, rest?.(registry) ?? {})
  const explanation = explain(asked, deliberate(registry, asked))
  expect(explanation.sentence).toBe(sentence)
  const said = explanation.layers.find((one) => one.layer === layer)
  expect(said?.verdict).toBe(layer === 'deny_grants' ? 'explicit_deny' : 'implicit_deny')
  expect(sentence.endsWith(` may not ${said?.says.join('; ')}.`)).toBe(true)
  const found = smallestChange({ registry, question: asked })
  expect(found.ways.map((way) => way.map(sayChange).sort())).toEqual(ways)
  expect(found.never).toEqual(never)
})

test('what is allowed is said with its end, and what of it was not', () => {
  const registry = world((made) => Object.assign(made.agents[0], { manifest: [{ tool: 'query' }] }))
  const asked = question(registry, { [WAREHOUSE]: { query: {}, insert: {} } })
  const { sentence } = explain(asked, deliberate(registry, asked))
  expect(sentence).toBe(
    'Allowed: agent orchestrator, acting for user:corp:alice, may `query` at warehouse, until 2026-05-28T21:26:40Z. Not granted: `insert` at warehouse: not in the manifest of agent orchestrator.',
  )
})

test('several causes are named, the first three of them', () => {
  const registry = world((made) => {
    made.grants = []
    Object.assign(made.resources[0].tools.drop_table, { delegable: false })
    Object.assign(made.resources[1], { state: 'retired' })
    made.agents[0].manifest = [{ tool: 'query' }]
  })
  const asked = question(registry, { [WAREHOUSE]: { query: {}, insert: {}, drop_table: {} }, [SLACK]: { list: {} } })
  const { sentence } = explain(asked, deliberate(registry, asked))
  expect(sentence).toBe(
    `${ALICE} \`query\` at warehouse: no grant allows user:corp:alice; \`insert\` at warehouse: not in the manifest of agent orchestrator; \`drop_table\` at warehouse: not delegable to agents; and 1 more.`,
  )
  // The tool that needs least: the others would need more, or may never be.
  const { ways, never } = smallestChange({ registry, question: asked })
  expect(ways.map((way) => way.map(sayChange))).toEqual([['grant user corp:alice `query` at warehouse']])
  expect(never).toEqual([
    'drop_table at warehouse: not delegable to agents, whatever the user may do',
    'list at slack: the resource is retired',
  ])
})

test('what is refused at other places is no part of a refusal of one place', () => {
  const registry = world((made) => Object.assign(made.resources[1], { state: 'retired' }))
  const rest = { target: WAREHOUSE, ...forUser(registry, 'bob') }
  const asked = question(registry, { [WAREHOUSE]: { query: {} }, [SLACK]: { list: {} } }, rest)
  expect(explain(asked, deliberate(registry, asked)).sentence).toBe(
    'Refused: agent orchestrator, acting for user:corp:bob, may not `query` at warehouse: no grant allows user:corp:bob.',
  )
})

test('what is allowed as asked is said place by place, and nothing besides', () => {
  const registry = world()
  const asked = question(registry, { [WAREHOUSE]: { query: {}, insert: {} }, [NOTES]: { note: {} } })
  expect(explain(asked, deliberate(registry, asked)).sentence).toBe(
    'Allowed: agent orchestrator, acting for user:corp:alice, may `query`, `insert` at warehouse, and `note` at notes, until 2026-05-28T21:26:40Z.',
  )
})

test('of three causes none is left out, and tools of one cause are said together', () => {
  const registry = world((made) => {
    made.grants = [{ ...made.grants[0], resources: [{ server: 'warehouse' }] }]
    made.agents[0].manifest = [{ server: '*', category: 'read' }, { tool: 'drop_table' }]
    Object.assign(made.resources[0].tools.drop_table, { delegable: false })
  })
  const wanted = { [WAREHOUSE]: { insert: {}, drop_table: {} }, [FILES]: { get: {}, put: {} }, [NOTES]: { note: {} } }
  const asked = question(registry, wanted)
  const { sentence, layers } = explain(asked, deliberate(registry, asked))
  expect(sentence).toBe(
    `${ALICE} \`insert\` at warehouse and \`put\` at files: not in the manifest of agent orchestrator; \`drop_table\` at warehouse: not delegable to agents; \`get\` at files and \`note\` at notes: no grant allows user:corp:alice.`,
  )
  expect(layers).toEqual([
    { layer: 'resource', verdict: 'allowed', says: [] },
    { layer: 'enforcement', verdict: 'not_applicable', says: [] },
    { layer: 'tool', verdict: 'allowed', says: ['`drop_table` at warehouse: not delegable to agents'] },
    {
      layer: 'agent',
      verdict: 'allowed',
      says: ['`insert` at warehouse and `put` at files: not in the manifest of agent orchestrator'],
    },
    {
      layer: 'user',
      verdict: 'allowed',
      says: ['`get`, `put` at files and `note` at notes: no grant allows user:corp:alice'],
    },
    { layer: 'agent_grants', verdict: 'not_applicable', says: [] },
    { layer: 'parent', verdict: 'not_applicable', says: [] },
    { layer: 'intent', verdict: 'not_applicable', says: [] },
    { layer: 'external', verdict: 'not_applicable', says: [] },
    { layer: 'deny_grants', verdict: 'allowed', says: [] },
  ])
})

test('a grant is proposed for all that it is enough for, with the arguments that were asked for and no others', () => {
  const registry = world((made) => {
    made.grants = []
  })
  const wanted = { [WAREHOUSE]: { query: { table: { const: 'revenue' } }, insert: {} } }
  const { ways } = smallestChange({ registry, question: question(registry, wanted) })
  expect(ways.map((way) => way.map(describeChange))).toEqual([
    [
      {
        kind: 'grant',
        user: 'corp:alice',
        tools: [
          { server: 'warehouse', tool: 'query', constraints: { table: { const: 'revenue' } } },
          { server: 'warehouse', tool: 'insert' },
        ],
        says: 'grant user corp:alice `query` (as asked), `insert` at warehouse',
      },
    ],
  ])
})

test('what was spelled out and cannot be enforced can be left out, or the server can learn it', () => {
  const registry = world()
  const asked = question(
    registry,
    { [FILES]: { get: { path: { prefix: 'reports/' } } }, [WAREHOUSE]: { query: {} } },
    { askedExplicitly: true },
  )
  const { ways } = smallestChange({ registry, question: asked })
  expect(ways.map((way) => way.map(sayChange))).toEqual([
    ['let resource files enforce arguments, once its server does'],
    ['ask without `get` at files'],
  ])
})

test('a request for a place where nothing was asked for has no change of policy', () => {
  const registry = world()
  const asked = question(registry, QUERY, { target: NOTES as ResourceUrl })
  expect(explain(asked, deliberate(registry, asked)).sentence).toBe(`Refused: nothing was asked for at ${NOTES}.`)
  expect(smallestChange({ registry, question: asked })).toEqual({ ways: [], never: [] })
})
