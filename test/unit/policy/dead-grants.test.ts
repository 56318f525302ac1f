import { describe, expect, test } from 'vitest'
import { policyFindings } from '../../../src/policy/dead-grants.ts'
import { NOW, type Raw, world } from './world.ts'

const iso = (seconds: number) => new Date(seconds * 1000).toISOString()
const SURROUNDINGS = { environment: 'production', now: NOW }

const FINANCE = { principals: [{ group: 'finance' }], resources: [{ server: 'warehouse' }] }
const allow = (id: string, more: Raw = {}): Raw => ({ id, effect: 'allow', ...FINANCE, ...more })
const deny = (id: string, more: Raw = {}): Raw => ({ id, effect: 'deny', ...FINANCE, ...more })

/** `kind severity grant path ← by`, without the file. */
function found(grants: Raw[], change: (document: Raw) => void = () => undefined): readonly string[] {
  const registry = world((document) => {
    document.grants = grants
    change(document)
  })
  return policyFindings(registry, SURROUNDINGS).findings.map(({ kind, severity, grant, path, by }) =>
    [kind, severity, grant.id, path.replace('world.yaml: ', ''), '←', ...by].join(' '),
  )
}

const at = (kind: string, grant: string, path: string, ...by: string[]) => [kind, grant, path, '←', ...by].join(' ')

describe('grants that never match', () => {
  test('an allow is a warning, a deny that names wrongly an error', () => {
    const nobody = { principals: [{ group: 'finanec' }, { group: 'finance' }, { role: 'analist' }] }
    expect(found([allow('a', nobody)])).toEqual([
      at('never_matches warning', 'a', 'grants[0].principals[0]'),
      at('never_matches warning', 'a', 'grants[0].principals[2]'),
    ])
    expect(found([deny('d', { principals: [{ role: 'analist' }] })])).toEqual([
      at('never_matches error', 'd', 'grants[0].principals[0]'),
    ])
  })

  test('a role that names users who are not listed is somebody’s', () => {
    const named = (users: string[]) => (document: Raw) => {
      document.issuers[0].users = 'from_issuer'
      document.roles = [{ name: 'night', groups: users.length === 0 ? ['nobody'] : [], users }]
    }
    const night = [deny('d', { principals: [{ role: 'night' }] })]
    expect(found(night, named(['corp:zoe']))).toEqual([])
    expect(found(night, named([]))).toHaveLength(1)
  })

  test('a group and a role of one name are not the same', () => {
    expect(found([deny('d', { principals: [{ role: 'finance' }] })])).toHaveLength(1)
    expect(found([deny('d', { principals: [{ group: 'analyst' }] })])).toHaveLength(1)
  })

  test('a user who is not active now, and a server that is suspended, are there all the same', () => {
    const away = (document: Raw) => {
      document.users[0].active = false
      for (const resource of document.resources) resource.state = 'suspended'
    }
    expect(found([deny('d')], away)).toEqual([])
  })

  test('a selector whose parts are known and meet in no tool', () => {
    const resources = [
      { server: 'slack', category: 'admin' },
      { server: 'slack' },
      { project: 'default', tool: 'list' },
    ]
    expect(found([deny('d', { resources })])).toEqual([at('never_matches error', 'd', 'grants[0].resources[0]')])
    expect(found([allow('a', { resources: [{ server: 'files', project: 'analytics' }] })])).toEqual([
      at('never_matches warning', 'a', 'grants[0].resources[0]'),
    ])
  })

  test('an environment of no agent and not of this broker; that of another broker’s agents is one', () => {
    const elsewhere = deny('d', { when: { environment: 'prod' } })
    expect(found([elsewhere])).toEqual([at('never_matches error', 'd', 'grants[0].when.environment')])
    expect(found([elsewhere], (document) => Object.assign(document.agents[1], { environment: 'prod' }))).toEqual([])
    const ours = deny('d', { when: { environment: 'production' } })
    expect(
      found([ours], (document) => document.agents.map((one: Raw) => Object.assign(one, { environment: 'prod' }))),
    ).toEqual([])
  })

  test('a time that is over, from its very second; of a deny too it is only a warning, for it was meant to end', () => {
    for (const effect of ['allow', 'deny']) {
      const ended = { ...FINANCE, id: 'g', effect, when: { not_after: iso(NOW) } }
      expect(found([ended])).toEqual([at('never_matches warning', 'g', 'grants[0].when.not_after')])
      expect(found([{ ...ended, when: { not_after: iso(NOW + 1) } }])).toEqual([])
    }
  })
})

