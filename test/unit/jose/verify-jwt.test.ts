import { describe, expect, it } from 'vitest'
import { encodeBase64url } from '../../../src/jose/base64url.ts'
import { KeySet } from '../../../src/jose/key-set.ts'
import { type JwtRules, type VerifiedJwt, verifyJwt } from '../../../src/jose/verify-jwt.ts'
import { sha256 } from '../../../src/kernel/digest.ts'
import { Secret } from '../../../src/kernel/secret.ts'
import { AUDIENCE, forge, goodClaims, goodRules, ISSUER, NOW, outcome, type TestKey, testKey } from './fixtures.ts'

const key = testKey('ES256', 'k')
const HEADER = { alg: 'ES256', kid: 'k', typ: 'at+jwt' }

async function verdict(
  claims: Record<string, unknown> | string,
  rules: Partial<JwtRules> = {},
  header: Record<string, unknown> = HEADER,
  by: TestKey = key,
): Promise<string> {
  const token = await forge(by, header, claims)
  return outcome(() => verifyJwt(token, goodRules(key, rules)))
}

function factsOf(jwt: VerifiedJwt) {
  const { header, claims, issuer, subject, audience, issuedAt, expiresAt, jti, kid, digest, signingInputHash } = jwt
  return { header, claims, issuer, subject, audience, issuedAt, expiresAt, jti, kid, digest, signingInputHash }
}

describe('a good token', () => {
  it('gives its facts, parsed once', async () => {
    const token = await forge(key, HEADER, goodClaims({ aud: [AUDIENCE], extra: { deep: 1 } }))
    const jwt = await verifyJwt(token, goodRules(key))
    expect(factsOf(jwt)).toEqual({
      header: HEADER,
      claims: goodClaims({ aud: [AUDIENCE], extra: { deep: 1 } }),
      issuer: ISSUER,
      subject: 'alice',
      audience: [AUDIENCE],
      issuedAt: NOW,
      expiresAt: NOW + 300,
      jti: 'jti_1',
      kid: 'k',
      digest: sha256(token.reveal()),
      signingInputHash: sha256(token.reveal().split('.').slice(0, 2).join('.')),
    })
  })

  it('can be made by no one else: its type is branded', async () => {
    const jwt = await verifyJwt(await forge(key, HEADER), goodRules(key))
    // @ts-expect-error every member is there, but the brand is not.
    const claimed: VerifiedJwt = factsOf(jwt)
    expect(jwt).toMatchObject(claimed)
  })

  it('may leave out what no rule requires', async () => {
    expect(await verdict({ iss: ISSUER, aud: AUDIENCE, exp: NOW + 10 })).toBe('accepted')
  })
})

describe('algorithm, key and signature', () => {
  it('refuses an algorithm outside the allow-list, though the key would verify', async () => {
    expect(await verdict(goodClaims(), { algorithms: ['RS256'] })).toBe('algorithm')
    expect(await verdict(goodClaims(), { algorithms: [] })).toBe('algorithm')
  })

  it('refuses HS256 made with the public key as secret, in every spelling of it (H02)', async () => {
    const { createHmac } = await import('node:crypto')
    const spellings = [
      key.publicKey.export({ format: 'pem', type: 'spki' }),
      key.publicKey.export({ format: 'der', type: 'spki' }),
      JSON.stringify(key.jwk),
    ]
    const input = `${encodeBase64url(JSON.stringify({ ...HEADER, alg: 'HS256' }))}.${encodeBase64url(JSON.stringify(goodClaims()))}`
    for (const secret of spellings) {
      const token = new Secret(`${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`)
      const rules = goodRules(key, { algorithms: ['ES256', 'HS256'] })
      expect(await outcome(() => verifyJwt(token, rules))).toBe('algorithm')
    }
  })

  it('refuses an algorithm the named key is not for (H03)', async () => {
    const rsa = testKey('RS256', 'k')
    const rules = { algorithms: ['ES256', 'RS256', 'PS256', 'ES384'] }
    expect(await verdict(goodClaims(), rules, { ...HEADER, alg: 'RS256' }, rsa)).toBe('key')
    expect(await verdict(goodClaims(), rules, { ...HEADER, alg: 'ES384' })).toBe('key')
    const token = await forge(rsa, { ...HEADER, alg: 'PS256' })
    expect(await outcome(() => verifyJwt(token, goodRules(rsa, rules)))).toBe('key')
  })

  it('refuses a key it does not know, and a token that names none among two (H08)', async () => {
    const other = testKey('ES256', 'other')
    const two = { keys: KeySet.of([key.verification, other.verification]) }
    expect(await verdict(goodClaims(), two, { ...HEADER, kid: 'third' })).toBe('key')
    expect(await verdict(goodClaims(), two, { alg: 'ES256', typ: 'at+jwt' })).toBe('key')
    expect(await verdict(goodClaims(), {}, { alg: 'ES256', typ: 'at+jwt' })).toBe('accepted')
    expect(await verdict(goodClaims(), { keys: KeySet.of([]) })).toBe('key')
  })

  it('refuses another key under a known name', async () => {
    expect(await verdict(goodClaims(), {}, HEADER, testKey('ES256', 'k'))).toBe('signature')
  })

  it('refuses parts of two honest tokens put together', async () => {
    const [alice, bob] = [await forge(key, HEADER), await forge(key, HEADER, goodClaims({ sub: 'bob' }))]
    const [header, , signature] = alice.reveal().split('.')
    const mixed = new Secret(`${header}.${bob.reveal().split('.')[1]}.${signature}`)
    expect(await outcome(() => verifyJwt(mixed, goodRules(key)))).toBe('signature')
  })

  it('says nothing about claims before the signature holds', async () => {
    const expired = goodClaims({ exp: 1, iss: 'other', aud: 'other' })
    expect(await verdict(expired, {}, HEADER, testKey('ES256', 'k'))).toBe('signature')
  })
})

