import { describe, expect, test } from 'vitest'
import { namedResources, soleTarget } from '../../../../src/flows/frame/targets.ts'
import { reasonOf, SLACK, WAREHOUSE } from '../../sessions/fixtures.ts'
import { credentials, exchange, here, type Raw, registry, registryWith } from '../fixtures.ts'

describe('the resources a request names', () => {
  const named = (resources: readonly string[], audiences: readonly string[], audiencesToo = true) =>
    namedResources(exchange({ resources, audiences }), registry, audiencesToo).map((resource) => resource.url)

  test('are found by any spelling and given as registered', () => {
    expect(named(['https://WAREHOUSE.example:443/mcp/'], [])).toEqual([WAREHOUSE])
  })

  test('are each there once, however often they are named', () => {
    expect(named([WAREHOUSE, 'https://warehouse.example/mcp/', SLACK], ['warehouse', WAREHOUSE])).toEqual([
      WAREHOUSE,
      SLACK,
    ])
  })

  test('may be named with audience, by id or URL (RFC 8693 section 2.1)', () => {
    expect(named([], ['warehouse'])).toEqual([WAREHOUSE])
    expect(named([], [SLACK])).toEqual([SLACK])
  })

  test('where audience means an agent, it is not taken for a resource', () => {
    expect(named([WAREHOUSE], ['slack', 'nobody'], false)).toEqual([WAREHOUSE])
  })

  test('resource is a URL, never an id', async () => {
    expect(await reasonOf(() => named(['warehouse'], []))).toBe('resource_malformed')
  })

  test('one unknown name refuses the whole request', async () => {
    expect(await reasonOf(() => named([WAREHOUSE, 'https://evil.example/mcp'], []))).toBe('resource_unknown')
    expect(await reasonOf(() => named([WAREHOUSE], ['nobody']))).toBe('resource_unknown')
    expect(await reasonOf(() => named([WAREHOUSE], ['https://evil.example/mcp']))).toBe('resource_unknown')
  })
})

describe('the one target of an access token', () => {
  test('is the resource named', () => {
    expect(soleTarget(credentials({ resources: [WAREHOUSE] }), here(registry)).id).toBe('warehouse')
    expect(soleTarget(exchange({ resources: [WAREHOUSE], audiences: ['warehouse'] }), here(registry)).id).toBe(
      'warehouse',
    )
  })

  test('is never guessed, and never two', async () => {
    expect(await reasonOf(() => soleTarget(exchange(), here(registry)))).toBe('target_missing')
    expect(await reasonOf(() => soleTarget(exchange({ resources: [WAREHOUSE, SLACK] }), here(registry)))).toBe(
      'target_ambiguous',
    )
    expect(
      await reasonOf(() => soleTarget(exchange({ resources: [WAREHOUSE], audiences: ['slack'] }), here(registry))),
    ).toBe('target_ambiguous')
  })

  test.each(['suspended', 'retired'])('is refused while it is %s', async (state) => {
    const changed = registryWith((document: Raw) => {
      document.resources[0].state = state
    })
    expect(await reasonOf(() => soleTarget(exchange({ resources: [WAREHOUSE] }), here(changed)))).toBe(
      'resource_inactive',
    )
  })
})
