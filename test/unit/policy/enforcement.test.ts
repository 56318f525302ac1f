import { describe, expect, test } from 'vitest'
import type { Registry } from '../../../src/model/registry.ts'
import { ask, authorityOf, FILES, granted, reason, SLACK, verdict, WAREHOUSE, world } from './world.ts'

const chat = { [SLACK]: { post: {}, list: {} } }
const explicitly = { askedExplicitly: true }

describe('a server that checks scopes only', () => {
  test('is given a scope when every tool it opens is allowed without constraint', () => {
    const decision = ask(world(), chat, explicitly)
    expect(granted(decision)).toEqual(chat)
    expect(verdict(decision, 'enforcement')).toBe('allowed')
  })

  test('is not given a scope that opens a tool that was not asked for', () => {
    const decision = ask(world(), { [SLACK]: { post: {} } }, explicitly)
    expect(reason(decision)).toBe('resource_cannot_enforce')
    expect(decision.missing).toEqual(['post at slack: the server checks scopes only, and chat would also open list'])
    expect(verdict(decision, 'enforcement')).toBe('implicit_deny')
  })

  test('is not given a scope that opens a tool that is denied', () => {
    const registry = world((d) => {
      d.grants.push({
        id: 'no',
        effect: 'deny',
        principals: [{ group: 'finance' }],
        resources: [{ tool: 'list' }],
      })
    })
    expect(reason(ask(registry, chat, explicitly))).toBe('resource_cannot_enforce')
    expect(reason(ask(registry, chat))).toBe('resource_cannot_enforce')
  })

  test('is not given a scope that opens a tool that may never be delegated', () => {
    const registry = world(
      (d) =>
        (d.resources[1].tools.purge = {
          category: 'destructive',
          scope: 'chat',
        }),
    )
    const decision = ask(registry, chat)
    expect(granted(decision)).toBeUndefined()
    expect(decision.missing[0]).toBe('post at slack: the server checks scopes only, and chat would also open purge')
  })

  test('is not given a scope one of whose tools is constrained, by whichever layer', () => {
    const constrained = {
      [SLACK]: { post: { channel: { const: '#finance' } }, list: {} },
    }
    const decision = ask(world(), constrained, explicitly)
    expect(reason(decision)).toBe('resource_cannot_enforce')
    expect(decision.missing[0]).toBe(
      'post at slack: the server checks scopes only, and chat would also open every use of post',
    )
    const byGrant = world((d) => (d.grants[0].constraints = { channel: { const: '#finance' } }))
    expect(reason(ask(byGrant, chat, explicitly))).toBe('resource_cannot_enforce')
    const registry = world()
    expect(reason(ask(registry, chat, { parent: authorityOf(registry, constrained) }))).toBe('resource_cannot_enforce')
  })

  test('keeps a scope whose tools are whole beside one that is lost', () => {
    const registry = world((d) => (d.resources[1].tools.topic = { category: 'read', scope: 'topics' }))
    expect(granted(ask(registry, { [SLACK]: { post: {}, topic: {} } }))).toEqual({ [SLACK]: { topic: {} } })
  })

  test('an open argument set without bounds is no constraint', () => {
    expect(
      granted(
        ask(world(), {
          [SLACK]: { post: { '*': {} }, list: { '*': {}, x: {} } },
        }),
      ),
    ).toBeDefined()
  })
})

describe('a server that checks tools', () => {
  test('is given one tool of a scope alone', () => {
    expect(granted(ask(world(), { [FILES]: { get: {} } }, explicitly))).toEqual({ [FILES]: { get: {} } })
  })

  test('is not given a tool with constraints', () => {
    const wanted = {
      [FILES]: { get: { path: { prefix: '/public/' } }, put: {} },
    }
    const decision = ask(world(), wanted, explicitly)
    expect(reason(decision)).toBe('resource_cannot_enforce')
    expect(decision.missing).toEqual(['get at files: the server checks tools only, not their arguments'])
    expect(granted(ask(world(), wanted))).toEqual({ [FILES]: { put: {} } })
  })
})

test('a server that checks arguments is given constraints', () => {
  const wanted = { [WAREHOUSE]: { query: { limit: { maximum: 5 } } } }
  expect(granted(ask(world(), wanted, explicitly))).toEqual(wanted)
})

