/** Which rules a token's claims fulfil: as the plain reading says, all of a rule's claims, exactly, and never a rule of none. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { claimAt } from '../../src/jose/claim-at.ts'
import type { ClaimRule, ClaimValue } from '../../src/model/workload.ts'
import { ClaimIndex } from '../../src/registry/workloads/claim-index.ts'
import { parseClaimPath } from '../../src/registry/workloads/claim-path.ts'

const NAMES = ['sub', 'a', 'b', 'kubernetes.io', '/', 'toString', '__proto__']
const name = fc.constantFrom(...NAMES)
const leaf: fc.Arbitrary<ClaimValue> = fc.constantFrom('x', 'y', '1', 1, 0, true, false, '')
const path = fc.array(name, { minLength: 1, maxLength: 3 })
const rules: fc.Arbitrary<ClaimRule[]> = fc.array(fc.record({ path, value: leaf }), { maxLength: 3 })

/** Own members, `__proto__` among them, as a strict JSON parser makes them. */
const claims = fc.letrec((tie) => ({
  value: fc.oneof({ depthSize: 'small' }, leaf, fc.constant(null), fc.array(leaf, { maxLength: 2 }), tie('object')),
  object: fc
    .array(fc.tuple(name, tie('value')), { maxLength: 4 })
    .map((entries) => Object.fromEntries(entries) as Record<string, unknown>),
})).object as fc.Arbitrary<Record<string, unknown>>

/** Spelled out: what stands at the path is there, and is that very value. */
function fulfils(given: unknown, { path, value }: ClaimRule): boolean {
  const [first, ...rest] = path
  if (first === undefined) return given === value
  if (given === null || typeof given !== 'object' || Array.isArray(given)) return false
  const own = Object.entries(given).find(([key]) => key === first)
  return own !== undefined && fulfils(own[1], { path: rest, value })
}

test('an index finds exactly the rules that are fulfilled, however many there are', () => {
  fc.assert(
    fc.property(fc.array(rules, { maxLength: 12 }), claims, (all, given) => {
      const index = new ClaimIndex<number>()
      all.forEach((one, position) => {
        index.add(one, position)
      })
      const found = [...index.fulfilled((wanted) => claimAt(given, wanted))].sort((a, b) => a - b)
      const expected = all.flatMap((one, position) =>
        one.length > 0 && one.every((rule) => fulfils(given, rule)) ? [position] : [],
      )
      expect(found).toEqual(expected)
    }),
    { numRuns: 2_000 },
  )
})

test('a token that says all that is asked, and more, is found; without one of them, or with another value, it is not', () => {
  const asked = fc.uniqueArray(fc.tuple(name, leaf), { minLength: 1, maxLength: 4, selector: ([key]) => key })
  const found = (rules: readonly (readonly [string, ClaimValue])[], given: readonly (readonly [string, unknown])[]) => {
    const index = new ClaimIndex<string>()
    index.add(
      rules.map(([key, value]) => ({ path: [key], value })),
      'found',
    )
    return index.fulfilled((wanted) => claimAt(Object.fromEntries(given), wanted)).length > 0
  }
  fc.assert(
    fc.property(
      asked,
      fc.array(fc.tuple(fc.constantFrom('m', 'n'), leaf)),
      leaf,
      fc.nat(3),
      (rules, more, other, at) => {
        expect(found(rules, [...more, ...rules])).toBe(true)
        const [key, value] = rules[at % rules.length] ?? ['', '']
        const rest = rules.filter(([one]) => one !== key)
        expect(found(rules, [...more, ...rest])).toBe(false)
        expect(found(rules, [...more, ...rest, [key, other]])).toBe(other === value)
        expect(found(rules, [...more, ...rest, [key, [value]]])).toBe(false)
      },
    ),
  )
})

test('a path is a name, or a JSON Pointer that leads back to its names (RFC 6901 §3, §4)', () => {
  const pointer = (names: readonly string[]) =>
    names.map((one) => `/${one.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
  const step = fc.string({ minLength: 1, maxLength: 12 })
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 4 }), (names) => {
      expect(parseClaimPath(pointer(names))).toEqual(names)
    }),
  )
  fc.assert(
    fc.property(
      step.filter((one) => !one.startsWith('/')),
      (one) => {
        expect(parseClaimPath(one)).toEqual([one])
      },
    ),
  )
})
