/** What is said of grants that others make idle: by whom, in which words, and where the comparison ends. */
import { describe, expect, test } from 'vitest'
import type { Grant, GrantConditions } from '../../../src/model/registry.ts'
import { policyFindings } from '../../../src/policy/dead-grants.ts'
import { NOW, type Raw, world } from './world.ts'

const iso = (seconds: number) => new Date(seconds * 1000).toISOString()
const SURROUNDINGS = { environment: 'production', now: NOW }
const rule =
  (effect: string) =>
  (id: string, more: Raw = {}): Raw => ({
    id,
    effect,
    principals: [{ group: 'finance' }],
    resources: [{ server: 'warehouse' }],
    ...more,
  })
const allow = rule('allow')
const deny = rule('deny')
const at = (from: number | undefined, until?: number) => ({
  when: {
    ...(from === undefined ? {} : { not_before: iso(NOW + from) }),
    ...(until === undefined ? {} : { not_after: iso(NOW + until) }),
  },
})

function findings(grants: readonly Raw[], change: (document: Raw) => void = () => undefined) {
  const registry = world((document) => {
    document.grants = grants
    change(document)
  })
  return policyFindings(registry, SURROUNDINGS)
}

/** `kind grant by`. */
const found = (grants: readonly Raw[], change?: (document: Raw) => void) =>
  findings(grants, change).findings.map(({ kind, grant, by }) => [kind, grant.id, ...by].join(' '))
const says = (...grants: Raw[]) => findings(grants).findings.map((finding) => finding.says)

test('each kind has its words', () => {
  const x = (value: number) => ({ constraints: { x: { const: value } } })
  expect(says(allow('a'), deny('d'), deny('e'))).toEqual([
    'never allows anything: all of it is denied by d',
    'denies nothing that is not denied by d',
  ])
  expect(says(allow('a', x(1)), allow('b', x(2)))[0]).toBe(
    'never allows anything: no call fits its constraints and those of b',
  )
  expect(says(allow('a'), allow('b'))).toEqual(['changes nothing: the same is said by a'])
  expect(says(deny('d', at(undefined, 0)))).toEqual(['its time is over'])
  expect(says(deny('d', { when: { environment: 'moon' } }))).toEqual([
    'no agent is in environment moon, nor is this broker',
  ])
  expect(says(deny('d', { principals: [{ group: 'x' }, { role: 'y' }] }))).toEqual([
    'no listed user has the group x, and nobody else has any',
    'no listed user has the role y, and nobody else has any',
  ])
  expect(says(deny('d', { resources: [{ server: 'slack', category: 'admin' }] }))).toEqual([
    'selects no tool of any resource',
  ])
})

test('whoever denies parts of it is named, sorted, as far as there is room', () => {
  const groups = [...Array(10).keys()].map((n) => `g${n}`)
  const denies = groups.map((group) => deny(`by-${group}`, { principals: [{ group }] })).reverse()
  const [finding] = findings(
    [allow('a', { principals: groups.map((group) => ({ group })).reverse() }), ...denies],
    (d) => {
      d.users[0].groups = groups
    },
  ).findings
  expect(finding?.by).toEqual(groups.slice(0, 8).map((group) => `by-${group}`))
  expect(finding?.says).toContain('by-g0, by-g1')
})

