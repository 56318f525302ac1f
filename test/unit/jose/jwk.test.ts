import { createSecretKey, generateKeyPairSync } from 'node:crypto'
import { calculateJwkThumbprint } from 'jose'
import { describe, expect, it } from 'vitest'
import { encodeBase64url } from '../../../src/jose/base64url.ts'
import { importPublicJwk, publicMembers, thumbprint } from '../../../src/jose/jwk.ts'
import { checkRsaKey } from '../../../src/jose/rsa-modulus.ts'
import { outcome, testKey } from './fixtures.ts'

const ec = testKey('ES256').jwk
const rsa = testKey('RS256').jwk
const okp = testKey('Ed25519').jwk
const without = (jwk: Record<string, unknown>, ...names: string[]): Record<string, unknown> =>
  Object.fromEntries(Object.entries(jwk).filter(([name]) => !names.includes(name)))
const refusal = (jwk: unknown, alg?: string): Promise<string> => outcome(() => importPublicJwk(jwk, alg))

describe('importing a public JWK', () => {
  it.each([
    'ES256',
    'ES384',
    'ES512',
    'RS256',
    'RS384',
    'RS512',
    'PS256',
    'PS384',
    'PS512',
    'Ed25519',
  ])('binds a key for %s to it', (alg) => {
    const { alg: bound, kid, key } = importPublicJwk(testKey(alg, 'k').jwk)
    expect({ bound, kid, type: key.type }).toEqual({ bound: alg, kid: 'k', type: 'public' })
  })

  it('takes the algorithm from the curve where there is no alg', () => {
    expect(importPublicJwk(without(ec, 'alg', 'kid'))).toMatchObject({ alg: 'ES256', kid: undefined })
    expect(importPublicJwk(without(okp, 'alg')).alg).toBe('Ed25519')
    expect(importPublicJwk({ ...okp, alg: 'EdDSA' }, 'Ed25519').alg).toBe('Ed25519')
  })

  it('never guesses the algorithm of an RSA key (hono CVE-2026-22817)', async () => {
    expect(await refusal(without(rsa, 'alg'))).toBe('key')
    expect(importPublicJwk(without(rsa, 'alg'), 'PS256').alg).toBe('PS256')
  })

  it.each<[string, Record<string, unknown>, string | undefined]>([
    ['ES384 for a P-256 key (H03)', { ...ec, alg: 'ES384' }, undefined],
    ['RS256 for an EC key (H03)', { ...ec, alg: 'RS256' }, undefined],
    ['PS256 asked of a key for RS256 (H03)', rsa, 'PS256'],
    ['ES256 asked of an Ed25519 key', without(okp, 'alg'), 'ES256'],
    ['EdDSA for a P-256 key', { ...ec, alg: 'EdDSA' }, undefined],
    ['HS256 for an RSA key (H02)', { ...rsa, alg: 'HS256' }, undefined],
    ['HS256 asked (H02)', without(rsa, 'alg'), 'HS256'],
    ['none', { ...ec, alg: 'none' }, undefined],
    ['alg null', { ...ec, alg: null }, undefined],
    ['alg as a list', { ...ec, alg: ['ES256'] }, undefined],
    ['Ed448', { kty: 'OKP', crv: 'Ed448', x: 'A'.repeat(76) }, undefined],
    ['secp256k1', { ...without(ec, 'alg'), crv: 'secp256k1' }, undefined],
    ['X25519', { ...without(okp, 'alg'), crv: 'X25519' }, undefined],
    ['a curve of another key type', { ...without(okp, 'alg'), crv: 'P-256' }, undefined],
  ])('refuses %s', async (_, jwk, alg) => {
    expect(await refusal(jwk, alg)).toBe('key')
  })

  it.each<[string, Record<string, unknown>]>([
    ['use: enc (H19)', { use: 'enc' }],
    ['use: null', { use: null }],
    ['use of another case', { use: 'SIG' }],
    ['key_ops without verify (H19)', { key_ops: ['sign'] }],
    ['empty key_ops', { key_ops: [] }],
    ['key_ops as a string', { key_ops: 'verify' }],
    ['key_ops mixed with encryption', { key_ops: ['verify', 'encrypt'] }],
    ['an empty kid', { kid: '' }],
    ['a numeric kid', { kid: 7 }],
    ['a kid of 257 characters', { kid: 'k'.repeat(257) }],
    ['a numeric x', { x: 7 }],
    ['no y', { y: undefined }],
    ['no kty', { kty: undefined }],
    ['an unknown kty', { kty: 'AKP' }],
  ])('refuses %s', async (_, change) => {
    expect(await refusal({ ...ec, ...change })).toBe('key')
  })

  it('accepts use sig and key_ops verify', () => {
    expect(importPublicJwk({ ...ec, use: 'sig', key_ops: ['verify'] }).alg).toBe('ES256')
  })

  it.each(['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'])('refuses the private member %s', async (member) => {
    expect(await refusal({ ...rsa, [member]: 'AQ' })).toBe('key')
    expect(await refusal({ ...ec, [member]: 'AQ' })).toBe('key')
  })

  it('refuses a symmetric key, whatever it calls itself', async () => {
    const oct = createSecretKey(Buffer.alloc(32, 7)).export({ format: 'jwk' })
    expect(await refusal(oct)).toBe('key')
    expect(await refusal({ ...oct, alg: 'ES256', kty: 'EC' })).toBe('key')
  })

  it.each([null, undefined, 'a', 1, [], [ec]])('refuses %j, which is no JWK', async (value) => {
    expect(await refusal(value)).toBe('key')
  })

  it('refuses a point off its curve (invalid-curve attack, H19)', async () => {
    const y = Buffer.from(String(ec.y), 'base64url')
    y[31] = (y[31] ?? 0) ^ 1
    expect(await refusal({ ...ec, y: encodeBase64url(y) })).toBe('key')
    expect(await refusal({ ...ec, x: encodeBase64url(Buffer.alloc(32)), y: encodeBase64url(Buffer.alloc(32)) })).toBe(
      'key',
    )
  })

  it('refuses coordinates of another length, padded or cut', async () => {
    const x = Buffer.from(String(ec.x), 'base64url')
    expect(await refusal({ ...ec, x: encodeBase64url(Buffer.concat([Buffer.alloc(1), x])) })).toBe('key')
    expect(await refusal({ ...ec, x: encodeBase64url(x.subarray(1)) })).toBe('key')
    expect(await refusal({ ...okp, x: 'AAAA' })).toBe('key')
  })

  it('refuses non-canonical base64url, which would give one key two spellings', async () => {
    expect(await refusal({ ...ec, x: `${ec.x}=` })).toBe('malformed')
    expect(await refusal({ ...rsa, n: `${rsa.n}\n` })).toBe('malformed')
  })
})

