import { describe, expect, test } from 'vitest'
import type { ResourceUrl } from '../../../src/kernel/ids.ts'
import { Rejection } from '../../../src/kernel/rejection.ts'
import type { IntentTools } from '../../../src/model/intent.ts'
import { askedAuthority } from '../../../src/policy/asked.ts'
import { FILES, SLACK, WAREHOUSE, world } from './world.ts'

function wanted(...entries: [url: string, ...tools: string[]][]): ReadonlyMap<ResourceUrl, IntentTools> {
  return new Map(
    entries.map(([url, ...tools]) => [
      url as ResourceUrl,
      { tools: new Map(tools.map((name) => [name, new Map()])), limits: {} },
    ]),
  )
}

const here = (registry = world()) => ({ registry, environment: 'production' })

function refusalOf(attempt: () => unknown): Rejection {
  try {
    attempt()
  } catch (fault) {
    if (fault instanceof Rejection) return fault
    throw fault
  }
  throw new Error('nothing was refused')
}

test('scopes come from the manifests of the resources, URLs as registered', () => {
  const asked = askedAuthority(
    here(),
    wanted(['https://WAREHOUSE.example:443/mcp/', 'query', 'insert'], [FILES, 'get', 'put']),
    9,
    2,
  )
  expect(asked).toEqual({
    resources: new Map([
      [
        WAREHOUSE,
        expect.objectContaining({
          scopes: ['mcp:tools:read', 'mcp:tools:write'],
        }),
      ],
      [FILES, expect.objectContaining({ scopes: ['files'] })],
    ]),
    notAfter: 9,
    maxDepth: 2,
  })
})

test('constraints and limits are passed on as they are', () => {
  const tools = new Map([['query', new Map([['limit', { maximum: 3 }]])]])
  const asked = askedAuthority(here(), new Map([[WAREHOUSE, { tools, limits: { maxCalls: 4 } }]]), 9, 0)
  expect(asked.resources.get(WAREHOUSE)).toEqual({
    scopes: ['mcp:tools:read'],
    tools,
    limits: { maxCalls: 4 },
  })
})

test('nothing asked is nothing', () => {
  expect(askedAuthority(here(), new Map(), 9, 0).resources.size).toBe(0)
  expect(askedAuthority(here(), wanted([WAREHOUSE]), 9, 0).resources.get(WAREHOUSE)?.scopes).toEqual([])
})

describe('a name that leads nowhere is refused before anything is decided', () => {
  const registry = world((d) => {
    d.resources[1].state = 'suspended'
    d.resources[2].state = 'testing'
  })

  test.each<[string, string, string[], string, string]>([
    [
      'an unknown resource',
      'https://unknown.example/mcp',
      ['query'],
      'resource_unknown',
      "'https://unknown.example/mcp'",
    ],
    ['a resource by its id', 'warehouse', ['query'], 'resource_malformed', 'absolute'],
    ['an inactive resource', SLACK, ['post'], 'resource_inactive', 'suspended'],
    ['one still in testing, in production', FILES, ['get'], 'resource_inactive', 'testing, and this is production'],
    ['an unknown tool', WAREHOUSE, ['query', 'qeury'], 'details_unknown', "'qeury'"],
    ['a name every object has', WAREHOUSE, ['constructor'], 'details_unknown', "'constructor'"],
  ])('%s', (_what, url, tools, reason, named) => {
    const refusal = refusalOf(() => askedAuthority(here(registry), wanted([url, ...tools]), 9, 0))
    expect(refusal.reason).toBe(reason)
    expect(refusal.message).toContain(named)
    if (url !== FILES) expect(refusal.message).not.toContain('files.example')
  })

  test('one resource in two spellings', () => {
    const twice = wanted([WAREHOUSE, 'query'], [`${WAREHOUSE}/`, 'insert'])
    const refusal = refusalOf(() => askedAuthority(here(registry), twice, 9, 0))
    expect(refusal.reason).toBe('details_malformed')
    expect(refusal.message).toContain(`'${WAREHOUSE}' is named twice`)
  })
})
