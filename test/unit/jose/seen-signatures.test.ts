import { describe, expect, it } from 'vitest'
import { importPublicJwk } from '../../../src/jose/jwk.ts'
import { KeySet } from '../../../src/jose/key-set.ts'
import { SeenSignatures } from '../../../src/jose/seen-signatures.ts'
import { verifyJwt } from '../../../src/jose/verify-jwt.ts'
import { Secret } from '../../../src/kernel/secret.ts'
import { forge, goodRules, NOW, outcome, testKey } from './fixtures.ts'

const key = testKey('ES256', 'k')
const HEADER = { alg: 'ES256', kid: 'k', typ: 'at+jwt' }
const again = (token: Secret) => new Secret(token.reveal())

describe('a token that is presented again', () => {
  it('is known by its whole text and the very key that verified it', async () => {
    const seen = new SeenSignatures(10)
    const token = await forge(key, HEADER)
    expect(seen.has(token, key.verification)).toBe(false)
    await verifyJwt(token, goodRules(key, { seen }))
    expect(seen.has(again(token), key.verification)).toBe(true)
    await verifyJwt(again(token), goodRules(key, { seen }))
  })

  it('is still refused for everything it says: expiry, audience, kind, issuer, lifetime', async () => {
    const seen = new SeenSignatures(10)
    const token = await forge(key, HEADER)
    await verifyJwt(token, goodRules(key, { seen }))
    const verdicts = [
      { now: NOW + 331 },
      { audience: { sole: 'https://other.example' } },
      { typ: ['errand-session+jwt'] },
      { issuer: 'https://other.example' },
      { lifetimeSecondsMax: 10 },
      { algorithms: ['RS256'] },
    ].map((rules) => outcome(() => verifyJwt(again(token), goodRules(key, { seen, ...rules }))))
    expect(await Promise.all(verdicts)).toEqual(['expired', 'audience', 'typ', 'issuer', 'lifetime', 'algorithm'])
  })

  it('is refused as soon as its key is withdrawn, also where another key of that name stands in its place', async () => {
    const seen = new SeenSignatures(10)
    const token = await forge(key, HEADER)
    await verifyJwt(token, goodRules(key, { seen }))
    expect(await outcome(() => verifyJwt(again(token), goodRules(key, { seen, keys: KeySet.of([]) })))).toBe('key')
    const impostor = testKey('ES256', 'k')
    expect(await outcome(() => verifyJwt(again(token), goodRules(impostor, { seen })))).toBe('signature')
  })

  it('is verified anew with the same key read a second time', async () => {
    const seen = new SeenSignatures(10)
    const token = await forge(key, HEADER)
    await verifyJwt(token, goodRules(key, { seen }))
    expect(seen.has(again(token), importPublicJwk(key.jwk))).toBe(false)
  })

  it('is not remembered where it did not verify: a forged signature stays forged', async () => {
    const seen = new SeenSignatures(10)
    const [header, payload] = (await forge(key, HEADER)).reveal().split('.')
    const forged = new Secret(`${header}.${payload}.${(await forge(key, HEADER, { iss: 'x' })).reveal().split('.')[2]}`)
    for (const _ of [1, 2])
      expect(await outcome(() => verifyJwt(again(forged), goodRules(key, { seen })))).toBe('signature')
    expect(seen.has(forged, key.verification)).toBe(false)
    // Nor does a good signature vouch for other claims under it.
    await verifyJwt(await forge(key, HEADER), goodRules(key, { seen }))
    expect(await outcome(() => verifyJwt(again(forged), goodRules(key, { seen })))).toBe('signature')
  })

  it('is forgotten when it has been unused the longest and there is no room', () => {
    const seen = new SeenSignatures(2)
    const [a, b, c] = ['a', 'b', 'c'].map((text) => new Secret(text)) as [Secret, Secret, Secret]
    seen.add(a, key.verification)
    seen.add(b, key.verification)
    expect(seen.has(a, key.verification)).toBe(true)
    seen.add(c, key.verification)
    expect([a, b, c].map((token) => seen.has(token, key.verification))).toEqual([true, false, true])
  })
})