test('a server that asks at a call makes that one call only, whatever it checks by itself', () => {
  for (const wanted of [{ [SLACK]: { post: {} } }, { [FILES]: { get: { path: { const: 'a' } } } }]) {
    expect(granted(ask(world(), wanted, { atCall: true }))).toEqual(wanted)
    expect(granted(ask(world(), wanted))).toBeUndefined()
  }
})

test('a limit of calls is refused, wherever it comes from, unless the server asks before each call', () => {
  const wanted = { [WAREHOUSE]: { query: {} } }
  const [registry, asking] = [world(), world((d) => (d.resources[0].enforces = 'calls'))]
  const authority = authorityOf(registry, wanted)
  const limited = {
    ...authority,
    resources: new Map([...authority.resources].map(([url, at]) => [url, { ...at, limits: { maxCalls: 3 } }])),
  }
  for (const rest of [{ asked: limited }, { parent: limited }, { ceiling: limited }]) {
    const decision = ask(registry, wanted, rest)
    expect(reason(decision)).toBe('resource_cannot_enforce')
    expect(decision.missing).toEqual([
      'query at warehouse: the server does not ask before each call, so nobody would count them',
    ])
    expect(reason(ask(registry, wanted, { ...rest, atCall: true }))).toBe('resource_cannot_enforce')
    for (const atCall of [false, true]) expect(granted(ask(asking, wanted, { ...rest, atCall }))).toEqual(wanted)
  }
})

test('a server that asks before each call is given constraints, too', () => {
  const wanted = { [WAREHOUSE]: { query: { limit: { maximum: 5 } } } }
  const registry = world((d) => (d.resources[0].enforces = 'calls'))
  expect(granted(ask(registry, wanted, explicitly))).toEqual(wanted)
})

describe('a tool whose calls need an approval', () => {
  const wanted = { [WAREHOUSE]: { query: {} } }

  test('is given where the server asks before each call, and nowhere else', () => {
    const [required, asking] = ['arguments', 'calls'].map((enforces) =>
      world((d) => {
        d.resources[0].enforces = enforces
        d.resources[0].tools.query.approval = 'required'
      }),
    ) as [Registry, Registry]
    for (const atCall of [false, true]) {
      const decision = ask(required, wanted, { atCall })
      expect(reason(decision)).toBe('resource_cannot_enforce')
      expect(decision.missing).toEqual([
        'query at warehouse: each call needs an approval, and the server does not ask before each call',
      ])
      expect(granted(ask(asking, wanted, { atCall }))).toEqual(wanted)
    }
  })

  test('keeps a server that checks scopes only from opening it with another', () => {
    const decision = ask(
      world((d) => (d.resources[1].tools.list.approval = 'required')),
      chat,
    )
    expect(granted(decision)).toBeUndefined()
    expect(decision.missing).toContain(
      'post at slack: the server checks scopes only, and chat would also open every use of list',
    )
  })
})

describe('what is lost to a weak server', () => {
  const both = { [WAREHOUSE]: { query: {} }, [SLACK]: { post: {} } }

  test('is an error where it was spelled out', () => {
    const decision = ask(world(), both, explicitly)
    expect(reason(decision)).toBe('resource_cannot_enforce')
    expect(decision.outcome === 'deny' && decision.description).toContain('post at slack')
  })

  test('is dropped, and said, where it was not', () => {
    const decision = ask(world(), both)
    expect(granted(decision)).toEqual({ [WAREHOUSE]: { query: {} } })
    expect(decision.missing).toHaveLength(1)
  })

  test('is an error where nothing is left at the target', () => {
    expect(reason(ask(world(), both, { target: SLACK }))).toBe('resource_cannot_enforce')
    expect(granted(ask(world(), both, { target: WAREHOUSE }))).toBeDefined()
  })

  test('is not blamed for what policy had refused already', () => {
    const registry = world((d) => (d.grants[0].resources = [{ server: 'warehouse' }]))
    const decision = ask(registry, both, explicitly)
    expect(granted(decision)).toEqual({ [WAREHOUSE]: { query: {} } })
    expect(decision.missing).toEqual(['post at slack: no grant allows user:corp:alice'])
    expect(verdict(ask(registry, chat, explicitly), 'enforcement')).toBe('not_applicable')
  })
})
