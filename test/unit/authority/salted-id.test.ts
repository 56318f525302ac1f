import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { saltedId } from '../../../src/authority/salted-id.ts'

const byTheLibrary = (salt: string, text: string) =>
  createHmac('sha256', salt).update(text).digest().subarray(0, 16).toString('base64url')

test('an id on the feed is HMAC-SHA-256 of dimension and id, cut to 128 bits (RFC 2104)', () => {
  const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 80 }), fc.string({ minLength: 400, maxLength: 700 }))
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 80 }), text, (salt, id) => {
      expect(saltedId(salt, 'user', id)).toBe(byTheLibrary(salt, `user|${id}`))
    }),
    { numRuns: 500 },
  )
  expect(saltedId('s', 'session', 'ses_1')).toBe(byTheLibrary('s', 'session|ses_1'))
})

test('the same id has another name under another salt and in another dimension, however often they change', () => {
  const names = Array.from({ length: 40 }, (_, n) => saltedId(`salt-${n % 20}`, n < 20 ? 'user' : 'agent', 'x'))
  expect(new Set(names).size).toBe(40)
  expect(names[0]).toBe(byTheLibrary('salt-0', 'user|x'))
})
