/** The laws of authority: child ≤ parent over any number of hops, meet below both, and the store gives back what it was given. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Authority } from '../../src/authority/authority.ts'
import { argumentsRefusal } from '../../src/authority/constraints.ts'
import { decodeAuthority, encodeAuthority } from '../../src/authority/encode-authority.ts'
import {
  authorityScopes,
  isEmpty,
  meet,
  restrictToResources,
  restrictToScopes,
  strictlyNarrower,
  widening,
} from '../../src/authority/narrowing.ts'
import { isScopeSubset } from '../../src/protocol/scope.ts'
import { authority, callArguments, callsWithin, picks, SCOPES, URLS_KNOWN } from './authority-arbitraries.ts'

const isBelow = (child: Authority, parent: Authority) => widening(child, parent) === undefined
const isEquivalent = (a: Authority, b: Authority) => isBelow(a, b) && isBelow(b, a)

/** Drawn freely, or met with the first: so that `≤` holds often enough to test what follows from it. */
const pair = fc
  .tuple(authority, authority, fc.boolean())
  .map(([parent, other, met]): readonly [Authority, Authority] => [parent, met ? meet(parent, other) : other])

/** Beside those, the same but for the constraints of its tools: then nothing else tells narrower from wider. */
const anyPair = fc.oneof(
  pair,
  fc.tuple(authority, authority).map(([parent, other]) => [parent, withConstraintsOf(parent, other)] as const),
)

function withConstraintsOf(held: Authority, other: Authority): Authority {
  const constrained = [...held.resources].map(([url, resource]) => {
    const theirs = other.resources.get(url)?.tools
    const tools = [...resource.tools].map(([tool, own]) => [tool, theirs?.get(tool) ?? own] as const)
    return [url, { ...resource, tools: new Map(tools) }] as const
  })
  return { ...held, resources: new Map(constrained) }
}

function allowsCall(held: Authority, url: (typeof URLS_KNOWN)[number], tool: string, args: Record<string, unknown>) {
  const constraints = held.resources.get(url)?.tools.get(tool)
  return constraints !== undefined && argumentsRefusal(constraints, args) === undefined
}

describe('widening', () => {
  test('is reflexive and transitive', () => {
    let applicable = 0
    fc.assert(
      fc.property(pair, authority, fc.boolean(), ([a, b], other, met) => {
        const c = met ? meet(b, other) : other
        expect(widening(a, a)).toBeUndefined()
        if (!isBelow(c, b) || !isBelow(b, a)) return
        applicable++
        expect(widening(c, a)).toBeUndefined()
      }),
      { numRuns: 1000 },
    )
    expect(applicable).toBeGreaterThan(200)
  })

  test('is sound against evaluation: every call the child may make, the parent may make', () => {
    let applicable = 0
    fc.assert(
      fc.property(anyPair, callArguments, picks, ([parent, child], anyCall, picked) => {
        if (!isBelow(child, parent)) return
        for (const [url, resource] of child.resources) {
          for (const [tool, constraints] of resource.tools) {
            for (const args of [anyCall, ...callsWithin(constraints, picked)]) {
              if (!allowsCall(child, url, tool, args)) continue
              applicable++
              expect(allowsCall(parent, url, tool, args)).toBe(true)
            }
          }
        }
      }),
      { numRuns: 3000 },
    )
    expect(applicable).toBeGreaterThan(300)
  })
})

describe('meet', () => {
  test('is below both, and empty parts are gone', () => {
    let left = 0
    fc.assert(
      fc.property(authority, authority, (a, b) => {
        const met = meet(a, b)
        expect(widening(met, a)).toBeUndefined()
        expect(widening(met, b)).toBeUndefined()
        for (const resource of met.resources.values())
          expect(resource.scopes.length + resource.tools.size).toBeGreaterThan(0)
        if (!isEmpty(met)) left++
      }),
      { numRuns: 1000 },
    )
    expect(left).toBeGreaterThan(200)
  })

  test('is idempotent, commutative and associative up to equivalence', () => {
    fc.assert(
      fc.property(authority, authority, authority, (a, b, c) => {
        expect(isEquivalent(meet(a, a), a)).toBe(true)
        expect(isEquivalent(meet(a, b), meet(b, a))).toBe(true)
        expect(isEquivalent(meet(meet(a, b), c), meet(a, meet(b, c)))).toBe(true)
      }),
      { numRuns: 1000 },
    )
  })

  test('never leaves a scope at a resource whose tools have all gone', () => {
    fc.assert(
      fc.property(authority, authority, (a, b) => {
        for (const [url, resource] of meet(a, b).resources) {
          const hadTools = (a.resources.get(url)?.tools.size ?? 0) + (b.resources.get(url)?.tools.size ?? 0) > 0
          if (hadTools) expect(resource.tools.size).toBeGreaterThan(0)
        }
      }),
    )
  })
})