describe('when', () => {
  test('the one that is in force all the while is found, in whatever order they are written', () => {
    const asked = allow('a', at(60, 90))
    const denies = [deny('later', at(200)), deny('then', at(50, 100)), deny('before', at(10, 70)), deny('late', at(80))]
    for (const order of [denies, [...denies].reverse()]) {
      expect(found([asked, ...order])).toContain('contradiction a then')
    }
  })

  test('one that begins later may last longer', () => {
    const grants = [deny('short', at(undefined, 10)), deny('long', at(1)), allow('a', at(5, 100))]
    expect(found(grants)).toEqual(['contradiction a long'])
  })

  test('of two that hold equally long the one written first is named', () => {
    expect(found([deny('z'), deny('b'), allow('a')])).toEqual(['shadowed b z', 'contradiction a z'])
  })

  test('one that holds in a wider place for less time leaves the other as it is', () => {
    const everywhere = { resources: [{ server: '*' }] }
    expect(found([deny('d', { ...everywhere, ...at(undefined, 10) }), deny('e')])).toEqual([])
    expect(found([allow('a', { ...everywhere, ...at(10) }), allow('b')])).toEqual([])
  })

  test('of two that say the same, the one that holds for longer stays, whichever is written first', () => {
    expect(found([deny('a', at(10)), deny('b')])).toEqual(['shadowed a b'])
    expect(found([deny('a', at(undefined, 10)), deny('b')])).toEqual(['shadowed a b'])
    expect(found([deny('a', at(10, 20)), deny('b', at(10))])).toEqual(['shadowed a b'])
  })

  test('a condition that is not known here may be what sets a grant apart', () => {
    const registry = world((d) => {
      d.grants = [allow('a'), deny('d')]
    })
    const unknown = { moon: 'full' } as GrantConditions
    const changed = (id: string): readonly Grant[] =>
      registry.grants.map((grant) => (grant.id === id ? { ...grant, when: unknown } : grant))
    for (const id of ['a', 'd']) {
      expect(policyFindings({ ...registry, grants: changed(id) }, SURROUNDINGS).findings).toEqual([])
    }
  })
})

describe('where and whom', () => {
  const alice = { principals: [{ user: 'corp:alice' }] }

  test('what is said of a user’s group or role is said of the user', () => {
    expect(found([allow('a', alice), deny('d')])).toEqual(['contradiction a d'])
    expect(found([allow('a', alice), deny('d', { principals: [{ role: 'analyst' }] })])).toEqual(['contradiction a d'])
    expect(found([allow('a'), deny('d', alice)])).toEqual([])
    expect(found([deny('a', alice), deny('b')])).toEqual(['shadowed a b'])
  })

  test('any environment is wider than one', () => {
    const here = { when: { environment: 'production' } }
    expect(found([allow('a', here), deny('d')])).toEqual(['contradiction a d'])
    expect(found([allow('a', here), deny('d', here)])).toEqual(['contradiction a d'])
    expect(found([allow('a'), deny('d', here)])).toEqual([])
    expect(found([deny('a', here), deny('b')])).toEqual(['shadowed a b'])
    expect(found([allow('a', here), allow('b')])).toEqual(['shadowed a b'])
  })

  test('a deny on an agent is more than one on its owner: the agent’s own work goes on under others', () => {
    const [agent, owner] = [{ principals: [{ agent: 'planner' }] }, { principals: [{ owner: 'planning' }] }]
    expect(found([deny('a', agent), deny('b', owner)])).toEqual([])
    expect(found([deny('a', agent), deny('b', agent)])).toEqual(['shadowed b a'])
    expect(found([allow('a', agent), allow('b', owner)])).toEqual(['shadowed a b'])
  })

  test('a grant is not said to be made idle by itself', () => {
    const both = { principals: [{ user: 'corp:alice' }, { group: 'finance' }] }
    expect(found([allow('x', both), allow('y', { resources: [{ server: '*' }] })])).toEqual(['shadowed x y'])
  })

  test('one that is denied tool by tool as well is what stays, however early the others are written', () => {
    const tools = ['query', 'insert', 'drop_table', 'unclassified']
    const denies = tools.map((tool) => deny(tool, { resources: [{ server: 'warehouse', tool }] }))
    expect(found([...denies, deny('all')])).toEqual(tools.map((tool) => `shadowed ${tool} all`))
  })

  test('parts that can never match are left out before the rest is compared', () => {
    const principals = [{ group: 'nobody' }, { group: 'finance' }]
    const resources = [{ server: 'files', project: 'analytics' }, { server: 'warehouse' }]
    const kinds = (more: Raw) => found([allow('a', more), deny('d')])
    expect(kinds({ principals })).toEqual(['never_matches a', 'contradiction a d'])
    expect(kinds({ resources })).toEqual(['never_matches a', 'contradiction a d'])
  })

  test('a container that is called like a tool is no tool', () => {
    const tool = (name: string) => ({ resources: [{ server: 'warehouse', tool: name }] })
    const named = (d: Raw) => {
      d.resources[0].containers = [
        { id: 'insert', type: 'folder' },
        { id: 'query', type: 'folder', parent: 'insert' },
      ]
    }
    expect(found([allow('a', tool('query')), deny('d', tool('insert'))], named)).toEqual([])
  })
})

