import { describe, expect, test } from 'vitest'
import type { PrincipalId } from '../../../src/kernel/ids.ts'
import { decide } from '../../../src/policy/decide.ts'
import {
  agent,
  ask,
  authorityOf,
  autonomous,
  FILES,
  forUser,
  granted,
  NOTES,
  NOW,
  question,
  reason,
  verdict,
  WAREHOUSE,
  world,
} from './world.ts'

const query = { [WAREHOUSE]: { query: {} } }

describe('every layer must say yes', () => {
  test('when all do, the tool is granted', () => {
    const decision = ask(world(), query)
    expect(granted(decision)).toEqual(query)
    expect(decision.missing).toEqual([])
  })

  test('resource: a suspended or retired server gives nothing', () => {
    for (const state of ['suspended', 'retired']) {
      const decision = ask(
        world((d) => (d.resources[0].state = state)),
        query,
      )
      expect(reason(decision)).toBe('resource_inactive')
      expect(verdict(decision, 'resource')).toBe('implicit_deny')
      expect(decision.missing).toEqual([`query at warehouse: the resource is ${state}`])
    }
  })

  test('resource: one that has gone since is refused, whatever was asked', () => {
    const before = world()
    const after = world((d) => {
      d.resources.shift()
      d.agents[0].manifest.pop()
    })
    const decision = decide(after, question(before, query, { parent: authorityOf(before, query) }))
    expect(reason(decision)).toBe('resource_unknown')
  })

  test('resource: another spelling of its URL is not the registered one', () => {
    const registry = world()
    const spelled = { 'https://WAREHOUSE.example/mcp': { query: {} } }
    expect(reason(ask(registry, spelled))).toBe('resource_unknown')
  })

  test('tool: an unknown one is refused', () => {
    const decision = ask(world(), { [WAREHOUSE]: { invented: {} } })
    expect(reason(decision)).toBe('nothing_granted')
    expect(decision.missing).toEqual(['invented at warehouse: the tool is not registered'])
  })

  test.each(['drop_table', 'unclassified'])('tool: %s is not delegable unless it says so', (name) => {
    const decision = ask(world(), { [WAREHOUSE]: { [name]: {} } }, autonomous(world(), 'planner'))
    expect(verdict(decision, 'tool')).toBe('implicit_deny')
    expect(decision.missing).toEqual([`${name} at warehouse: not delegable to agents`])
    const delegable = world((d) => (d.resources[0].tools[name].delegable = true))
    expect(granted(ask(delegable, { [WAREHOUSE]: { [name]: {} } }, autonomous(delegable, 'planner')))).toBeDefined()
  })

  test('tool: while the tools of its server are not those that were pinned, it is refused for that', () => {
    const registry = world((d) => (d.resources[0].manifest_digest = 'A'.repeat(43)))
    expect(ask(registry, query).missing).toEqual([
      'query at warehouse: unclassified: the tools of the server are not those that were pinned',
    ])
    expect(granted(ask(registry, { ...query, [FILES]: { get: {} } }))).toEqual({ [FILES]: { get: {} } })
  })

  test('tool: without its scope asked for, it opens nothing', () => {
    const registry = world()
    const asked = authorityOf(registry, {
      [WAREHOUSE]: { query: {}, insert: {} },
    })
    const narrowed = new Map([...asked.resources].map(([url, at]) => [url, { ...at, scopes: ['mcp:tools:read'] }]))
    const decision = ask(registry, query, {
      asked: { ...asked, resources: narrowed },
    })
    expect(granted(decision)).toEqual(query)
    expect(decision.missing).toEqual(['insert at warehouse: its scope mcp:tools:write was not asked for'])
  })

  test('agent: a suspended or retired one gets nothing', () => {
    for (const state of ['suspended', 'retired']) {
      const decision = ask(
        world((d) => (d.agents[0].state = state)),
        query,
      )
      expect(reason(decision)).toBe('agent_inactive')
      expect(verdict(decision, 'agent')).toBe('implicit_deny')
    }
  })

  test('agent: one of another environment gets nothing', () => {
    const decision = ask(
      world((d) => (d.agents[0].environment = 'staging')),
      query,
    )
    expect(reason(decision)).toBe('nothing_granted')
    expect(decision.missing).toEqual([
      'query at warehouse: agent orchestrator belongs to environment staging, this is production',
    ])
  })

  test('agent: what its manifest does not name, it does not get, whatever the user may', () => {
    const decision = ask(
      world((d) => (d.agents[0].manifest = [{ server: 'slack' }])),
      query,
    )
    expect(decision.missing).toEqual(['query at warehouse: not in the manifest of agent orchestrator'])
    expect(
      granted(
        ask(
          world((d) => (d.agents[0].manifest = [])),
          query,
        ),
      ),
    ).toBeUndefined()
  })

  test('agent: of several in the chain, all whose manifests leave nothing together are named', () => {
    const registry = world((d) => {
      const entry = (x: number) => ({ tool: 'query', constraints: { x: { const: x } } })
      for (const [n, one] of d.agents.entries()) one.manifest = [entry(n)]
    })
    expect(ask(registry, query, { chain: [agent(registry, 'planner')] }).missing).toEqual([
      'query at warehouse: the manifest of agent orchestrator, planner contradict each other',
    ])
  })

  test('user: no grant, no tool', () => {
    const registry = world()
    const decision = ask(registry, query, forUser(registry, 'bob'))
    expect(reason(decision)).toBe('nothing_granted')
    expect(decision.missing).toEqual(['query at warehouse: no grant allows user:corp:bob'])
  })

  test.each([
    [{ user: 'corp:bob' }, true],
    [{ user: 'corp:alice' }, false],
    [{ group: 'finance' }, false],
    [{ agent: 'orchestrator' }, false],
    [{ owner: 'alice@corp.example' }, false],
  ])('user: a grant to %j allows bob: %s', (principal, allowed) => {
    const registry = world((d) => (d.grants[0].principals = [principal]))
    expect(granted(ask(registry, query, forUser(registry, 'bob'))) !== undefined).toBe(allowed)
  })

  test('user: a group and a role of one name are not each other', () => {
    const registry = world((d) => (d.grants[0].principals = [{ role: 'finance' }]))
    expect(granted(ask(registry, query))).toBeUndefined()
    expect(
      granted(
        ask(
          world((d) => (d.grants[0].principals = [{ role: 'analyst' }])),
          query,
        ),
      ),
    ).toBeDefined()
  })

  test('user: an inactive one gets nothing', () => {
    const decision = ask(
      world((d) => (d.users[0].active = false)),
      query,
    )
    expect(reason(decision)).toBe('user_inactive')
    expect(decision.missing).toEqual(['query at warehouse: user:corp:alice is not active'])
  })

  test('user: a subject that is a user but was not looked up never passes for autonomous work', () => {
    const decision = ask(world(), query, { user: undefined })
    expect(reason(decision)).toBe('nothing_granted')
    expect(verdict(decision, 'user')).toBe('implicit_deny')
  })

  test('user: grants of one user never serve another subject', () => {
    expect(granted(ask(world(), query, { subject: 'user:corp:bob' as PrincipalId }))).toBeUndefined()
  })

  test('user: does not apply to autonomous work, except at personal servers', () => {
    const registry = world()
    const own = ask(registry, query, autonomous(registry))
    expect(granted(own)).toEqual(query)
    expect(verdict(own, 'user')).toBe('not_applicable')
    const note = ask(registry, { [NOTES]: { note: {} } }, autonomous(registry))
    expect(note.missing).toEqual(['note at notes: personal mode requires a user'])
    expect(granted(ask(registry, { [NOTES]: { note: {} } }))).toBeDefined()
  })

  test('parent: what the authority above does not have, is not there to pass on', () => {
    const registry = world()
    const parent = authorityOf(registry, { [WAREHOUSE]: { insert: {} } })
    const decision = ask(registry, query, { parent })
    expect(decision.missing).toEqual(['query at warehouse: not in the authority above'])
    expect(verdict(decision, 'parent')).toBe('implicit_deny')
    expect(granted(ask(registry, query, { parent: authorityOf(registry, {}) }))).toBeUndefined()
  })

  test('parent: a scope that it lacks closes the tool that it lists', () => {
    const registry = world()
    const parent = authorityOf(registry, query)
    const scopeless = new Map([...parent.resources].map(([url, at]) => [url, { ...at, scopes: [] }]))
    expect(ask(registry, query, { parent: { ...parent, resources: scopeless } }).missing).toEqual([
      'query at warehouse: its scope mcp:tools:read is not in the authority above',
    ])
  })

  test('intent: what the session is not for, it does not give', () => {
    const registry = world()
    const decision = ask(registry, query, {
      ceiling: authorityOf(registry, { [FILES]: { get: {} } }),
    })
    expect(decision.missing).toEqual(['query at warehouse: not in what the session is for'])
    expect(verdict(decision, 'intent')).toBe('implicit_deny')
  })

  test('intent: a contracted session is left with tools that read, whatever it was opened for', () => {
    const registry = world()
    const wanted = { [WAREHOUSE]: { query: {}, insert: {} } }
    const decision = ask(registry, wanted, { contracted: true, ceiling: authorityOf(registry, wanted) })
    expect(granted(decision)).toEqual({ [WAREHOUSE]: { query: {} } })
    expect(decision.missing).toEqual([
      'insert at warehouse: the session is contracted after calls outside its intent: only tools that read are left',
    ])
    expect(granted(ask(registry, wanted))).toEqual(wanted)
  })
})