describe('a chain of hops', () => {
  test('narrows at every hop and over all of them, whatever each hop asks for', () => {
    let deep = 0
    fc.assert(
      fc.property(
        authority,
        fc.array(authority, { minLength: 1, maxLength: 6 }),
        callArguments,
        (root, asked, args) => {
          const hops = [root]
          for (const wish of asked) hops.push(meet(hops.at(-1) ?? root, wish))
          for (const [index, hop] of hops.entries()) {
            for (const ancestor of hops.slice(0, index + 1)) {
              expect(widening(hop, ancestor)).toBeUndefined()
              expect(isScopeSubset(authorityScopes(hop), authorityScopes(ancestor))).toBe(true)
              expect(hop.notAfter).toBeLessThanOrEqual(ancestor.notAfter)
              expect(hop.maxDepth).toBeLessThanOrEqual(ancestor.maxDepth)
            }
          }
          const last = hops.at(-1) ?? root
          if (!isEmpty(last)) deep++
          for (const [url, resource] of last.resources) {
            for (const tool of resource.tools.keys()) {
              if (!allowsCall(last, url, tool, args)) continue
              for (const hop of hops) expect(allowsCall(hop, url, tool, args)).toBe(true)
            }
          }
        },
      ),
      { numRuns: 800 },
    )
    expect(deep).toBeGreaterThan(50)
  })
})

describe('strictlyNarrower', () => {
  test('is irreflexive, asymmetric, and blind to time and depth', () => {
    let strict = 0
    fc.assert(
      fc.property(pair, ([parent, child]) => {
        expect(strictlyNarrower(parent, parent)).toBe(false)
        expect(strictlyNarrower({ ...parent, notAfter: -1, maxDepth: -1 }, parent)).toBe(false)
        if (!strictlyNarrower(child, parent)) return
        strict++
        expect(isBelow(child, parent)).toBe(true)
        expect(strictlyNarrower(parent, child)).toBe(false)
        expect(isBelow({ ...parent, notAfter: child.notAfter, maxDepth: child.maxDepth }, child)).toBe(false)
      }),
      { numRuns: 1000 },
    )
    expect(strict).toBeGreaterThan(100)
  })
})

describe('restricting', () => {
  const openedBy = (_url: string, tool: string) => ({ read: 'read', write: 'write' })[tool]

  test('to resources or scopes is never wider, and keeps nothing that was not asked for', () => {
    fc.assert(
      fc.property(authority, fc.subarray([...URLS_KNOWN]), fc.subarray(SCOPES), (held, urls, scopes) => {
        const byResource = restrictToResources(held, urls)
        expect(widening(byResource, held)).toBeUndefined()
        for (const url of byResource.resources.keys()) expect(urls).toContain(url)

        const byScope = restrictToScopes(held, scopes, openedBy)
        expect(widening(byScope, held)).toBeUndefined()
        expect(isScopeSubset(authorityScopes(byScope), scopes)).toBe(true)
        for (const [url, resource] of byScope.resources) {
          for (const tool of resource.tools.keys()) expect(resource.scopes).toContain(openedBy(url, tool))
        }
      }),
      { numRuns: 1000 },
    )
  })
})

describe('encoding for the store', () => {
  test('is undone by decoding, through JSON text', () => {
    fc.assert(
      fc.property(authority, (held) => {
        expect(decodeAuthority(JSON.parse(JSON.stringify(encodeAuthority(held))))).toEqual(held)
      }),
      { numRuns: 1000 },
    )
  })

  test('of a damaged record fails as a fault of ours, not as a mistake of the caller', () => {
    fc.assert(
      fc.property(authority, fc.nat(), fc.constantFrom('', '{', '"x":1,', '-', '9', 'e9'), (held, at, noise) => {
        const text = JSON.stringify(encodeAuthority(held))
        const index = at % text.length
        let damaged: unknown
        try {
          damaged = JSON.parse(text.slice(0, index) + noise + text.slice(index + 1))
        } catch {
          return
        }
        try {
          decodeAuthority(damaged)
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(Error)
          expect((thrown as Error).message).toContain('stored authority is malformed')
        }
      }),
      { numRuns: 2000 },
    )
  })
})