describe('kind, issuer and audience', () => {
  it.each([
    undefined,
    'JWT',
    'logout+jwt',
    'secevent+jwt',
    'errand-session+jwt',
    'oauth-id-jag+jwt',
    'dpop+jwt',
  ])('refuses typ %s where an access token is wanted (H17, RFC 8725 section 3.11)', async (typ) => {
    expect(await verdict(goodClaims(), {}, typ === undefined ? { alg: 'ES256', kid: 'k' } : { ...HEADER, typ })).toBe(
      'typ',
    )
  })

  it('accepts a missing typ only where that is said', async () => {
    const header = { alg: 'ES256', kid: 'k' }
    expect(await verdict(goodClaims(), { typ: ['jwt', undefined] }, header)).toBe('accepted')
    expect(await verdict(goodClaims(), { typ: ['jwt', undefined] }, { ...header, typ: 'JWT' })).toBe('accepted')
    expect(await verdict(goodClaims(), { typ: ['jwt'] }, header)).toBe('typ')
    expect(await verdict(goodClaims(), { typ: [] }, header)).toBe('typ')
    expect(await verdict(goodClaims(), { typ: ['at+jwt'] }, { ...header, typ: 'application/AT+jwt' })).toBe('accepted')
  })

  it.each([
    undefined,
    null,
    '',
    `${ISSUER}/`,
    ISSUER.toUpperCase(),
    'https://issuer.example.evil',
    [ISSUER],
  ])('refuses iss %j: issuers are compared exactly (RFC 8725 section 3.8)', async (iss) => {
    expect(await verdict(goodClaims({ iss }))).toBe('issuer')
  })

  it.each<[string, unknown]>([
    ['missing', undefined],
    ['null', null],
    ['a number', 7],
    ['an object', { 0: AUDIENCE }],
    ['an empty list', []],
    ['empty', ''],
    ['a list with an empty member', [AUDIENCE, '']],
    ['a list with a number', [AUDIENCE, 7]],
    ['a nested list', [[AUDIENCE]]],
    ['repeated', [AUDIENCE, AUDIENCE]],
    ['a thousand entries', Array.from({ length: 1000 }, (_, index) => `a${index}`).concat(AUDIENCE)],
    ['17 entries', Array.from({ length: 16 }, (_, index) => `a${index}`).concat(AUDIENCE)],
  ])('refuses an aud that is %s, whatever the rule (H12)', async (_, aud) => {
    for (const audience of [{ sole: AUDIENCE }, { contains: AUDIENCE }, { decidedByCaller: true }] as const) {
      expect(await verdict(goodClaims({ aud }), { audience })).toBe('audience')
    }
  })

  it('sole accepts this audience and no companion (H12)', async () => {
    expect(await verdict(goodClaims({ aud: [AUDIENCE] }))).toBe('accepted')
    expect(await verdict(goodClaims({ aud: [AUDIENCE, 'other'] }))).toBe('audience')
    expect(await verdict(goodClaims({ aud: 'other' }))).toBe('audience')
    expect(await verdict(goodClaims({ aud: `${AUDIENCE}/` }))).toBe('audience')
  })

  it('contains accepts companions, up to 16 audiences', async () => {
    const audience = { contains: AUDIENCE }
    const others = Array.from({ length: 15 }, (_, index) => `a${index}`)
    expect(await verdict(goodClaims({ aud: [...others, AUDIENCE] }), { audience })).toBe('accepted')
    expect(await verdict(goodClaims({ aud: others }), { audience })).toBe('audience')
    expect(await verdict(goodClaims({ aud: `${AUDIENCE} other` }), { audience })).toBe('audience')
  })
})

