/** Keys and tokens for the jose tests: real keys, and a forge that signs any header and payload text as given. */
import { generateKeyPairSync, type JsonWebKey, type KeyObject } from 'node:crypto'
import { encodeBase64url } from '../../../src/jose/base64url.ts'
import { importPublicJwk, type PublicKey } from '../../../src/jose/jwk.ts'
import { JwtError, type JwtErrorCode } from '../../../src/jose/jwt-error.ts'
import { KeySet } from '../../../src/jose/key-set.ts'
import type { SigningKey } from '../../../src/jose/sign-jwt.ts'
import { signBytes } from '../../../src/jose/signature.ts'
import type { JwtRules } from '../../../src/jose/verify-jwt.ts'
import { Secret } from '../../../src/kernel/secret.ts'

export const NOW = 1_800_000_000
export const ISSUER = 'https://issuer.example'
export const AUDIENCE = 'https://broker.example'

export interface TestKey {
  readonly signing: SigningKey
  readonly verification: PublicKey
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
  readonly jwk: JsonWebKey & Record<string, unknown>
}

function generate(alg: string): { privateKey: KeyObject; publicKey: KeyObject } {
  if (alg === 'Ed25519') return generateKeyPairSync('ed25519')
  if (alg.startsWith('ES')) {
    const namedCurve = alg === 'ES256' ? 'P-256' : alg === 'ES384' ? 'P-384' : 'P-521'
    return generateKeyPairSync('ec', { namedCurve })
  }
  return generateKeyPairSync('rsa', { modulusLength: 2048 })
}

export function testKey(alg: string, kid = `kid-${alg}`, pair = generate(alg)): TestKey {
  const jwk = { ...pair.publicKey.export({ format: 'jwk' }), kid, alg }
  return { signing: { kid, alg, key: pair.privateKey }, verification: importPublicJwk(jwk), ...pair, jwk }
}

export function goodClaims(overrides: Record<string, unknown> = {}): Record<string, unknown> {
  const claims = { iss: ISSUER, aud: AUDIENCE, sub: 'alice', iat: NOW, exp: NOW + 300, jti: 'jti_1', ...overrides }
  return Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined))
}

export function goodRules(key: TestKey, overrides: Partial<JwtRules> = {}): JwtRules {
  return {
    keys: KeySet.of([key.verification]),
    algorithms: [key.signing.alg],
    typ: ['at+jwt'],
    issuer: ISSUER,
    audience: { sole: AUDIENCE },
    requiredClaims: [],
    now: NOW,
    skewSeconds: 30,
    lifetimeSecondsMax: 300,
    ...overrides,
  }
}

/** Signs exactly this header and payload, honest or not. Strings are taken as the text itself. */
export async function forge(
  key: TestKey,
  header: Record<string, unknown> | string,
  payload: Record<string, unknown> | string = goodClaims(),
): Promise<Secret> {
  const text = (part: Record<string, unknown> | string): string =>
    typeof part === 'string' ? part : JSON.stringify(part)
  const input = `${encodeBase64url(text(header))}.${encodeBase64url(text(payload))}`
  const signature = await signBytes(key.signing.alg, key.signing.key, input)
  return new Secret(`${input}.${encodeBase64url(signature)}`)
}

/** The code of the refusal; `accepted` when there was none; anything else thrown is rethrown and fails the test. */
export async function outcome(act: () => unknown): Promise<JwtErrorCode | 'accepted'> {
  try {
    await act()
    return 'accepted'
  } catch (error) {
    if (error instanceof JwtError) return error.code
    throw error
  }
}
