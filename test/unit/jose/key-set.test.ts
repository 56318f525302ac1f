import { describe, expect, it } from 'vitest'
import { KeySet, parseKeySet } from '../../../src/jose/key-set.ts'
import { JWKS_KEYS_MAX } from '../../../src/kernel/limits.ts'
import { outcome, testKey } from './fixtures.ts'

const a = testKey('ES256', 'a')
const b = testKey('ES256', 'b')
const rsa = testKey('RS256', 'r')
const okp = testKey('Ed25519', 'o')
const ALL = ['ES256', 'RS256', 'PS256', 'EdDSA']
const without = (jwk: Record<string, unknown>, ...names: string[]): Record<string, unknown> =>
  Object.fromEntries(Object.entries(jwk).filter(([name]) => !names.includes(name)))

describe('choosing a key', () => {
  const keys = KeySet.of([a.verification, b.verification, rsa.verification, okp.verification])

  it('goes by kid and algorithm together', () => {
    expect(keys.select('a', 'ES256')).toBe(a.verification)
    expect(keys.select('b', 'ES256')).toBe(b.verification)
    expect(keys.select('a', 'RS256')).toBeUndefined()
    expect(keys.select('r', 'PS256')).toBeUndefined()
    expect(keys.select('unknown', 'ES256')).toBeUndefined()
    expect(keys.select('a', 'none')).toBeUndefined()
    expect(keys.select('a', 'HS256')).toBeUndefined()
  })

  it('refuses to guess when a token names no key and two could have signed (H08)', () => {
    expect(keys.select(undefined, 'ES256')).toBeUndefined()
    expect(keys.select(undefined, 'RS256')).toBe(rsa.verification)
    expect(KeySet.of([]).select(undefined, 'ES256')).toBeUndefined()
  })

  it('does not let a named token fall back to a key without a name', () => {
    const nameless = KeySet.of([{ ...a.verification, kid: undefined }])
    expect(nameless.select('a', 'ES256')).toBeUndefined()
    expect(nameless.select(undefined, 'ES256')?.key).toBe(a.verification.key)
  })

  it('takes EdDSA for Ed25519', () => {
    expect(keys.select('o', 'EdDSA')).toBe(okp.verification)
    expect(keys.select('o', 'Ed25519')).toBe(okp.verification)
  })

  it('refuses two keys of one name', async () => {
    const twin = { ...b.verification, kid: 'a' }
    expect(await outcome(() => KeySet.of([a.verification, twin]))).toBe('key')
  })

  it('says which names it has', () => {
    expect([keys.has('a'), keys.has('unknown'), keys.size]).toEqual([true, false, 4])
  })
})

describe('reading a JWK set (RFC 7517 section 5)', () => {
  it('keeps the usable keys, and says why the others are not used', () => {
    const weak = testKey('RS256', 'w').jwk
    const keys = parseKeySet(
      {
        keys: [
          a.jwk,
          { ...b.jwk, use: 'enc' },
          { ...rsa.jwk, alg: 'RS512' },
          { kty: 'AKP', alg: 'ML-DSA-44', pub: 'AQ', kid: 'pq' },
          { ...weak, e: 'AQ' },
          okp.jwk,
        ],
      },
      ALL,
    )
    expect(keys.size).toBe(2)
    expect(keys.select('a', 'ES256')?.alg).toBe('ES256')
    expect(keys.select('b', 'ES256')).toBeUndefined()
    expect(keys.skipped.map(({ index }) => index)).toEqual([1, 2, 3, 4])
    expect(keys.skipped.every(({ reason }) => reason.length > 10)).toBe(true)
  })

  it('gives an RSA key without alg one entry per RSA algorithm the issuer may use', () => {
    const keys = parseKeySet({ keys: [without(rsa.jwk, 'alg')] }, ['ES256', 'RS256', 'PS256'])
    expect(keys.select('r', 'RS256')?.alg).toBe('RS256')
    expect(keys.select('r', 'PS256')?.alg).toBe('PS256')
    expect(keys.select('r', 'RS512')).toBeUndefined()
    expect(parseKeySet({ keys: [without(rsa.jwk, 'alg')] }, ['ES256']).size).toBe(0)
  })

  it('allows nothing where the issuer has no algorithms', () => {
    expect(parseKeySet({ keys: [a.jwk, rsa.jwk] }, []).size).toBe(0)
    expect(parseKeySet({ keys: [a.jwk] }, ['none', 'HS256']).size).toBe(0)
  })

  it('reads an empty set as an issuer that has withdrawn its keys', () => {
    expect(parseKeySet({ keys: [] }, ALL).size).toBe(0)
  })

  it.each<[string, unknown]>([
    ['two keys of one kid (H08)', { keys: [a.jwk, { ...b.jwk, kid: 'a' }] }],
    ['two keys of one kid, one for encryption', { keys: [a.jwk, { ...b.jwk, kid: 'a', use: 'enc' }] }],
    ['two keys of one kid, of different types', { keys: [a.jwk, { ...rsa.jwk, kid: 'a' }] }],
    ['a private key among public ones (H08)', { keys: [a.jwk, { ...b.privateKey.export({ format: 'jwk' }) }] }],
    ['a private key for encryption', { keys: [a.jwk, { ...b.privateKey.export({ format: 'jwk' }), use: 'enc' }] }],
    ['a symmetric key among public ones (H02)', { keys: [a.jwk, { kty: 'oct', k: 'c2VjcmV0', kid: 'h' }] }],
    ['more keys than its bound', { keys: Array.from({ length: JWKS_KEYS_MAX + 1 }, () => without(a.jwk, 'kid')) }],
    ['a key that is no object', { keys: [a.jwk, null] }],
    ['keys as an object', { keys: { a: a.jwk } }],
    ['no keys', {}],
    ['a bare list', [a.jwk]],
    ['null', null],
    ['text', 'keys'],
  ])('refuses the whole document for %s', async (_, document) => {
    expect(await outcome(() => parseKeySet(document, ALL))).toBe('key')
  })
})
