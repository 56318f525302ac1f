/** What is proposed to whoever was refused: what is lacking and nothing besides; and where nothing helps, why. */
import { describe, expect, test } from 'vitest'
import type { Authority } from '../../../src/authority/authority.ts'
import type { PrincipalId } from '../../../src/kernel/ids.ts'
import type { Question } from '../../../src/model/decision.ts'
import type { Registry } from '../../../src/model/registry.ts'
import { stepsFor } from '../../../src/policy/change-steps.ts'
import { deliberate } from '../../../src/policy/decide.ts'
import { sayChange } from '../../../src/policy/policy-change.ts'
import { smallestChange } from '../../../src/policy/smallest-change.ts'
import {
  agent,
  authorityOf,
  FILES,
  forUser,
  NOTES,
  NOW,
  question,
  type Raw,
  SLACK,
  WAREHOUSE,
  type Wanted,
  world,
} from './world.ts'

const QUERY: Wanted = { [WAREHOUSE]: { query: {} } }
const REVENUE: Wanted = { [WAREHOUSE]: { query: { table: { const: 'revenue' } } } }
const ALICE = [{ user: 'corp:alice' }]

type Rest = Partial<Question> | ((registry: Registry) => Partial<Question>)

/** As a person reads it. */
function proposed(change: (made: Raw) => void, wanted = QUERY, rest: Rest = {}) {
  const registry = world(change)
  const asked = question(registry, wanted, typeof rest === 'function' ? rest(registry) : rest)
  const { ways, never } = smallestChange({ registry, question: asked })
  return { ways: ways.map((way) => way.map(sayChange)), never }
}

const same = () => undefined
const grants =
  (...more: Raw[]) =>
  (made: Raw) =>
    made.grants.push(...more)
const limited = (authority: Authority): Authority => ({
  ...authority,
  resources: new Map([...authority.resources].map(([url, there]) => [url, { ...there, limits: { maxCalls: 1 } }])),
})
const scopeless = (registry: Registry, wanted: Wanted): Authority => {
  const { resources, ...rest } = authorityOf(registry, wanted)
  return { ...rest, resources: new Map([...resources].map(([url, there]) => [url, { ...there, scopes: [] }])) }
}
/** Two containers, one below the other; `query` names its own by an argument. */
const folders = (made: Raw) => {
  made.resources[0].containers = [
    { id: 'a', type: 'folder' },
    { id: 'b', type: 'folder', parent: 'a' },
  ]
  made.resources[0].tools.query.container_argument = 'folder'
}

test('for what is allowed nothing is proposed', () => {
  expect(proposed(same)).toEqual({ ways: [], never: [] })
})

