/**
 * Test keys and tokens. Signs with node:crypto directly, never through `src/jose`, so that a mistake there cannot hide
 * itself. A test starts from one valid draft and breaks one member of it.
 */
import {
  constants,
  createHmac,
  generateKeyPairSync,
  type JsonWebKey,
  type KeyObject,
  sign as signBytes,
} from 'node:crypto'
import { Secret } from '../../src/kernel/secret.ts'

export type TestAlg = 'ES256' | 'ES384' | 'RS256' | 'PS256' | 'Ed25519'

export interface TestKey {
  readonly kid: string
  readonly alg: TestAlg
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

const made = new Map<string, TestKey>()

/** The same key for the same name and algorithm, within one test process. */
export function testKey(kid: string, alg: TestAlg = 'ES256'): TestKey {
  const known = made.get(`${alg} ${kid}`)
  if (known !== undefined) return known
  const key: TestKey = { kid, alg, ...pair(alg) }
  made.set(`${alg} ${kid}`, key)
  return key
}

function pair(alg: TestAlg): { privateKey: KeyObject; publicKey: KeyObject } {
  switch (alg) {
    case 'ES256':
      return generateKeyPairSync('ec', { namedCurve: 'P-256' })
    case 'ES384':
      return generateKeyPairSync('ec', { namedCurve: 'P-384' })
    case 'RS256':
    case 'PS256':
      return generateKeyPairSync('rsa', { modulusLength: 2048 })
    case 'Ed25519':
      return generateKeyPairSync('ed25519')
  }
}

export function publicJwk(key: TestKey): JsonWebKey & { kid: string; alg: string; use: string } {
  return { ...key.publicKey.export({ format: 'jwk' }), kid: key.kid, alg: key.alg, use: 'sig' }
}

export function privateJwk(key: TestKey): JsonWebKey & { kid: string; alg: string } {
  return { ...key.privateKey.export({ format: 'jwk' }), kid: key.kid, alg: key.alg }
}

export interface Draft {
  readonly key: TestKey
  /** Added to `{alg, kid}` of the key; an `undefined` member is left out. */
  readonly header: Readonly<Record<string, unknown>>
  readonly claims: Readonly<Record<string, unknown>>
}

export interface Change {
  readonly key?: TestKey
  readonly header?: Readonly<Record<string, unknown>>
  readonly claims?: Readonly<Record<string, unknown>>
}

/** The draft with members replaced; `undefined` removes one. */
export function vary(draft: Draft, change: Change): Draft {
  return {
    key: change.key ?? draft.key,
    header: { ...draft.header, ...change.header },
    claims: { ...draft.claims, ...change.claims },
  }
}

export function sign({ key, header, claims }: Draft): Secret {
  return signText(key, JSON.stringify({ alg: key.alg, kid: key.kid, ...header }), JSON.stringify(claims))
}

/** For texts that no object has: duplicate members, odd numbers. */
export function signText(key: TestKey, header: string, payload: string): Secret {
  const input = `${encode(header)}.${encode(payload)}`
  return new Secret(`${input}.${signature(key, input)}`)
}

/** What an attacker makes who knows only public things: an HMAC over the draft, keyed with `hmacKey` (algorithm confusion). */
export function signHmac({ key, header, claims }: Draft, hmacKey: string | Buffer): Secret {
  const input = `${encode(JSON.stringify({ alg: 'HS256', kid: key.kid, ...header }))}.${encode(JSON.stringify(claims))}`
  return new Secret(`${input}.${createHmac('sha256', hmacKey).update(input).digest('base64url')}`)
}

/** An unsecured JWS (RFC 7515 appendix A.5). */
export function unsigned({ key, header, claims }: Draft, alg = 'none'): Secret {
  return new Secret(`${encode(JSON.stringify({ kid: key.kid, ...header, alg }))}.${encode(JSON.stringify(claims))}.`)
}

/** The token with another payload under the old signature. */
export function swapPayload(token: Secret, claims: Readonly<Record<string, unknown>>): Secret {
  const [header = '', , tail = ''] = token.reveal().split('.')
  return new Secret(`${header}.${encode(JSON.stringify(claims))}.${tail}`)
}

function signature(key: TestKey, input: string): string {
  const bytes = Buffer.from(input)
  switch (key.alg) {
    case 'ES256':
      return signBytes('sha256', bytes, { key: key.privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')
    case 'ES384':
      return signBytes('sha384', bytes, { key: key.privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')
    case 'PS256':
      return signBytes('sha256', bytes, {
        key: key.privateKey,
        padding: constants.RSA_PKCS1_PSS_PADDING,
        saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
      }).toString('base64url')
    case 'RS256':
      return signBytes('sha256', bytes, key.privateKey).toString('base64url')
    case 'Ed25519':
      return signBytes(null, bytes, key.privateKey).toString('base64url')
  }
}

function encode(text: string): string {
  return Buffer.from(text).toString('base64url')
}

/** The order of the group of P-256 (SEC 2 §2.4.2). */
const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n

/** The same token with the other valid ES256 signature: (r, n − s) verifies whenever (r, s) does. */
export function withTwinSignature(token: Secret): Secret {
  const [header = '', payload = '', signature = ''] = token.reveal().split('.')
  const bytes = Buffer.from(signature, 'base64url')
  const s = BigInt(`0x${bytes.subarray(32).toString('hex')}`)
  const twin = (P256_ORDER - s).toString(16).padStart(64, '0')
  return new Secret(
    `${header}.${payload}.${Buffer.concat([bytes.subarray(0, 32), Buffer.from(twin, 'hex')]).toString('base64url')}`,
  )
}
