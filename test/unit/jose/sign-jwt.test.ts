import { importJWK, type JWK, jwtVerify, SignJWT } from 'jose'
import { describe, expect, it } from 'vitest'
import { decodeJwt } from '../../../src/jose/decode-jws.ts'
import { signJwt } from '../../../src/jose/sign-jwt.ts'
import { verifyJwt } from '../../../src/jose/verify-jwt.ts'
import { Secret } from '../../../src/kernel/secret.ts'
import { AUDIENCE, goodClaims, goodRules, ISSUER, NOW, outcome, testKey } from './fixtures.ts'

const ALGORITHMS = ['ES256', 'ES384', 'ES512', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'Ed25519']

describe('signing', () => {
  it('writes exactly alg, kid and typ into the header', async () => {
    const key = testKey('ES256', 'k')
    const text = await signJwt(key.signing, 'at+jwt', goodClaims())
    expect(JSON.parse(Buffer.from(text.split('.')[0] ?? '', 'base64url').toString())).toEqual({
      alg: 'ES256',
      kid: 'k',
      typ: 'at+jwt',
    })
    expect(decodeJwt(new Secret(text)).claims).toEqual(goodClaims())
  })

  it('refuses a key without a name, a token without a kind, and unknown algorithms', async () => {
    const { signing } = testKey('ES256')
    expect(await outcome(() => signJwt({ ...signing, kid: '' }, 'at+jwt', {}))).toBe('key')
    expect(await outcome(() => signJwt(signing, '', {}))).toBe('typ')
    expect(await outcome(() => signJwt({ ...signing, alg: 'none' }, 'at+jwt', {}))).toBe('algorithm')
    expect(await outcome(() => signJwt({ ...signing, alg: 'RS256' }, 'at+jwt', {}))).toBe('key')
  })
})

describe('against jose, as an oracle nobody here wrote', () => {
  it.each(ALGORITHMS)('jose verifies what we sign with %s', async (alg) => {
    const key = testKey(alg)
    const text = await signJwt(key.signing, 'at+jwt', goodClaims())
    const { payload, protectedHeader } = await jwtVerify(text, await importJWK(key.jwk as JWK, alg), {
      issuer: ISSUER,
      audience: AUDIENCE,
      typ: 'at+jwt',
      algorithms: [alg],
      currentDate: new Date(NOW * 1000),
    })
    expect(payload).toEqual(goodClaims())
    expect(protectedHeader.kid).toBe(key.signing.kid)
  })

  it.each([...ALGORITHMS, 'EdDSA'])('we verify what jose signs with %s', async (alg) => {
    const key = testKey(alg === 'EdDSA' ? 'Ed25519' : alg)
    const text = await new SignJWT(goodClaims())
      .setProtectedHeader({ alg, kid: key.signing.kid, typ: 'at+jwt' })
      .sign(key.privateKey)
    const jwt = await verifyJwt(new Secret(text), goodRules(key, { algorithms: [alg] }))
    expect(jwt.claims).toEqual(goodClaims())
  })

  it('accepts EdDSA only where the list says so, even for the same key', async () => {
    const key = testKey('Ed25519')
    const text = await new SignJWT(goodClaims())
      .setProtectedHeader({ alg: 'EdDSA', kid: key.signing.kid, typ: 'at+jwt' })
      .sign(key.privateKey)
    expect(await outcome(() => verifyJwt(new Secret(text), goodRules(key)))).toBe('algorithm')
  })
})
