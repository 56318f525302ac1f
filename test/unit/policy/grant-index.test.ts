import { describe, expect, test } from 'vitest'
import { atOnce } from '../../../src/kernel/slices.ts'
import type { GrantConditions, Registry } from '../../../src/model/registry.ts'
import type { Tool, ToolSelector } from '../../../src/model/resource.ts'
import { decide } from '../../../src/policy/decide.ts'
import { grantsFor, isInForce, prepareGrants, principalsOf } from '../../../src/policy/grant-index.ts'
import { ask, granted, NOW, question, WAREHOUSE, world } from './world.ts'

const query = { [WAREHOUSE]: { query: {} } }
const asked = question(world(), query)

describe('conditions', () => {
  test.each<[string, GrantConditions, boolean]>([
    ['none', {}, true],
    ['begins now', { notBefore: NOW }, true],
    ['begins in a second', { notBefore: NOW + 1 }, false],
    ['ends now', { notAfter: NOW }, false],
    ['ends in a second', { notAfter: NOW + 1 }, true],
    ['this environment', { environment: 'production' }, true],
    ['another environment', { environment: 'staging' }, false],
    ['one of two fails', { environment: 'production', notAfter: NOW }, false],
  ])('%s', (_what, when, holds) => {
    expect(isInForce(when, asked)).toBe(holds)
  })

  test.each<[string, GrantConditions, Partial<typeof asked>]>([
    ['a time that is not a number', { notBefore: Number.NaN }, {}],
    ['a clock that is not a number', { notAfter: NOW + 1 }, { now: Number.NaN }],
    ['an environment that is not named', { environment: 'production' }, { environment: '' }],
    ['a condition of a later version', { weather: 'fair' } as GrantConditions, {}],
  ])('%s cannot be told', (_what, when, change) => {
    expect(isInForce(when, { ...asked, ...change })).toBeUndefined()
  })

  test('what cannot be told matches in a deny and not in an allow', () => {
    const base = world((d) =>
      d.grants.push({
        ...d.grants[0],
        id: 'no',
        effect: 'deny',
        when: { environment: 'staging' },
      }),
    )
    const unknowable = { weather: 'fair' } as GrantConditions
    const changed = (effect: string): Registry => ({
      ...base,
      grants: base.grants.map((grant) => (grant.effect === effect ? { ...grant, when: unknowable } : grant)),
    })
    expect(granted(ask(base, query))).toEqual(query)
    expect(granted(decide(changed('deny'), question(base, query)))).toBeUndefined()
    expect(granted(decide(changed('allow'), question(base, query)))).toBeUndefined()
  })
})

test('principals are named apart by kind', () => {
  expect(principalsOf(asked).user).toEqual(['user:corp:alice', 'group:finance', 'role:analyst'])
  expect(principalsOf(asked).agents).toEqual(['agent:orchestrator', 'owner:alice@corp.example'])
  expect(principalsOf(asked).all).toEqual([...principalsOf(asked).user, ...principalsOf(asked).agents, asked.subject])
})

test('grants that name another principal or tool are not even looked at', () => {
  const registry = world((d) => {
    for (let n = 0; n < 500; n++) {
      d.grants.push({
        ...d.grants[0],
        id: `other-${n}`,
        principals: [{ group: `group-${n}` }],
      })
      d.grants.push({
        ...d.grants[0],
        id: `tool-${n}`,
        resources: [{ tool: 'insert' }],
      })
    }
  })
  const decision = ask(registry, query)
  expect(decision.grantsEvaluated).toBe(1)
  expect(decision.grantsMatched).toEqual(['all'])
})

