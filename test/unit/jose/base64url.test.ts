import { describe, expect, it } from 'vitest'
import { decodeBase64url, encodeBase64url } from '../../../src/jose/base64url.ts'
import { outcome } from './fixtures.ts'

describe('base64url (RFC 7515 section 2)', () => {
  it('decodes what it encodes, of every length', () => {
    for (let length = 0; length < 70; length += 1) {
      const bytes = Uint8Array.from({ length }, (_, index) => (index * 37 + length) % 256)
      expect(new Uint8Array(decodeBase64url(encodeBase64url(bytes), 'it'))).toEqual(bytes)
    }
  })

  it('encodes a view by its own range, not by the buffer under it', () => {
    expect(encodeBase64url(new Uint8Array([0, 1, 2, 3, 4]).subarray(1, 3))).toBe('AQI')
  })

  it.each([
    ['padding', 'Zm8='],
    ['a space inside', 'Zm 9v'],
    ['a trailing newline', 'Zm9v\n'],
    ['the alphabet of plain base64', '-_8+'],
    ['a slash', '/w'],
    ['non-zero trailing bits', 'Zh'],
    ['a length of 1 mod 4', 'Zm9vZ'],
    ['a letter outside ASCII', 'Zm9é'],
    ['a NUL', 'Zm9v\u0000'],
    ['a dot', 'Zm.v'],
  ])('refuses %s, so that a token has one spelling', async (_, text) => {
    expect(await outcome(() => decodeBase64url(text, 'it'))).toBe('malformed')
  })
})