describe('everything that is lacking is named, and nothing that is there', () => {
  const cases: readonly [string, (made: Raw) => void, Wanted, Rest, readonly string[]][] = [
    [
      'of each agent of the chain',
      (made) => {
        Object.assign(made.agents[0], { manifest: [{ tool: 'insert' }] })
        Object.assign(made.agents[1], { state: 'suspended' })
      },
      QUERY,
      (registry) => ({ chain: [agent(registry, 'planner')] }),
      ['add `query` at warehouse to the manifest of agent orchestrator', 'make agent planner active'],
    ],
    [
      'of the user',
      (made) => {
        made.users[0].active = false
        made.grants = [{ ...made.grants[0], when: { environment: 'staging' } }]
      },
      QUERY,
      {},
      ['make user:corp:alice active', 'grant user corp:alice `query` at warehouse'],
    ],
    [
      'in one container',
      (made) => {
        folders(made)
        made.agents[0].manifest = [{ server: 'warehouse', container: 'b' }]
      },
      QUERY,
      { container: 'a' },
      ['add `query` in a at warehouse to the manifest of agent orchestrator'],
    ],
    [
      'beside denies that are in force, or may be',
      (made) => {
        made.grants = [
          { id: 'now', effect: 'deny', principals: ALICE, resources: [{ tool: 'query' }] },
          {
            id: 'risky',
            effect: 'deny',
            principals: ALICE,
            resources: [{ tool: 'query' }],
            when: { risk: { at_least: 'high' } },
          },
          {
            id: 'over',
            effect: 'deny',
            principals: ALICE,
            resources: [{ tool: 'query' }],
            when: { not_after: '2020-01-01T00:00:00Z' },
          },
        ]
      },
      QUERY,
      {},
      ['grant user corp:alice `query` at warehouse', 'take back the deny grant now', 'take back the deny grant risky'],
    ],
    [
      'a server that is not active and enforces too little',
      (made) => Object.assign(made.resources[1], { state: 'suspended' }),
      { [SLACK]: { list: {} } },
      {},
      ['make resource slack active', 'let resource slack enforce tools, once its server does'],
    ],
    [
      'a server that has to look at arguments, where it is the grants that narrow them',
      (made) => Object.assign(made.grants[0], { constraints: { channel: { const: 'general' } } }),
      { [SLACK]: { post: {}, list: {} } },
      {},
      ['let resource slack enforce arguments, once its server does'],
    ],
    [
      'the scope of a tool, in its container',
      folders,
      QUERY,
      (registry) => ({ asked: scopeless(registry, { [WAREHOUSE]: { query: { folder: { const: 'b' } } } }) }),
      ['ask for the scope of `query` (as asked) in b at warehouse, too'],
    ],
    [
      'a limit that nothing counts, in what is asked',
      same,
      QUERY,
      (registry) => ({ asked: limited(authorityOf(registry, QUERY)) }),
      ['let resource warehouse enforce calls, once its server does'],
    ],
    [
      'a limit that nothing counts at a server whose tokens are of another',
      (made) => {
        made.authorization_servers = [{ issuer: 'https://auth.chat.example', slug: 'chat' }]
        made.resources[0].authorization_server = 'chat'
      },
      QUERY,
      (registry) => ({ asked: limited(authorityOf(registry, QUERY)) }),
      ['ask without a limit of calls at warehouse'],
    ],
    [
      'a limit that nothing counts, above',
      same,
      QUERY,
      (registry) => ({ parent: limited(authorityOf(registry, QUERY)) }),
      ['let resource warehouse enforce calls, once its server does'],
    ],
    [
      'a tool above, of which there is the scope',
      same,
      { [FILES]: { get: {} } },
      (registry) => ({ parent: authorityOf(registry, { [FILES]: { put: {} } }) }),
      ['let the agent above pass on `get` at files'],
    ],
    [
      'a server above',
      same,
      QUERY,
      (registry) => ({ parent: authorityOf(registry, { [FILES]: { put: {} } }) }),
      ['let the agent above pass on `query` at warehouse'],
    ],
    [
      'a scope of the session, in which there is the tool',
      same,
      QUERY,
      (registry) => ({ ceiling: scopeless(registry, QUERY) }),
      ['open a session whose intent names `query` at warehouse'],
    ],
  ]
  test.each(cases)('%s', (_what, change, wanted, rest, way) => {
    expect(proposed(change, wanted, rest)).toEqual({ ways: [way], never: [] })
  })
})

