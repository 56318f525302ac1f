import { describe, expect, test } from 'vitest'
import type { GrantConditions, Registry } from '../../../src/model/registry.ts'
import { decide } from '../../../src/policy/decide.ts'
import { grantsFor, isInForce, principalsOf } from '../../../src/policy/grant-index.ts'
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