describe('every layer narrows, and nothing widens', () => {
  const limited = (maximum: number) => ({ limit: { maximum } })

  test('the constraints of all layers hold together', () => {
    const registry = world((d) => {
      d.agents[0].manifest[0].constraints = { ...limited(50), '*': {} }
      d.grants[0].constraints = {
        table: { enum: ['revenue', 'costs'] },
        '*': {},
      }
      d.grants.push({
        id: 'narrow-agent',
        effect: 'allow',
        principals: [{ agent: 'orchestrator' }],
        resources: [{ server: 'warehouse' }],
        constraints: { note: { maxLength: 5 }, '*': {} },
      })
    })
    const decision = ask(
      registry,
      { [WAREHOUSE]: { query: { ...limited(500), table: {}, note: {} } } },
      {
        parent: authorityOf(registry, {
          [WAREHOUSE]: { query: { table: { const: 'revenue' }, '*': {} } },
        }),
      },
    )
    expect(granted(decision)).toEqual({
      [WAREHOUSE]: {
        query: {
          limit: { maximum: 50 },
          table: { const: 'revenue' },
          note: { maxLength: 5 },
        },
      },
    })
  })

  // Either order: neither the first rule nor the last one decides.
  const orders = [
    [7, 1000],
    [1000, 7],
  ] as const

  test.each(orders)('two grants on one tool are intersected, never united: %i and %i', (one, other) => {
    const registry = world((d) => {
      d.grants[0].constraints = limited(one)
      d.grants.push({
        ...d.grants[0],
        id: 'second',
        principals: [{ role: 'analyst' }],
        constraints: limited(other),
      })
    })
    expect(granted(ask(registry, query))).toEqual({
      [WAREHOUSE]: { query: limited(7) },
    })
  })

  test.each(orders)('two manifest entries on one tool are intersected, never united: %i and %i', (one, other) => {
    const registry = world((d) => {
      d.agents[0].manifest = [
        { server: '*', category: 'read', constraints: limited(one) },
        { server: 'warehouse', tool: 'query', constraints: limited(other) },
      ]
    })
    expect(granted(ask(registry, query))).toEqual({
      [WAREHOUSE]: { query: limited(7) },
    })
  })

  test('rules that contradict each other leave nothing', () => {
    const registry = world((d) => {
      d.grants[0].constraints = limited(10)
      d.grants.push({
        ...d.grants[0],
        id: 'second',
        constraints: { limit: { minimum: 11 } },
      })
    })
    expect(ask(registry, query).missing).toEqual([
      'query at warehouse: the grants of user:corp:alice contradict each other',
    ])
  })

  test('a request that no rule admits any call of is refused by the layer that leaves nothing', () => {
    const registry = world((d) => (d.grants[0].constraints = limited(10)))
    const decision = ask(registry, {
      [WAREHOUSE]: { query: { limit: { minimum: 11 } } },
    })
    expect(decision.missing).toEqual([
      "query at warehouse: no call satisfies both what was asked for and the user's grants",
    ])
    expect(verdict(decision, 'user')).toBe('implicit_deny')
  })

  test('an allow on an agent gives nothing that its manifest does not', () => {
    const registry = world((d) => {
      d.agents[0].manifest = []
      d.grants.push({
        id: 'x',
        effect: 'allow',
        principals: [{ agent: 'orchestrator' }],
        resources: [{ server: '*' }],
      })
    })
    expect(granted(ask(registry, query))).toBeUndefined()
  })
})