describe('what no change of policy removes is said, by tool', () => {
  const narrow = (value: string) => ({ constraints: { table: { const: value } } })
  const cases: readonly [string, (made: Raw) => void, Wanted, Rest, string][] = [
    [
      'a retired agent',
      (made) => Object.assign(made.agents[0], { state: 'retired' }),
      QUERY,
      {},
      'agent orchestrator is retired, which is final',
    ],
    [
      'a retired server',
      (made) => Object.assign(made.resources[0], { state: 'retired' }),
      QUERY,
      {},
      'the resource is retired',
    ],
    [
      'a server whose vendor nobody has reviewed',
      (made) => Object.assign(made.resources[0], { exposure: 'external' }),
      QUERY,
      {},
      'the resource is external, and its vendor has not been reviewed',
    ],
    [
      'tools that are not those that were pinned',
      (made) => Object.assign(made.resources[0], { manifest_digest: 'A'.repeat(43) }),
      QUERY,
      {},
      'unclassified: the tools of the server are not those that were pinned',
    ],
    [
      'a container that there is not',
      folders,
      QUERY,
      { container: 'elsewhere' },
      'warehouse has no container elsewhere that this is about',
    ],
    [
      'manifests that contradict each other',
      (made) => {
        made.agents[0].manifest = ['a', 'b'].map((value) => ({ server: 'warehouse', ...narrow(value) }))
      },
      QUERY,
      {},
      'the manifest of agent orchestrator contradict each other',
    ],
    [
      'grants that contradict each other',
      (made) => {
        made.grants = ['a', 'b'].map((value) => ({ ...made.grants[0], id: value, ...narrow(value) }))
      },
      QUERY,
      {},
      'the grants of user:corp:alice contradict each other',
    ],
    [
      'arguments that the authority above has not',
      same,
      REVENUE,
      (registry) => ({ parent: authorityOf(registry, { [WAREHOUSE]: { query: { table: { const: 'costs' } } } }) }),
      'no call satisfies both what was asked for and the authority above',
    ],
    [
      'a subject that is not the user',
      (made) => Object.assign(made.users[1], { active: false }),
      QUERY,
      (registry) => ({ ...forUser(registry, 'bob'), subject: 'user:corp:alice' as PrincipalId }),
      'user:corp:alice is not the user looked up',
    ],
    ['a user who was not looked up', same, QUERY, { user: undefined }, 'user:corp:alice was not looked up'],
  ]
  test.each(cases)('%s', (_what, change, wanted, rest, cause) => {
    expect(proposed(change, wanted, rest)).toEqual({ ways: [], never: [`query at warehouse: ${cause}`] })
  })

  test('a tool that is not registered, once, whatever else there is against it', () => {
    const { ways, never } = proposed((made) => Object.assign(made.resources[0], { state: 'suspended' }), {
      [WAREHOUSE]: { nothing: {} },
    })
    expect({ ways, never }).toEqual({ ways: [], never: ['nothing at warehouse: the resource is suspended'] })
  })

  test('each cause once, and an end that has passed in the words of the decision', () => {
    const gone = (made: Raw) => Object.assign(made.resources[0], { state: 'retired' })
    const asked = (registry: Registry) => ({ asked: authorityOf(registry, QUERY, { notAfter: NOW }) })
    expect(proposed(same, QUERY, asked)).toEqual({
      ways: [],
      never: ['nothing that was asked for is granted to agent orchestrator acting for user:corp:alice'],
    })
    const never = ['query', 'insert'].map((name) => `${name} at warehouse: the resource is retired`)
    expect(proposed(gone, { [WAREHOUSE]: { query: {}, insert: {} } }).never).toEqual(never)
  })
})