describe('what is looked at', () => {
  /** The registry, and the ids of the grants of which somebody has looked at what they select. */
  function watched(registry: Registry): { readonly registry: Registry; readonly looked: string[] } {
    const looked: string[] = []
    const grants = registry.grants.map((grant) => ({
      ...grant,
      get resources() {
        looked.push(grant.id)
        return grant.resources
      },
    }))
    return { registry: { ...registry, grants }, looked }
  }
  const alone = (id: string, ...resources: ToolSelector[]) => ({
    id,
    effect: 'allow',
    principals: [{ group: 'finance' }],
    resources,
  })
  const prepared = (...grants: object[]) => {
    const base = world((d) => {
      d.resources[0].containers = ['q3', 'hr'].map((id) => ({ id, type: 'folder' }))
      d.grants = grants
    })
    const { registry, looked } = watched(base)
    atOnce(prepareGrants(registry))
    looked.length = 0
    return { registry, looked }
  }

  test('is what names the server, or else the tool, the project or the category, of the question', () => {
    const { registry, looked } = prepared(
      alone('server', { server: 'slack', category: 'read' }),
      alone('tool', { server: '*', tool: 'insert', project: 'analytics' }),
      alone('project', { tool: '*', project: 'default', category: 'read' }),
      alone('category', { server: '*', category: 'write' }),
      alone('container', { server: 'warehouse', container: 'hr' }),
      alone('here', { server: 'warehouse' }),
    )
    expect(ask(registry, query, { container: 'q3' }).outcome).toBe('allow')
    expect(looked).toEqual(['here'])
  })

  test('is looked at once, however often it names the same, and not again when the same is asked again', () => {
    const { registry, looked } = prepared(
      alone('often', { server: 'warehouse' }, { server: 'warehouse', tool: 'query' }, { server: 'warehouse' }),
    )
    for (let n = 0; n < 3; n++) expect(ask(registry, query).outcome).toBe('allow')
    expect(looked).toEqual(['often'])
  })

  test('of a version is read before its first question, or with it, and then never again', () => {
    for (const ahead of [true, false]) {
      let read = 0
      const base = world()
      const registry: Registry = {
        ...base,
        get grants() {
          read += 1
          return base.grants
        },
      }
      if (ahead) for (let n = 0; n < 2; n++) atOnce(prepareGrants(registry))
      expect(read).toBe(ahead ? 1 : 0)
      for (let n = 0; n < 2; n++) expect(granted(decide(registry, question(base, query)))).toEqual(query)
      expect(read).toBe(1)
    }
  })

  test('is forgotten after two hundred thousand other findings, and found again', () => {
    const groups = Array.from({ length: 1000 }, (_, n) => `g${n}`)
    const { registry, looked } = prepared({
      ...alone('all', { server: 'warehouse' }),
      principals: groups.map((group) => ({ group })),
    })
    const resource = registry.resource(WAREHOUSE)
    const tool = resource?.tools.get('query')
    if (resource === undefined || tool === undefined) throw new Error('no query')
    const principals = groups.map((group) => `group:${group}`)
    const lookedFor = (at: Tool) => {
      looked.length = 0
      expect(grantsFor(registry, { resource, tool: at, place: undefined }, principals)).toHaveLength(1)
      return looked.length
    }
    expect([lookedFor(tool), lookedFor(tool)]).toEqual([1000, 0])
    for (let n = 0; n < 199; n++) lookedFor({ ...tool })
    expect(lookedFor(tool)).toBe(0)
    lookedFor({ ...tool })
    expect(lookedFor(tool)).toBe(1000)
  })
})

test('a grant that names a principal twice is found once', () => {
  const registry = world(
    (d) => (d.grants[0].principals = [{ group: 'finance' }, { role: 'analyst' }, { group: 'finance' }]),
  )
  const [resource] = registry.resources
  const tool = resource?.tools.get('query')
  if (resource === undefined || tool === undefined) throw new Error('no query')
  const use = { resource, tool, place: undefined }
  expect(grantsFor(registry, use, principalsOf(asked).user)).toHaveLength(1)
  expect(grantsFor(registry, use, [])).toEqual([])
})

test('tools of one name at two servers have their own grants', () => {
  const registry = world((d) => {
    d.resources[1].enforces = 'arguments'
    d.resources[1].tools = { query: { category: 'read' } }
    d.grants[0].resources = [{ server: 'warehouse', tool: 'query' }]
  })
  expect(granted(ask(registry, { ...query, 'https://slack.example/mcp': { query: {} } }))).toEqual(query)
})