describe('allows that a deny leaves nothing of', () => {
  const contradiction = [at('contradiction error', 'a', 'grants[0]', 'd')]

  test.each<[string, Raw, Raw]>([
    ['the same', {}, {}],
    ['any server', {}, { resources: [{ server: '*' }] }],
    [
      'the category of its tool',
      { resources: [{ server: 'warehouse', tool: 'drop_table' }] },
      { resources: [{ category: 'destructive' }] },
    ],
    ['its project', {}, { resources: [{ project: 'analytics' }] }],
    ['the group of its user', { principals: [{ user: 'corp:alice' }] }, {}],
    ['the owner of its agent', { principals: [{ agent: 'planner' }] }, { principals: [{ owner: 'planning' }] }],
    ['any environment', { when: { environment: 'production' } }, {}],
    ['longer', { when: { not_after: iso(NOW + 9) } }, { when: { not_after: iso(NOW + 10) } }],
    ['from now on', {}, { when: { not_before: iso(NOW) } }],
  ])('%s', (_, allowed, denied) => {
    expect(found([allow('a', allowed), deny('d', denied)])).toEqual(contradiction)
    expect(found([deny('d', denied), allow('a', allowed)])).toEqual([at('contradiction error', 'a', 'grants[1]', 'd')])
  })

  test('several denies together, tool by tool and principal by principal', () => {
    const both = { principals: [{ group: 'finance' }, { role: 'analyst' }], resources: [{ server: 'files' }] }
    const one = (principal: Raw, tool: string) => ({ principals: [principal], resources: [{ server: 'files', tool }] })
    const denies = [
      deny('d1', one({ group: 'finance' }, 'get')),
      deny('d2', one({ group: 'finance' }, 'put')),
      deny('d3', { principals: [{ role: 'analyst' }], resources: [{ project: 'default' }] }),
    ]
    expect(found([allow('a', both), ...denies])).toEqual([
      at('contradiction error', 'a', 'grants[0]', 'd1', 'd2', 'd3'),
    ])
    for (const left of [0, 1, 2]) expect(found([allow('a', both), ...denies.toSpliced(left, 1)])).toEqual([])
  })

  test.each<[string, Raw, Raw]>([
    ['for one tool of it', {}, { resources: [{ server: 'warehouse', tool: 'query' }] }],
    ['for one user of the group', {}, { principals: [{ user: 'corp:alice' }] }],
    ['for one agent of the owner', { principals: [{ owner: 'planning' }] }, { principals: [{ agent: 'planner' }] }],
    ['in one environment', {}, { when: { environment: 'production' } }],
    ['in another environment', { when: { environment: 'staging' } }, { when: { environment: 'production' } }],
    ['from a second later', {}, { when: { not_before: iso(NOW + 1) } }],
    ['to a second earlier', { when: { not_after: iso(NOW + 10) } }, { when: { not_after: iso(NOW + 9) } }],
    ['for a group of the name of a role', { principals: [{ role: 'analyst' }] }, {}],
  ])('but not by one %s', (_, allowed, denied) => {
    const staged = (document: Raw) => Object.assign(document.agents[1], { environment: 'staging' })
    expect(found([allow('a', allowed), deny('d', denied)], staged)).toEqual([])
  })
})

