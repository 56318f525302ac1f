import { generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { publicMembers, thumbprint } from '../../../src/jose/jwk.ts'
import { signJwt } from '../../../src/jose/sign-jwt.ts'
import { verifyJwt } from '../../../src/jose/verify-jwt.ts'
import { ACCESS_TOKEN_LIFETIME_S_MAX, CLOCK_SKEW_S, SESSION_LIFETIME_S_MAX } from '../../../src/kernel/limits.ts'
import { Rejection } from '../../../src/kernel/rejection.ts'
import { Secret } from '../../../src/kernel/secret.ts'
import { ringKey } from '../../../src/keys/key-file.ts'
import { KeyRing } from '../../../src/keys/key-ring.ts'
import { JWKS_CACHE_S, KEEP_SECONDS, KEY_CLASSES, type KeyClass, type RingKey } from '../../../src/keys/ring-view.ts'

const T = 1_800_000_000

async function made(cls: KeyClass, activateAt: number, alg: 'ES256' | 'Ed25519' = 'ES256'): Promise<RingKey> {
  const { privateKey } =
    alg === 'ES256' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('ed25519')
  const kid = thumbprint(publicMembers(privateKey.export({ format: 'jwk' })))
  return ringKey('a test key', { class: cls, alg, kid, activateAt, createdAt: T, development: true }, privateKey)
}

const states = (ring: KeyRing, now: number): string[] => ring.describe(now).map(({ state }) => state)
const published = (ring: KeyRing, now: number): unknown[] => ring.jwks(now).keys.map(({ kid }) => kid)

function refusal(act: () => unknown): string {
  try {
    act()
    return 'accepted'
  } catch (error) {
    return error instanceof Rejection ? error.reason : String(error)
  }
}

describe('the life of a key', async () => {
  const [first, second] = [await made('access', T), await made('access', T + 1000)]
  const ring = new KeyRing([second, first])
  const gone = T + 1000 + KEEP_SECONDS.access

  it.each<[string, number, string[], string | undefined, RingKey[]]>([
    ['both announced', T - 1, ['next', 'next'], undefined, [first, second]],
    ['first signs from its second on', T, ['active', 'next'], first.kid, [first, second]],
    ['first signs to the last second before', T + 999, ['active', 'next'], first.kid, [first, second]],
    ['second takes over', T + 1000, ['retired', 'active'], second.kid, [first, second]],
    ['first still verifies', gone - 1, ['retired', 'active'], second.kid, [first, second]],
    ['first is gone', gone, ['gone', 'active'], second.kid, [second]],
  ])('%s', (_, now, expected, signer, inJwks) => {
    expect(states(ring, now)).toEqual(expected)
    if (signer === undefined) expect(refusal(() => ring.active('access', 'ES256', now))).toBe('keys_not_ready')
    else expect(ring.active('access', 'ES256', now).kid).toBe(signer)
    expect(published(ring, now)).toEqual(inJwks.map(({ kid }) => kid))
    for (const key of [first, second]) {
      const verifies = ring.verificationKeys('access', now).select(key.kid, 'ES256') !== undefined
      expect(verifies).toBe(inJwks.includes(key))
    }
  })

  it('follows a clock that is set back', () => {
    expect(states(ring, gone)).toEqual(['gone', 'active'])
    expect(states(ring, T)).toEqual(['active', 'next'])
  })

  it('computes once between two changes', () => {
    expect(ring.jwks(T + 5)).toBe(ring.jwks(T + 999))
    expect(ring.jwks(T + 1000)).not.toBe(ring.jwks(T + 999))
  })

  it('outlasts the longest token the key may have signed', () => {
    expect(KEEP_SECONDS.access).toBe(ACCESS_TOKEN_LIFETIME_S_MAX + CLOCK_SKEW_S + JWKS_CACHE_S)
    expect(KEEP_SECONDS.internal).toBe(SESSION_LIFETIME_S_MAX + CLOCK_SKEW_S)
    expect(KEEP_SECONDS.statement).toBeGreaterThanOrEqual(ACCESS_TOKEN_LIFETIME_S_MAX)
  })

  it('picks one signer where two keys start in the same second, the same for every broker', async () => {
    const twins = [await made('access', T), await made('access', T)]
    const [one, other] = [new KeyRing(twins), new KeyRing([...twins].reverse())]
    expect(one.active('access', 'ES256', T).kid).toBe(other.active('access', 'ES256', T).kid)
    expect(states(one, T).sort()).toEqual(['active', 'retired'])
  })

  it('refuses a time that is none', () => {
    for (const now of [Number.NaN, T + 0.5, Number.POSITIVE_INFINITY]) {
      expect(() => ring.active('access', 'ES256', now)).toThrow(TypeError)
    }
  })
})

describe('classes', async () => {
  const keys = await Promise.all(KEY_CLASSES.map((cls) => made(cls, T)))
  const ring = new KeyRing(keys)
  const [access, internal, statement] = keys as [RingKey, RingKey, RingKey]

  it('never publishes internal keys, nor any private member', () => {
    expect(published(ring, T)).toEqual(expect.arrayContaining([access.kid, statement.kid]))
    expect(published(ring, T)).toHaveLength(2)
    for (const jwk of ring.jwks(T).keys) {
      expect(Object.keys(jwk).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y'])
      expect(jwk).toMatchObject({ use: 'sig', alg: 'ES256' })
    }
    expect(JSON.stringify(ring.jwks(T))).not.toContain(internal.kid)
  })

  it('never verifies one class with the key of another', () => {
    for (const cls of KEY_CLASSES) {
      const known = keys.filter(({ kid }) => ring.verificationKeys(cls, T).select(kid, 'ES256') !== undefined)
      expect(known.map((key) => key.class)).toEqual([cls])
      expect(ring.verificationKeys(cls, T).size).toBe(1)
    }
  })

  it('refuses one key in two classes', () => {
    expect(() => new KeyRing([access, { ...access, class: 'internal' }])).toThrow('only once')
  })

  it('keeps algorithms apart: a new algorithm neither retires the old key nor signs for it', async () => {
    const both = new KeyRing([...keys, await made('access', T + 10, 'Ed25519')])
    expect(both.active('access', 'ES256', T + 20).kid).toBe(access.kid)
    expect(both.active('access', 'Ed25519', T + 20).alg).toBe('Ed25519')
    expect(refusal(() => both.active('access', 'Ed25519', T))).toBe('keys_not_ready')
    expect(refusal(() => both.active('internal', 'Ed25519', T + 20))).toBe('keys_not_ready')
    expect(both.problem(T)).toBeUndefined()
  })

  it('has no problem when every class signs, and names the one that does not', () => {
    expect(ring.problem(T)).toBeUndefined()
    expect(ring.problem(T - 1)).toBe('no active access key')
    for (const missing of keys) {
      expect(new KeyRing(keys.filter((key) => key !== missing)).problem(T)).toBe(`no active ${missing.class} key`)
    }
    expect(new KeyRing([]).problem(T)).toBe('no active access key')
  })

  it('swaps everything on reload', async () => {
    const replaced = new KeyRing(keys)
    expect(replaced.active('access', 'ES256', T).kid).toBe(access.kid)
    const next = await made('access', T)
    replaced.replace([next])
    expect(replaced.active('access', 'ES256', T).kid).toBe(next.kid)
    expect(refusal(() => replaced.active('internal', 'ES256', T))).toBe('keys_not_ready')
    expect(() => replaced.replace([next, next])).toThrow('only once')
    expect(replaced.active('access', 'ES256', T).kid).toBe(next.kid)
  })
})

describe('rotation, for all times', async () => {
  const pool = await Promise.all(Array.from({ length: 4 }, () => made('access', T)))

  it('one key signs at most, what it signs verifies to its end, and what signs was published', () => {
    const times = fc.array(fc.integer({ min: T, max: T + 5000 }), { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(times, fc.integer({ min: T, max: T + 9000 }), (activations, now) => {
        const keys = activations.map((activateAt, index) => ({ ...pool[index], activateAt }) as RingKey)
        const ring = new KeyRing(keys)
        const signing = ring.describe(now).filter(({ state }) => state === 'active')
        expect(signing.length).toBe(activations.some((at) => at <= now) ? 1 : 0)
        for (const { kid } of signing) {
          expect(published(ring, now)).toContain(kid)
          expect(published(ring, now - JWKS_CACHE_S)).toContain(kid)
          const lastUse = now + ACCESS_TOKEN_LIFETIME_S_MAX + CLOCK_SKEW_S
          expect(ring.verificationKeys('access', lastUse).select(kid, 'ES256')?.kid).toBe(kid)
        }
      }),
      { numRuns: 300 },
    )
  })

  it('tokens of the old key verify after the new one has taken over, end to end', async () => {
    const keys = [
      { ...pool[0], activateAt: T },
      { ...pool[1], activateAt: T + 100 },
    ] as RingKey[]
    const ring = new KeyRing(keys)
    const claims = { iss: 'https://b.example', aud: 'a', iat: T + 99, exp: T + 399 }
    const token = new Secret(await signJwt(ring.active('access', 'ES256', T + 99), 'at+jwt', claims))
    const rules = {
      keys: ring.verificationKeys('access', T + 398),
      algorithms: ['ES256'],
      typ: ['at+jwt'],
      issuer: 'https://b.example',
      audience: { sole: 'a' },
      requiredClaims: [],
      now: T + 398,
      skewSeconds: 0,
      lifetimeSecondsMax: 300,
    }
    expect((await verifyJwt(token, rules)).kid).toBe(keys[0]?.kid)
    await expect(verifyJwt(token, { ...rules, keys: ring.verificationKeys('internal', T) })).rejects.toMatchObject({
      code: 'key',
    })
  })
})
