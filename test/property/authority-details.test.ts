/** `authorization_details`: any JSON is parsed or refused, and what a token carries for a resource reads back the same. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodeResourceDetails, parseDetails } from '../../src/authority/details.ts'
import { Rejection } from '../../src/kernel/rejection.ts'
import { authority } from './authority-arbitraries.ts'

const intentObject = fc.record(
  {
    type: fc.constant('agent_intent'),
    purpose: fc.constantFrom('Do the work', 'Summarise Q3 für alle'),
    origin: fc.record({ type: fc.constantFrom('user_request', 'schedule'), ref: fc.constant('m-1') }),
    expires_in: fc.integer({ min: 1, max: 1000 }),
    max_depth: fc.integer({ min: 0, max: 5 }),
  },
  { requiredKeys: ['type', 'purpose', 'origin'] },
)

const wellFormed = fc
  .tuple(fc.option(intentObject, { nil: undefined }), authority)
  .map(([intent, held]): unknown[] => [
    ...(intent === undefined ? [] : [intent]),
    ...[...held.resources].map(([url, resource]) => encodeResourceDetails(url, resource)),
  ])

/** Well-formed details in which one place, anywhere in the tree, was replaced, removed, repeated or added to. */
const damaged = fc
  .tuple(wellFormed, fc.nat(), fc.constantFrom('replace', 'remove', 'repeat', 'add'), fc.jsonValue({ maxDepth: 1 }))
  .map(([details, at, damage, value]) => {
    const copy = JSON.parse(JSON.stringify(details)) as unknown[]
    const places: [Record<string, unknown>, string][] = []
    const walk = (node: unknown): void => {
      if (typeof node !== 'object' || node === null) return
      for (const key of Object.keys(node)) {
        places.push([node as Record<string, unknown>, key])
        walk((node as Record<string, unknown>)[key])
      }
    }
    walk(copy)
    const place = places[at % Math.max(1, places.length)]
    if (place === undefined) return copy
    const [parent, key] = place
    if (damage === 'replace') parent[key] = value
    else if (damage === 'add' && !Array.isArray(parent)) parent.extra = value
    else if (Array.isArray(parent))
      parent.splice(Number(key), damage === 'remove' ? 1 : 0, ...(damage === 'remove' ? [] : [parent[Number(key)]]))
    else delete parent[key]
    return copy
  })

describe('parseDetails', () => {
  test('answers any JSON with details or a Rejection of the three details reasons, and never with another throw', () => {
    const seen: Record<string, number> = { parsed: 0, details_malformed: 0, details_unknown: 0, details_empty: 0 }
    fc.assert(
      fc.property(fc.oneof(wellFormed, { weight: 4, arbitrary: damaged }, fc.jsonValue()), (value) => {
        let outcome = 'parsed'
        try {
          const { tools } = parseDetails(value)
          for (const asked of tools.values()) expect(asked.tools.size).toBeGreaterThan(0)
        } catch (thrown) {
          if (!(thrown instanceof Rejection)) throw thrown
          outcome = thrown.reason
          expect(thrown.message).toMatch(/^authorization_details/)
        }
        expect(Object.keys(seen)).toContain(outcome)
        seen[outcome] = (seen[outcome] ?? 0) + 1
      }),
      { numRuns: 3000 },
    )
    expect(Math.min(...Object.values(seen))).toBeGreaterThan(80)
  })

  test('undoes encodeResourceDetails, for any tool and argument name', () => {
    let compared = 0
    fc.assert(
      fc.property(authority, (held) => {
        for (const [location, resource] of held.resources) {
          if (resource.tools.size === 0) continue
          const text = JSON.stringify([encodeResourceDetails(location, resource)])
          const parsed = parseDetails(JSON.parse(text)).tools
          expect([...parsed]).toEqual([[location, { tools: resource.tools, limits: resource.limits }]])
          compared++
        }
      }),
      { numRuns: 500 },
    )
    expect(compared).toBeGreaterThan(200)
  })
})