describe('deny wins', () => {
  const deny = (principal: Record<string, string>, rest: Record<string, unknown> = {}) =>
    world((d) => {
      d.grants.unshift({
        id: 'no',
        effect: 'deny',
        principals: [principal],
        resources: [{ tool: 'query' }],
        ...rest,
      })
    })

  test.each([
    [{ user: 'corp:alice' }],
    [{ group: 'finance' }],
    [{ role: 'analyst' }],
    [{ agent: 'orchestrator' }],
    [{ owner: 'alice@corp.example' }],
  ])('for %j', (principal) => {
    const decision = ask(deny(principal), query)
    expect(reason(decision)).toBe('nothing_granted')
    expect(verdict(decision, 'deny_grants')).toBe('explicit_deny')
    expect(decision.missing).toEqual(['query at warehouse: denied by grant no'])
    expect(decision.grantsMatched).toEqual(['all', 'no'])
  })

  test('only for those it names, and the tools it names', () => {
    expect(granted(ask(deny({ user: 'corp:bob' }), query))).toEqual(query)
    expect(
      granted(
        ask(deny({ group: 'finance' }), {
          [WAREHOUSE]: { insert: {}, query: {} },
        }),
      ),
    ).toEqual({
      [WAREHOUSE]: { insert: {} },
    })
  })

  test('over the agent that autonomous work began with, also after it delegated', () => {
    const registry = deny({ agent: 'orchestrator' })
    const delegated = {
      ...autonomous(registry, 'planner'),
      subject: 'agent:orchestrator' as PrincipalId,
    }
    expect(granted(ask(registry, query, delegated))).toBeUndefined()
    expect(granted(ask(registry, query, autonomous(registry, 'planner')))).toEqual(query)
  })

  test('only while it is in force', () => {
    const before = { when: { not_after: new Date(NOW * 1000).toISOString() } }
    const during = { when: { not_before: new Date(NOW * 1000).toISOString() } }
    expect(granted(ask(deny({ group: 'finance' }, before), query))).toEqual(query)
    expect(granted(ask(deny({ group: 'finance' }, during), query))).toBeUndefined()
    expect(granted(ask(deny({ group: 'finance' }, { when: { environment: 'staging' } }), query))).toEqual(query)
  })
})
