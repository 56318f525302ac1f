import { describe, expect, test } from 'vitest'
import type { ResourceUrl } from '../../../src/kernel/ids.ts'
import type { Service } from '../../../src/model/client.ts'
import { reachable } from '../../../src/policy/reachable.ts'
import { fullAuthority, registry, toolsIn } from '../flows/fixtures.ts'
import { SLACK, WAREHOUSE } from '../sessions/fixtures.ts'

const held = fullAuthority()
const of = (...manifest: readonly Service['manifest'][number]['selector'][]) =>
  reachable(held, { manifest: manifest.map((selector) => ({ selector, constraints: new Map() })) }, registry)

describe('what a server could go on to', () => {
  test('is nothing where its manifest says nothing', () => {
    expect(of().resources.size).toBe(0)
    expect(of({ server: 'wiki' }).resources.size).toBe(0)
  })

  test('is of what is held the tools that some entry names, with the scopes that open them and their constraints', () => {
    const some = of({ server: 'warehouse', tool: 'query' })
    expect(toolsIn(some)).toEqual({ [WAREHOUSE]: ['query'] })
    const there = some.resources.get(WAREHOUSE as ResourceUrl)
    expect(there?.scopes).toEqual(['mcp:tools:read'])
    expect(there?.tools.get('query')).toBe(held.resources.get(WAREHOUSE as ResourceUrl)?.tools.get('query'))
    expect(toolsIn(of({ category: 'write' }))).toEqual({ [SLACK]: ['post_message'] })
  })

  test('is never more than is held, wherever its manifest reaches', () => {
    expect(toolsIn(of({ server: '*' }))).toEqual(toolsIn(held))
  })
})
