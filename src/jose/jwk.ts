/**
 * Public keys from strangers: a JWK becomes a `KeyObject` bound to exactly one algorithm, or is refused.
 *
 * Validates: key type and curve; canonical base64url; EC points on their curve; RSA size, exponent and ROCA; no private or
 * symmetric member; `use`, `key_ops` and `alg`, where present, allow verifying with this algorithm.
 * Does not validate: who owns the key, `x5c`, `x5t`, nor that an Ed25519 point has large order (its owner would only harm
 * themselves).
 */
import { createHash, createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import { NAME_CHARS_MAX } from '../kernel/limits.ts'
import { type Algorithm, algorithmOfCurve, findAlgorithm } from './algorithms.ts'
import { decodeBase64url } from './base64url.ts'
import { JwtError } from './jwt-error.ts'
import { isName } from './name.ts'
import { checkRsaKey } from './rsa-modulus.ts'
import { isJsonObject } from './strict-json.ts'

export interface PublicKey {
  readonly kid: string | undefined
  /** The only algorithm this key verifies; `Ed25519`, never `EdDSA`. */
  readonly alg: string
  readonly key: KeyObject
}

/** RFC 7518 §6.2.2, §6.3.2, §6.4, RFC 8037 §2. */
const SECRET_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'] as const

/** Octets of one coordinate (RFC 7518 §6.2.1.2, RFC 8037 §2). */
const COORDINATE_BYTES: Readonly<Record<string, number>> = { 'P-256': 32, 'P-384': 48, 'P-521': 66, Ed25519: 32 }

/** True for anything that must never stand in a document of public keys. */
export function holdsSecret(jwk: Readonly<Record<string, unknown>>): boolean {
  return jwk['kty'] === 'oct' || SECRET_MEMBERS.some((member) => Object.hasOwn(jwk, member))
}

/**
 * One key, one algorithm (RFC 8725 §3.1): the JWK's own `alg`, else `alg`, else the only one its curve has. An RSA key
 * fixes none, so its algorithm comes from the caller's allow-list and never from a token's header (that was the confusion
 * of hono CVE-2026-22817 and of every RS256/HS256 swap before it).
 * @throws JwtError `key`; `malformed` for base64url
 */
export function importPublicJwk(jwk: unknown, alg?: string): PublicKey {
  if (!isJsonObject(jwk)) throw new JwtError('key', 'a JWK must be a JSON object')
  if (holdsSecret(jwk)) throw new JwtError('key', 'a public JWK must not carry private or symmetric members')
  const kid = Object.hasOwn(jwk, 'kid') ? jwk['kid'] : undefined
  if (kid !== undefined && !isName(kid)) {
    throw new JwtError('key', `kid must be a string of 1 to ${NAME_CHARS_MAX} characters`)
  }
  checkPurpose(jwk)
  const algorithm = algorithmFor(jwk, alg)
  return { kid, alg: algorithm.name, key: importKey(publicMembers(jwk), algorithm) }
}

/** RFC 7638 §3: SHA-256 over the required members, in lexicographic order. @throws JwtError `key` */
export function thumbprint(jwk: unknown): string {
  const members = publicMembers(jwk)
  const ordered = Object.fromEntries(Object.entries(members).sort(([a], [b]) => (a < b ? -1 : 1)))
  return createHash('sha256').update(JSON.stringify(ordered)).digest('base64url')
}

/** The members RFC 7638 §3.2 requires, and no other: nothing else of a JWK reaches the crypto library. @throws JwtError `key` */
export function publicMembers(jwk: unknown): Record<string, string> & { kty: string } {
  if (!isJsonObject(jwk)) throw new JwtError('key', 'a JWK must be a JSON object')
  const kty = text(jwk, 'kty')
  if (kty === 'EC') return { kty, crv: text(jwk, 'crv'), x: text(jwk, 'x'), y: text(jwk, 'y') }
  if (kty === 'RSA') return { kty, n: text(jwk, 'n'), e: text(jwk, 'e') }
  if (kty === 'OKP') return { kty, crv: text(jwk, 'crv'), x: text(jwk, 'x') }
  throw new JwtError('key', 'kty must be EC, RSA or OKP')
}

function text(jwk: Readonly<Record<string, unknown>>, member: string): string {
  const value = Object.hasOwn(jwk, member) ? jwk[member] : undefined
  if (typeof value !== 'string' || value === '') throw new JwtError('key', `the JWK member ${member} must be a string`)
  return value
}

/** RFC 7517 §4.2, §4.3: a key published to encrypt to must not verify. */
function checkPurpose(jwk: Readonly<Record<string, unknown>>): void {
  if (jwk['use'] !== undefined && jwk['use'] !== 'sig') throw new JwtError('key', 'use must be sig')
  const operations = jwk['key_ops']
  if (operations === undefined) return
  if (!Array.isArray(operations) || !operations.includes('verify')) {
    throw new JwtError('key', 'key_ops must include verify')
  }
  if (operations.some((operation) => operation !== 'verify' && operation !== 'sign')) {
    throw new JwtError('key', 'key_ops must not mix signing with other purposes (RFC 7517 section 4.3)')
  }
}

function algorithmFor(jwk: Readonly<Record<string, unknown>>, alg: string | undefined): Algorithm {
  const own = jwk['alg'] === undefined ? undefined : known(jwk['alg'])
  const asked = alg === undefined ? undefined : known(alg)
  if (own !== undefined && asked !== undefined && own !== asked) {
    throw new JwtError('key', 'the JWK is for another algorithm')
  }
  const algorithm = own ?? asked ?? algorithmOfCurve(jwk['crv'])
  if (algorithm === undefined) throw new JwtError('key', 'the algorithm of an RSA key must be stated')
  if (algorithm.kty !== jwk['kty'] || (algorithm.crv !== undefined && algorithm.crv !== jwk['crv'])) {
    throw new JwtError('key', 'the JWK does not fit its algorithm')
  }
  return algorithm
}

function known(alg: unknown): Algorithm {
  const algorithm = typeof alg === 'string' ? findAlgorithm(alg) : undefined
  if (algorithm === undefined) throw new JwtError('key', 'the algorithm of the JWK is not supported')
  return algorithm
}

function importKey(members: Record<string, string>, algorithm: Algorithm): KeyObject {
  const octets = (member: string): Buffer => decodeBase64url(members[member] ?? '', `the JWK member ${member}`)
  if (algorithm.crv === undefined) checkRsaKey(octets('n'), octets('e'))
  else {
    const bytes = COORDINATE_BYTES[algorithm.crv]
    const wrong = ['x', 'y'].some((member) => members[member] !== undefined && octets(member).length !== bytes)
    if (wrong) throw new JwtError('key', `a coordinate of ${algorithm.crv} must have ${bytes} octets`)
  }
  try {
    return createPublicKey({ key: members as JsonWebKey, format: 'jwk' })
  } catch {
    // Among others an EC point off its curve (invalid-curve attacks): the library's message is dropped with its input.
    throw new JwtError('key', 'the JWK is not a valid public key')
  }
}
