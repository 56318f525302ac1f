import fc from 'fast-check'
import { expect, test } from 'vitest'
import { sha256 } from '../../../src/kernel/digest.ts'
import { atOnce } from '../../../src/kernel/slices.ts'
import { canonicalDigest, canonicalJson } from '../../../src/registry/canonical-json.ts'

test('the order of keys does not show, the order of arrays does', () => {
  expect(canonicalJson({ b: [2, 1], a: { d: null, c: 'x"y' } })).toBe('{"a":{"c":"x\\"y","d":null},"b":[2,1]}')
  expect(canonicalJson([1, 2])).not.toBe(canonicalJson([2, 1]))
})

test('it says what JSON says, for any JSON', () => {
  fc.assert(
    fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
      expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)))
    }),
  )
})

test('an absent member and one that is undefined are the same', () => {
  expect(canonicalJson({ a: 1, b: undefined })).toBe(canonicalJson({ a: 1 }))
})

test('a digest that is made in pieces is the digest of the whole text, and no piece holds more than an entry of a list', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(atOnce(canonicalDigest(value))).toBe(sha256(canonicalJson(value)))
    }),
  )
  const pieces = [...canonicalDigest({ grants: Array.from({ length: 250 }, (_, id) => ({ id })) })]
  expect(pieces).toHaveLength(250)
})