describe('rules that others make idle', () => {
  test('of two that say the same the later one, in whatever spelling', () => {
    const shadowed = [at('shadowed warning', 'y', 'grants[1]', 'x')]
    expect(found([deny('x'), deny('y')])).toEqual(shadowed)
    expect(found([allow('x'), allow('y')])).toEqual(shadowed)
    const onlyNote = [{ tool: 'note' }, { server: 'notes' }]
    expect(found([deny('x', { resources: [onlyNote[0]] }), deny('y', { resources: [onlyNote[1]] })])).toEqual(shadowed)
    expect(found([deny('x', { resources: [onlyNote[1]] }), deny('y', { resources: [onlyNote[0]] })])).toEqual(shadowed)
  })

  test('the narrower one, wherever it stands', () => {
    const wide = { resources: [{ server: '*' }] }
    expect(found([deny('narrow'), deny('wide', wide)])).toEqual([at('shadowed warning', 'narrow', 'grants[0]', 'wide')])
    expect(found([allow('narrow'), allow('wide', wide)])).toEqual([
      at('shadowed warning', 'narrow', 'grants[0]', 'wide'),
    ])
  })

  test('never an allow that narrows, or that ends what it allows sooner or later', () => {
    const x = { constraints: { x: { maximum: 1 }, '*': {} } }
    expect(found([allow('a', x), allow('b')])).toEqual([at('shadowed warning', 'b', 'grants[1]', 'a')])
    expect(found([allow('a', x), allow('b', x)])).toEqual([at('shadowed warning', 'b', 'grants[1]', 'a')])
    expect(found([allow('a', x), allow('b', { constraints: { x: { maximum: 2 }, '*': {} } })])).toEqual([])
    expect(found([allow('a'), allow('b', { when: { not_after: iso(NOW + 10) } })])).toEqual([])
  })

  test('never a deny on an agent for one on its owner: the work it began may be done by others’ agents', () => {
    const agent = { principals: [{ agent: 'planner' }] }
    expect(found([deny('a', agent), deny('o', { principals: [{ owner: 'planning' }] })])).toEqual([])
  })
})

describe('allows whose constraints leave nothing of each other', () => {
  const at1 = { constraints: { x: { const: 1 }, '*': {} } }
  const at2 = { constraints: { x: { const: 2 }, '*': {} } }

  test('each that is contradicted wherever it holds', () => {
    expect(found([allow('a', at1), allow('b', at2)])).toEqual([
      at('constraints_contradict error', 'a', 'grants[0]', 'b'),
      at('constraints_contradict error', 'b', 'grants[1]', 'a'),
    ])
    const narrow = { ...at1, resources: [{ server: 'warehouse', tool: 'query' }], principals: [{ user: 'corp:alice' }] }
    expect(found([allow('a', narrow), allow('b', at2)])).toEqual([
      at('constraints_contradict error', 'a', 'grants[0]', 'b'),
    ])
  })

  test('not of different people, at different times, or of a user and an agent', () => {
    expect(found([allow('a', at1), allow('b', { ...at2, principals: [{ role: 'analyst' }] })])).toEqual([])
    expect(found([allow('a', at1), allow('b', { ...at2, principals: [{ agent: 'planner' }] })])).toEqual([])
    const days = [{ when: { not_after: iso(NOW + 9) } }, { when: { not_before: iso(NOW + 9) } }]
    expect(found([allow('a', { ...at1, ...days[0] }), allow('b', { ...at2, ...days[1] })])).toEqual([])
  })
})

describe('agents that no grant meets', () => {
  const unmet = (grants: Raw[]) => {
    const registry = world((document) => Object.assign(document, { grants }))
    return policyFindings(registry, SURROUNDINGS).unmetAgents.map(({ clientId }) => clientId)
  }

  test('their manifest and what users are allowed have no delegable tool in common', () => {
    expect(unmet([allow('a')])).toEqual([])
    expect(unmet([])).toEqual(['orchestrator', 'planner'])
    expect(unmet([allow('a', { principals: [{ agent: 'planner' }] })])).toEqual(['orchestrator', 'planner'])
    // Only the planner's manifest has it, and what is classified as nothing is not delegable.
    expect(unmet([allow('a', { resources: [{ tool: 'unclassified' }] })])).toEqual(['orchestrator', 'planner'])
  })

  test('an allow that grants nothing meets nobody', () => {
    expect(unmet([allow('a'), deny('d')])).toEqual(['orchestrator', 'planner'])
    expect(unmet([allow('a', { when: { not_after: iso(NOW) } })])).toEqual(['orchestrator', 'planner'])
  })
})

test('of thirty thousand grants on one principal and one server, all are compared within seconds', () => {
  const when = (n: number) => ({ not_before: iso(NOW + n), not_after: iso(NOW + 200_000 - n) })
  const grants = Array.from({ length: 30_000 }, (_, n) => {
    const id = `g${n}`
    return n % 2 === 0
      ? deny(id, { when: when(n) })
      : allow(id, { when: when(n), constraints: { x: { const: n }, '*': {} } })
  })
  const registry = world((document) => Object.assign(document, { grants }))
  const begun = performance.now()
  const { findings } = policyFindings(registry, SURROUNDINGS)
  expect(performance.now() - begun).toBeLessThan(10_000)
  expect(findings).toHaveLength(29_999)
})