describe('RSA keys', () => {
  const integer = (value: bigint): Buffer => {
    const hex = value.toString(16)
    return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex')
  }
  const honest = Buffer.from(String(rsa.n), 'base64url')
  const f4 = Buffer.from([1, 0, 1])
  const check = (n: Buffer, e: Buffer = f4): Promise<string> => outcome(() => checkRsaKey(n, e))

  it('accepts an honest modulus with the usual exponents', async () => {
    expect(await check(honest)).toBe('accepted')
    expect(await check(honest, Buffer.from([3]))).toBe('accepted')
  })

  it.each([
    ['e = 0', Buffer.from([0])],
    ['e = 1, under which every message signs itself (H19)', Buffer.from([1])],
    ['an even e', Buffer.from([2])],
    ['another even e', Buffer.from([1, 0, 0])],
    ['an e of 33 bits', Buffer.from([1, 0, 0, 0, 1])],
    ['a leading zero', Buffer.from([0, 1, 0, 1])],
    ['no e', Buffer.alloc(0)],
  ])('refuses %s', async (_, e) => {
    expect(await check(honest, e)).toBe('key')
  })

  it('refuses 1024 bits (H19), 2047 bits, and more than 8192', async () => {
    const small = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' })
    expect(await refusal({ ...small, alg: 'RS256' })).toBe('key')
    expect(await check(integer((1n << 2046n) + 1n))).toBe('key')
    expect(await check(integer((1n << 8192n) + 1n))).toBe('key')
    expect(await check(Buffer.concat([Buffer.alloc(1), honest]))).toBe('key')
  })

  it('refuses an even modulus', async () => {
    expect(await check(integer(1n << 2047n))).toBe('key')
  })

  it('refuses a modulus with the ROCA fingerprint (CVE-2017-15361, H19) and only that', async () => {
    const primes =
      '3 5 7 11 13 17 19 23 29 31 37 41 43 47 53 59 61 67 71 73 79 83 89 97 101 103 107 109 113 127 131 137'
    const all = `${primes} 139 149 151 157 163 167`.split(' ').map(BigInt)
    const product = all.reduce((a, b) => a * b)
    const residue = (65_537n ** 12n * 65_537n ** 9n) % product
    // An even multiple of an odd product leaves the parity of the residue.
    let n = product * ((1n << 2047n) / product + 2n) + residue
    if (n % 2n === 0n) n += product
    expect(await check(integer(n))).toBe('key')
    expect(() => checkRsaKey(integer(n), f4)).toThrow('ROCA')
    expect(await check(integer(n + 2n))).toBe('accepted')
  })
})

describe('thumbprints (RFC 7638)', () => {
  it('are those of the RFC for its example key (section 3.1)', () => {
    const n =
      '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw'
    expect(thumbprint({ kty: 'RSA', n, e: 'AQAB', alg: 'RS256', kid: '2011-04-29' })).toBe(
      'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs',
    )
  })

  it.each(['ES256', 'ES384', 'ES512', 'RS256', 'Ed25519'])('agree with jose for %s', async (alg) => {
    const { jwk } = testKey(alg)
    expect(thumbprint(jwk)).toBe(await calculateJwkThumbprint(jwk, 'sha256'))
  })

  it('ignore members that are not part of the key, and their order', () => {
    const reversed = Object.fromEntries(Object.entries(ec).reverse())
    expect(thumbprint({ ...reversed, use: 'sig', x5c: ['a'] })).toBe(thumbprint(ec))
  })

  it('need the members they are made of', async () => {
    expect(await outcome(() => thumbprint(without(ec, 'y')))).toBe('key')
    expect(await outcome(() => publicMembers({ kty: 'oct', k: 'AQ' }))).toBe('key')
  })
})