describe('where the comparison ends', () => {
  const tools = (count: number) => [...Array(count).keys()].map((n) => `t${n}`)
  const withTools = (count: number) => (d: Raw) => {
    d.resources[0].tools = Object.fromEntries(tools(count).map((name) => [name, { category: 'read' }]))
    for (const one of d.agents) one.manifest = [{ server: '*' }]
  }
  const one = (tool: string) => deny(`d-${tool}`, { resources: [{ tool }] })

  test('tool by tool only where there are few, as a whole however many there are', () => {
    const byTool = (count: number) => found([allow('a'), ...tools(count).map(one)], withTools(count)).length
    expect([byTool(32), byTool(33)]).toEqual([1, 0])
    expect(found([allow('a'), deny('d')], withTools(40))).toEqual(['contradiction a d'])
  })

  test('with as many constraints of one place as there is time for', () => {
    const everywhere = (id: string, minimum: number) =>
      allow(id, { resources: [{ server: '*' }], constraints: { x: { minimum } } })
    const apart = (before: number) =>
      found([
        ...tools(before).map((id, n) => everywhere(id, -n)),
        everywhere('last', 10),
        allow('a', { constraints: { x: { const: 5 } } }),
      ]).filter((line) => line.startsWith('constraints_contradict a'))
    expect(apart(15)).toEqual(['constraints_contradict a last'])
    expect(apart(16)).toEqual([])
  })

  test('with as many arguments as one tool may have', () => {
    const limits = (from: number, count: number, value: number) => ({
      constraints: Object.fromEntries([
        ['x', { const: value }],
        ['*', {}],
        ...[...Array(count - 2).keys()].map((n) => [`a${from + n}`, { const: 1 }]),
      ]),
    })
    const apart = (a: number, b: number) => found([allow('a', limits(0, a, 1)), allow('b', limits(100, b, 2))]).length
    expect([apart(32, 32), apart(32, 33)]).toEqual([2, 0])
  })
})

describe('agents for whom nobody is allowed anything', () => {
  const unmet = (...grants: Raw[]) => findings(grants).unmetAgents.map(({ clientId }) => clientId)

  test('are met by an allow on a user, a group or a role, whoever else it names', () => {
    for (const principal of [{ user: 'corp:alice' }, { group: 'finance' }, { role: 'analyst' }]) {
      expect(unmet(allow('a', { principals: [principal] }))).toEqual([])
      expect(unmet(allow('a', { principals: [{ agent: 'planner' }, principal] }))).toEqual([])
    }
    expect(unmet(allow('a', { principals: [{ agent: 'planner' }, { owner: 'planning' }] }))).toEqual([
      'orchestrator',
      'planner',
    ])
  })

  test('are not met by one that is denied; they are by one that says nothing new', () => {
    expect(unmet(allow('a'), deny('d'))).toEqual(['orchestrator', 'planner'])
    expect(unmet(allow('a'), allow('b'))).toEqual([])
    const role = { principals: [{ role: 'analyst' }] }
    expect(unmet(allow('a', role), allow('b', { ...role, resources: [{ server: '*' }] }))).toEqual([])
  })
})
