import { describe, expect, test } from 'vitest'
import type { ResourceUrl } from '../../../src/kernel/ids.ts'
import { LAYERS } from '../../../src/model/decision.ts'
import type { Registry } from '../../../src/model/registry.ts'
import { decide } from '../../../src/policy/decide.ts'
import {
  agent,
  ask,
  authorityOf,
  FILES,
  granted,
  LATER,
  NOW,
  question,
  reason,
  SLACK,
  verdict,
  WAREHOUSE,
  world,
} from './world.ts'

const query = { [WAREHOUSE]: { query: {} } }

describe('the record', () => {
  test('has a verdict of every layer, in the fixed order, whatever the outcome', () => {
    for (const wanted of [query, { [WAREHOUSE]: { drop_table: {} } }, {}]) {
      expect(ask(world(), wanted).layers.map(({ layer }) => layer)).toEqual(LAYERS)
    }
  })

  test('names the question and the version of the policy', () => {
    const registry = world()
    expect(ask(registry, query)).toMatchObject({
      id: 'dec_test',
      policyVersion: registry.version,
    })
  })

  test('shows every layer that refuses, not only the first', () => {
    const registry = world((d) => {
      d.agents[0].manifest = []
      d.grants = [
        {
          id: 'no',
          effect: 'deny',
          principals: [{ group: 'finance' }],
          resources: [{ server: '*' }],
        },
      ]
    })
    const decision = ask(registry, query, {
      parent: authorityOf(registry, {}),
    })
    const refusing = decision.layers.filter((entry) => entry.verdict.endsWith('deny')).map(({ layer }) => layer)
    expect(refusing).toEqual(['agent', 'user', 'parent', 'deny_grants'])
    expect(decision.missing).toEqual(['query at warehouse: not in the manifest of agent orchestrator'])
  })

  test('is allowed by a layer that let one tool through and refused another', () => {
    const decision = ask(world(), {
      [WAREHOUSE]: { query: {}, drop_table: {} },
    })
    expect(verdict(decision, 'tool')).toBe('allowed')
    expect(granted(decision)).toEqual(query)
    expect(decision.missing).toEqual(['drop_table at warehouse: not delegable to agents'])
  })

  test('stays small: twenty lines, the last saying how many more', () => {
    const tools = Object.fromEntries(Array.from({ length: 30 }, (_, n) => [`t${n}`, {}]))
    const registry = world((d) => Object.assign(d.resources[0].tools, tools))
    const decision = ask(registry, { [WAREHOUSE]: tools })
    expect(decision.missing).toHaveLength(20)
    expect(decision.missing[19]).toBe('and 11 more tools')
    const grants = world((d) => {
      for (let n = 0; n < 30; n++) d.grants.push({ ...d.grants[0], id: `g${n}` })
    })
    const wide = ask(grants, query)
    expect([wide.grantsMatched.length, wide.grantsEvaluated]).toEqual([20, 31])
  })
})

describe('what is left', () => {
  test('has the scopes of its tools and no other', () => {
    const decision = ask(world(), {
      [WAREHOUSE]: { query: {}, insert: {}, drop_table: {} },
    })
    if (decision.outcome === 'deny') throw new Error('denied')
    expect(decision.effective.resources.get(WAREHOUSE)?.scopes).toEqual(['mcp:tools:read', 'mcp:tools:write'])
    const less = ask(world(), { [WAREHOUSE]: { query: {}, drop_table: {} } })
    if (less.outcome === 'deny') throw new Error('denied')
    expect(less.effective.resources.get(WAREHOUSE)?.scopes).toEqual(['mcp:tools:read'])
  })

  test('ends and is passed on as the least of all bounds says', () => {
    const registry = world()
    const bound = (notAfter: number, maxDepth: number) => authorityOf(registry, query, { notAfter, maxDepth })
    const decision = ask(registry, query, {
      asked: bound(NOW + 30, 2),
      parent: bound(NOW + 20, 3),
      ceiling: bound(NOW + 25, 1),
    })
    expect(decision).toMatchObject({
      outcome: 'allow',
      effective: { notAfter: NOW + 20, maxDepth: 1 },
    })
  })

  test('does not outlive a grant that it relies on', () => {
    const registry = world(
      (d) =>
        (d.grants[0].when = {
          not_after: new Date((NOW + 9) * 1000).toISOString(),
        }),
    )
    expect(ask(registry, query)).toMatchObject({
      outcome: 'allow',
      effective: { notAfter: NOW + 9 },
    })
  })

  test('is not shortened by a grant whose tools were all lost', () => {
    const registry = world((d) => {
      d.grants[0].resources = [{ tool: 'query' }]
      d.grants.push({
        ...d.grants[0],
        id: 'short',
        resources: [{ tool: 'drop_table' }],
      })
      d.grants[1].when = {
        not_after: new Date((NOW + 9) * 1000).toISOString(),
      }
    })
    expect(ask(registry, { [WAREHOUSE]: { query: {}, drop_table: {} } })).toMatchObject({
      effective: { notAfter: LATER },
    })
  })

  test('an access token ends where a deny against its tool begins, unless that is for another environment', () => {
    const endWith = (when: object) => {
      const deny = { id: 'd', effect: 'deny', principals: [{ group: 'finance' }], resources: [{ tool: 'query' }] }
      const begins = { not_before: new Date((NOW + 9) * 1000).toISOString() }
      const registry = world((d) => d.grants.push({ ...deny, when: { ...begins, ...when } }))
      const decision = ask(registry, query, { target: WAREHOUSE })
      return decision.outcome === 'allow' ? decision.effective.notAfter : undefined
    }
    expect(endWith({})).toBe(NOW + 9)
    expect(endWith({ environment: 'production' })).toBe(NOW + 9)
    expect(endWith({ environment: 'staging' })).toBe(LATER)
  })

  test('is nothing when its end has come, or is not a number', () => {
    const registry = world()
    for (const notAfter of [NOW, NOW - 1, Number.NaN]) {
      expect(
        reason(
          ask(registry, query, {
            asked: authorityOf(registry, query, { notAfter }),
          }),
        ),
      ).toBe('nothing_granted')
      expect(
        reason(
          ask(registry, query, {
            parent: authorityOf(registry, query, { notAfter }),
          }),
        ),
      ).toBe('nothing_granted')
    }
    expect(reason(ask(registry, query, { now: Number.NaN }))).toBe('nothing_granted')
  })
})