describe('of several tools', () => {
  const none = (made: Raw) => {
    made.grants = []
  }

  test('those that a change was proposed for get it together; one that needs less is not drawn in', () => {
    const some = (made: Raw) => {
      none(made)
      made.agents[0].manifest = [{ tool: 'query' }, { tool: 'note' }]
    }
    const wanted = { [WAREHOUSE]: { query: {}, insert: {} }, [NOTES]: { note: {} } }
    expect(proposed(some, wanted).ways).toEqual([['grant user corp:alice `query` at warehouse and `note` at notes']])
    // `insert` needs the manifest too: the grant for `query` alone would then do without it.
    const insertOnly = { ...wanted, [NOTES]: {} }
    expect(proposed(some, insertOnly).ways).toEqual([['grant user corp:alice `query` at warehouse']])
  })

  test('only those of the place that a token is wanted for', () => {
    const wanted = { [WAREHOUSE]: { query: {} }, [NOTES]: { note: {} } }
    const suspended = (made: Raw) => Object.assign(made.resources[3], { state: 'suspended' })
    const change = (made: Raw) => {
      none(made)
      suspended(made)
    }
    expect(proposed(change, wanted, { target: NOTES }).ways).toEqual([
      ['make resource notes active', 'grant user corp:alice `note` at notes and `query` at warehouse'],
    ])
    expect(proposed(change, wanted, { target: WAREHOUSE }).ways).toEqual([
      ['grant user corp:alice `query` at warehouse'],
    ])
  })

  test('tools of one name at two servers are told apart', () => {
    const two = (made: Raw) => {
      made.grants[0].resources = [{ server: 'warehouse' }]
      made.resources[3].tools.query = { category: 'read' }
    }
    const wanted = { [WAREHOUSE]: { query: {} }, [NOTES]: { query: {} } }
    expect(proposed(two, wanted, { target: NOTES }).ways).toEqual([['grant user corp:alice `query` at notes']])
  })

  test('each is offered its own way, where other changes are as small', () => {
    const change = (made: Raw) => {
      made.grants[0].resources = [{ server: 'warehouse' }]
    }
    const wanted = { [WAREHOUSE]: { query: {}, nothing: {} }, [NOTES]: { note: {} } }
    const parent = (registry: Registry) => ({ parent: authorityOf(registry, { [NOTES]: { note: {} } }) })
    expect(proposed(change, wanted, parent)).toEqual({
      ways: [['let the agent above pass on `query` at warehouse'], ['grant user corp:alice `note` at notes']],
      never: ['nothing at warehouse: the tool is not registered'],
    })
  })

  test('at most three ways are offered, and the first thirty-two are tried', () => {
    const suspended = (made: Raw) => {
      for (const one of made.resources) one.state = 'suspended'
      for (const one of made.resources) one.enforces = 'arguments'
    }
    const wanted = { [WAREHOUSE]: { query: {} }, [SLACK]: { list: {} }, [FILES]: { get: {} }, [NOTES]: { note: {} } }
    expect(proposed(suspended, wanted).ways).toEqual(
      ['warehouse', 'slack', 'files'].map((name) => [`make resource ${name} active`]),
    )
    const many = Object.fromEntries(Array.from({ length: 33 }, (_, index) => [`tool_${index}`, {}]))
    expect(proposed(same, { [WAREHOUSE]: many }).never).toHaveLength(32)
  })

  test('the same changes found in another order are one way', () => {
    const denies = grants(
      { id: 'no-a', effect: 'deny', principals: ALICE, resources: [{ project: 'analytics' }] },
      { id: 'no-b', effect: 'deny', principals: ALICE, resources: [{ category: 'read' }, { tool: 'insert' }] },
    )
    expect(proposed(denies, { [WAREHOUSE]: { query: {}, insert: {} } }).ways).toEqual([
      ['take back the deny grant no-a', 'take back the deny grant no-b'],
    ])
  })

  test('what was spelled out is left out where its server cannot hold its callers to it, and nothing else is', () => {
    const wanted = {
      [FILES]: { get: { path: { prefix: 'reports/' } }, put: {} },
      [WAREHOUSE]: { query: {}, drop_table: {} },
    }
    const { ways, never } = proposed(same, wanted, { askedExplicitly: true })
    expect(ways).toEqual([
      ['let resource files enforce arguments, once its server does'],
      ['ask without `get` at files'],
    ])
    expect(never).toEqual(['drop_table at warehouse: not delegable to agents, whatever the user may do'])
  })

  test('a grant that names others too is one of the user’s all the same', () => {
    const both = (made: Raw) => {
      made.grants[0].principals = [{ user: 'corp:bob' }, { group: 'finance' }]
      made.agents[0].manifest = []
    }
    expect(proposed(both).ways).toEqual([['add `query` at warehouse to the manifest of agent orchestrator']])
  })
})

test('of the grants on a tool only denies are to be lifted, and only those that may hold', () => {
  const deny = { effect: 'deny', principals: ALICE, resources: [{ server: 'warehouse' }] }
  const registry = world(grants({ ...deny, id: 'now' }, { ...deny, id: 'elsewhere', when: { environment: 'staging' } }))
  const asked = question(registry, QUERY)
  const { judgements } = deliberate(registry, asked)
  const steps = judgements.flatMap((one) => stepsFor({ registry, question: asked }, one, { all: judgements, made: [] }))
  expect(steps).toEqual([{ kind: 'lift_deny', grant: 'now' }])
})
