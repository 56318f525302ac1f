import { describe, expect, test } from 'vitest'
import type { Authority } from '../../../src/authority/authority.ts'
import { decodeAuthority, encodeAuthority } from '../../../src/authority/encode-authority.ts'
import type { ResourceUrl } from '../../../src/kernel/ids.ts'
import { Rejection } from '../../../src/kernel/rejection.ts'

const URL_A = 'https://a.example/mcp' as ResourceUrl
const AUTHORITY: Authority = {
  resources: new Map([
    [
      URL_A,
      {
        scopes: ['read', 'write'],
        tools: new Map([
          ['__proto__', new Map([['__proto__', { enum: ['a', 1, true] }]])],
          ['constructor', new Map()],
        ]),
        limits: { maxCalls: 3 },
      },
    ],
  ]),
  notAfter: 1_800_000_000,
  maxDepth: 1,
}

describe('the round trip', () => {
  test('keeps tools and arguments called __proto__ and constructor', () => {
    const text = JSON.stringify(encodeAuthority(AUTHORITY))
    expect(text).toContain('"__proto__":{"__proto__":{"enum":["a",1,true]}}')
    expect(decodeAuthority(JSON.parse(text))).toEqual(AUTHORITY)
  })

  test('says nothing of limits where there are none', () => {
    const resources = new Map([...AUTHORITY.resources].map(([url, at]) => [url, { ...at, limits: {} }]))
    expect(JSON.stringify(encodeAuthority({ ...AUTHORITY, resources }))).not.toContain('limits')
  })

  test('keeps the empty authority empty', () => {
    const empty = { resources: new Map(), notAfter: 0, maxDepth: 0 }
    expect(decodeAuthority(JSON.parse(JSON.stringify(encodeAuthority(empty))))).toEqual(empty)
  })
})

describe('decodeAuthority', () => {
  const good = { scopes: ['read'], tools: { query: {} } }
  const record = (resource: object) => ({ resources: { [URL_A]: resource }, notAfter: 1, maxDepth: 1 })
  const damaged: readonly [string, unknown][] = [
    ['nothing', undefined],
    ['a string', '{}'],
    ['an empty object', {}],
    ['no resources', { notAfter: 1, maxDepth: 1 }],
    ['resources as an array', { resources: [], notAfter: 1, maxDepth: 1 }],
    ['no end of life', { resources: {}, maxDepth: 1 }],
    ['an end of life that is no integer', { resources: {}, notAfter: 1.5, maxDepth: 1 }],
    ['a negative depth', { resources: {}, notAfter: 1, maxDepth: -1 }],
    ['an unknown member', { resources: {}, notAfter: 1, maxDepth: 1, everything: true }],
    ['a key that is no resource URL', { resources: { '*': good }, notAfter: 1, maxDepth: 1 }],
    ['a resource without scopes', record({ tools: {} })],
    ['a scope that is two', record({ ...good, scopes: ['read write'] })],
    ['a scope that is no string', record({ ...good, scopes: [1] })],
    ['scopes as a string', record({ ...good, scopes: 'read' })],
    ['a resource without tools', record({ scopes: [] })],
    ['an unknown constraint', record({ ...good, tools: { query: { a: { pattern: '' } } } })],
    ['an unknown limit', record({ ...good, limits: { maxBytes: 1 } })],
  ]
  test.each(damaged)('fails on %s, as a fault of ours and not of the caller', (_title, value) => {
    let thrown: unknown
    try {
      decodeAuthority(value)
    } catch (error) {
      thrown = error
    }
    expect(thrown).toBeInstanceOf(Error)
    expect(thrown).not.toBeInstanceOf(Rejection)
    expect(decodeAuthority(record(good)).resources.size).toBe(1)
  })
})