describe('a denial', () => {
  test('of a question that asks for nothing', () => {
    expect(reason(ask(world(), {}))).toBe('nothing_granted')
    expect(reason(ask(world(), { [WAREHOUSE]: {} }))).toBe('nothing_granted')
  })

  test('of a target that nothing was asked for at', () => {
    expect(reason(ask(world(), query, { target: FILES }))).toBe('resource_not_in_session')
  })

  test('of a target where nothing is left, although something is elsewhere', () => {
    const wanted = { ...query, [FILES]: { get: {} } }
    const registry = world((d) => (d.grants[0].resources = [{ server: 'warehouse' }]))
    const decision = ask(registry, wanted, { target: FILES })
    expect(reason(decision)).toBe('nothing_granted')
    expect(decision.outcome === 'deny' && decision.description).toContain(FILES)
    expect(granted(ask(registry, wanted, { target: WAREHOUSE }))).toEqual(query)
  })

  test('of an inactive target, although others are active', () => {
    const registry = world((d) => (d.resources[1].state = 'suspended'))
    const wanted = { ...query, [SLACK]: { post: {}, list: {} } }
    expect(reason(ask(registry, wanted, { target: SLACK }))).toBe('resource_inactive')
    expect(granted(ask(registry, wanted))).toEqual(query)
  })

  test('names the agent before the user, and both before what is missing', () => {
    const change = (d: { agents: { state?: string }[]; users: { active?: boolean }[] }) => {
      Object.assign(d.agents[0] ?? {}, { state: 'suspended' })
      Object.assign(d.users[0] ?? {}, { active: false })
    }
    expect(reason(ask(world(change), query))).toBe('agent_inactive')
  })
})

describe('a fault denies', () => {
  const broken = (): never => {
    throw new Error('broken')
  }

  test('in a layer: the others cannot make up for it', () => {
    const registry = world()
    const faulty = {
      ...agent(registry),
      get manifest() {
        return broken()
      },
    }
    const decision = ask(registry, query, { agent: faulty })
    expect(reason(decision)).toBe('nothing_granted')
    expect(decision.missing).toEqual(['query at warehouse: the agent layer failed'])
    expect(verdict(decision, 'agent')).toBe('implicit_deny')
  })

  test('in the grants: neither an allow nor the absence of a deny is assumed', () => {
    const registry = world()
    const faulty: Registry = {
      ...registry,
      get grants() {
        return broken()
      },
    }
    const decision = decide(faulty, question(registry, query))
    for (const layer of ['user', 'agent_grants', 'deny_grants'] as const) {
      expect(verdict(decision, layer)).toBe('implicit_deny')
    }
    expect(decision.outcome).toBe('deny')
  })

  test('in the look-up of a resource', () => {
    const registry = world()
    const decision = decide({ ...registry, resource: broken }, question(registry, query))
    expect(decision.outcome).toBe('deny')
  })

  test('in the enforcement: nothing of the resource is given', () => {
    const registry = world()
    const unknown = {
      ...registry.resources[0],
      enforces: 'everything',
    } as unknown as Registry['resources'][0]
    const faulty: Registry = { ...registry, resource: () => unknown }
    const decision = decide(faulty, question(registry, query))
    expect(reason(decision)).toBe('resource_cannot_enforce')
    expect(decision.missing).toEqual(['query at warehouse: the enforcement layer failed'])
    expect(verdict(decision, 'enforcement')).toBe('implicit_deny')
  })
})

test('names from Object.prototype are tools and resources like any other: unknown', () => {
  const registry = world()
  for (const name of ['constructor', 'toString', '__proto__']) {
    const asked = authorityOf(registry, query)
    const resources = new Map([
      [
        WAREHOUSE,
        {
          scopes: ['mcp:tools:read'],
          tools: new Map([[name, new Map()]]),
          limits: {},
        },
      ],
    ])
    expect(reason(ask(registry, query, { asked: { ...asked, resources } }))).toBe('nothing_granted')
  }
  const nowhere = new Map([
    ['constructor' as ResourceUrl, { scopes: [], tools: new Map([['query', new Map()]]), limits: {} }],
  ])
  const decision = ask(registry, query, {
    asked: { resources: nowhere, notAfter: LATER, maxDepth: 0 },
  })
  expect(reason(decision)).toBe('resource_unknown')
})