describe('time', () => {
  it.each([['exp'], ['nbf'], ['iat']])('accepts only whole, safe seconds as %s (H13)', async (name) => {
    for (const value of [`${NOW + 100}`, NOW + 100.5, -1, true, null, [NOW + 100], { s: NOW }]) {
      expect(await verdict(goodClaims({ [name]: value }))).toBe('claims')
    }
    for (const literal of ['1e400', '9007199254740992', '-1e400', '99999999999999999999']) {
      const text = JSON.stringify(goodClaims({ [name]: 0 })).replace(`"${name}":0`, `"${name}":${literal}`)
      expect(await verdict(text)).toBe('malformed')
    }
  })

  it('requires exp (H13)', async () => {
    expect(await verdict(goodClaims({ exp: undefined }))).toBe('claims')
  })

  it('ends at exp plus skew, exclusively (RFC 7519 section 4.1.4)', async () => {
    const old = (exp: number): Promise<string> => verdict(goodClaims({ iat: NOW - 300, exp }))
    expect(await old(NOW - 29)).toBe('accepted')
    expect(await old(NOW - 30)).toBe('expired')
    expect(await verdict(goodClaims({ iat: undefined, exp: 0 }))).toBe('expired')
    expect(await verdict(goodClaims({ iat: NOW - 300, exp: NOW }), { skewSeconds: 0 })).toBe('expired')
  })

  it('starts at nbf less skew', async () => {
    expect(await verdict(goodClaims({ nbf: NOW + 30 }))).toBe('accepted')
    expect(await verdict(goodClaims({ nbf: NOW + 31 }))).toBe('not_yet_valid')
  })

  it('refuses an iat more than the skew ahead (H13)', async () => {
    expect(await verdict(goodClaims({ iat: NOW + 30, exp: NOW + 330 }))).toBe('accepted')
    expect(await verdict(goodClaims({ iat: NOW + 31, exp: NOW + 300 }))).toBe('not_yet_valid')
  })

  it('bounds the lifetime from now and from iat (H13)', async () => {
    expect(await verdict(goodClaims({ iat: undefined, exp: NOW + 330 }))).toBe('accepted')
    expect(await verdict(goodClaims({ iat: undefined, exp: NOW + 331 }))).toBe('lifetime')
    expect(await verdict(goodClaims({ iat: NOW - 10, exp: NOW + 291 }))).toBe('lifetime')
    expect(await verdict(goodClaims({ iat: NOW, exp: NOW + 90_000 }), { lifetimeSecondsMax: undefined })).toBe(
      'accepted',
    )
    expect(await verdict(goodClaims({ iat: NOW + 20, exp: NOW + 20 }))).toBe('lifetime')
  })

  it('treats a clock that is not a number as a fault of ours, never as a yes', async () => {
    const token = await forge(key, HEADER, goodClaims({ exp: 1 }))
    for (const broken of [{ now: Number.NaN }, { now: NOW + 0.5 }, { skewSeconds: Number.NaN }, { skewSeconds: -1 }]) {
      await expect(verifyJwt(token, goodRules(key, broken))).rejects.toThrow(TypeError)
    }
    const endless = { lifetimeSecondsMax: Number.POSITIVE_INFINITY }
    await expect(verifyJwt(token, goodRules(key, endless))).rejects.toThrow(TypeError)
  })
})

describe('other claims', () => {
  it.each<[string, unknown]>([
    ['absent', undefined],
    ['null', null],
    ['empty', ''],
  ])('refuses a required claim that is %s', async (_, value) => {
    expect(await verdict(goodClaims({ client_id: value }), { requiredClaims: ['client_id'] })).toBe('claims')
  })

  it('does not find a required claim on the prototype', async () => {
    expect(await verdict(goodClaims(), { requiredClaims: ['constructor'] })).toBe('claims')
    expect(await verdict(goodClaims({ constructor: 'x' }), { requiredClaims: ['constructor'] })).toBe('accepted')
  })

  it.each(['sub', 'jti'])('refuses a %s that is empty, long, mistyped or holds control characters', async (name) => {
    for (const value of ['', 'x'.repeat(257), 7, null, ['a'], 'a\nb', 'a\u0000']) {
      expect(await verdict(goodClaims({ [name]: value }))).toBe('claims')
    }
    expect(await verdict(goodClaims({ [name]: 'x'.repeat(256) }))).toBe('accepted')
  })

  it('refuses rules that state no issuer or no audience', async () => {
    const token = await forge(key, HEADER)
    for (const hole of [{ issuer: '' }, { audience: { sole: '' } }, { audience: { contains: '' } }, { audience: {} }]) {
      await expect(verifyJwt(token, goodRules(key, hole as Partial<JwtRules>))).rejects.toThrow(TypeError)
    }
  })
})
