import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { alikeOf, saysAlike } from '../../../../src/sdk/verify/alike.ts'
import type { VerifiedToken } from '../../../../src/sdk/verify/verified-token.ts'

const OWN = ['iat', 'exp', 'nbf', 'jti', 'rv']
type Claims = Record<string, unknown>

const said = (claims: Claims) => alikeOf({ claims } as unknown as VerifiedToken, 'k1')
const rest = (claims: Claims) => Object.fromEntries(Object.entries(claims).filter(([name]) => !OWN.includes(name)))
/** As text: members in the order they stand in, as signers write them. */
const written = (claims: Claims) =>
  JSON.stringify(Object.entries(rest(claims)).toSorted(([one], [other]) => (one < other ? -1 : 1)))

const name = fc.oneof(fc.constantFrom(...OWN, 'sub', 'scope', 'act', 'constructor', 'toString'), fc.string())
const member = fc.oneof(
  fc.constantFrom('a', 'b', 0, 1, true, false, null, [], {}, { a: 1 }, { a: 2 }, { b: 1 }, ['a'], { toString: 'a' }),
  fc.jsonValue({ maxDepth: 2 }),
)
const claims = fc
  .dictionary(
    name.filter((one) => one !== '__proto__'),
    member,
    { maxKeys: 6, noNullPrototype: true },
  )
  .map((one) => JSON.parse(JSON.stringify(one)) as Claims)

describe('what two tokens say is alike', () => {
  test('exactly where nothing differs but their ids, times and numbers', () => {
    fc.assert(
      fc.property(claims, claims, (one, other) => {
        expect(saysAlike(other, said(one))).toBe(written(one) === written(other))
      }),
      { numRuns: 3_000 },
    )
  })

  test('whatever those are, or whether they are there', () => {
    fc.assert(
      fc.property(claims, fc.subarray(OWN), fc.subarray(OWN), (one, had, has) => {
        const of = (names: readonly string[], value: number) => Object.fromEntries(names.map((own) => [own, value]))
        expect(saysAlike({ ...of(has, 2), ...rest(one) }, said({ ...of(had, 1), ...rest(one) }))).toBe(true)
      }),
    )
  })

  test('not where one has a member more, or says with a member what the other inherits', () => {
    expect(saysAlike({ sub: 'a', act: {} }, said({ sub: 'a' }))).toBe(false)
    expect(saysAlike({ sub: 'a' }, said({ sub: 'a', act: {} }))).toBe(false)
    expect(saysAlike({ sub: 'a', x: 'b' }, said({ sub: 'a', constructor: 'b' }))).toBe(false)
    expect(saysAlike({ sub: 'a', x: {} }, said({ sub: 'a', constructor: {} }))).toBe(false)
  })
})
