/**
 * A SPIFFE bundle (SPIFFE Trust Domain and Bundle §4): the keys that vouch for one trust domain's SVIDs, each for one kind only.
 *
 * Validates: bounds; `spiffe_sequence` and `spiffe_refresh_hint` are whole numbers; a JWT authority has a `kid` of its own and is
 * a sound public key (`jwk.ts`) for an algorithm of JWT-SVID §2.1; an X.509 authority is one CA certificate, without a `kid`, and
 * stands there once; no private key.
 * Does not validate: which trust domain the bundle is of, for it does not say; nor the certificates' validity and signatures.
 */
import { X509Certificate } from 'node:crypto'
import { JWKS_KEYS_MAX } from '../kernel/limits.ts'
import { holdsSecret } from './jwk.ts'
import { JwtError } from './jwt-error.ts'
import { type KeySet, parseKeySet } from './key-set.ts'
import { isJsonObject } from './strict-json.ts'

/** JWT-SVID §2.1: no EdDSA. */
export const JWT_SVID_ALGORITHMS: readonly string[] = [
  ...['RS256', 'RS384', 'RS512'],
  ...['ES256', 'ES384', 'ES512'],
  ...['PS256', 'PS384', 'PS512'],
]

export interface SpiffeBundle {
  /** `undefined`: its publisher does not number its bundles. */
  readonly sequence: number | undefined
  /** How often to ask again; `undefined`: not said. */
  readonly refreshHintSeconds: number | undefined
  readonly jwtKeys: KeySet
  readonly x509Authorities: readonly X509Certificate[]
}

/**
 * Entries of an unknown or missing `use`, of an unknown type, or not fit for their use are not trusted. No usable entry at all is
 * a valid bundle, which trusts nobody: the trust domain has withdrawn its keys.
 * @throws JwtError `key` where nothing of the document can be trusted
 */
export function parseSpiffeBundle(document: unknown): SpiffeBundle {
  if (!isJsonObject(document)) throw unusable('a SPIFFE bundle must be a JSON object')
  const entries = Object.hasOwn(document, 'keys') ? document['keys'] : undefined
  if (!Array.isArray(entries)) throw unusable('a SPIFFE bundle must have an array of keys')
  if (entries.length > JWKS_KEYS_MAX) throw unusable(`a SPIFFE bundle must not exceed ${JWKS_KEYS_MAX} keys`)
  if (!entries.every(isJsonObject)) throw unusable('a key of a SPIFFE bundle must be a JSON object')
  return {
    sequence: wholeNumber(document, 'spiffe_sequence'),
    refreshHintSeconds: wholeNumber(document, 'spiffe_refresh_hint'),
    jwtKeys: jwtKeys(ofUse(entries, 'jwt-svid')),
    x509Authorities: x509Authorities(ofUse(entries, 'x509-svid')),
  }
}

type Entry = Readonly<Record<string, unknown>>

/** Case-sensitive (§4.2.2): a key is for one kind of SVID and for no other. */
function ofUse(entries: readonly Entry[], use: string): readonly Entry[] {
  const found = entries.filter((entry) => Object.hasOwn(entry, 'use') && entry['use'] === use)
  if (found.some(holdsSecret)) throw unusable('a SPIFFE bundle must not hold private or symmetric keys')
  return found
}

function jwtKeys(entries: readonly Entry[]): KeySet {
  // Of a key set's members only `use` is another: it has just been judged, and a plain set would refuse it.
  const keys = entries.filter(({ kid }) => kid !== undefined).map(({ use: _, ...jwk }) => jwk)
  return parseKeySet({ keys }, JWT_SVID_ALGORITHMS)
}

function x509Authorities(entries: readonly Entry[]): readonly X509Certificate[] {
  const authorities = entries.flatMap((entry) => authority(entry) ?? [])
  const fingerprints = new Set(authorities.map(({ fingerprint256 }) => fingerprint256))
  if (fingerprints.size !== authorities.length) throw unusable('a SPIFFE bundle must not repeat an X.509 authority')
  return authorities
}

/** Exactly one certificate (X509-SVID §6): a second would be one that nobody has declared an authority. */
function authority({ kid, x5c }: Entry): X509Certificate | undefined {
  if (kid !== undefined || !Array.isArray(x5c) || x5c.length !== 1 || typeof x5c[0] !== 'string') return undefined
  const der = Buffer.from(x5c[0], 'base64')
  // RFC 7517 §4.7: base64, not base64url; one spelling.
  if (der.length === 0 || der.toString('base64') !== x5c[0]) return undefined
  try {
    const certificate = new X509Certificate(der)
    return certificate.ca && certificate.raw.equals(der) ? certificate : undefined
  } catch {
    return undefined
  }
}

function wholeNumber(document: Entry, member: string): number | undefined {
  if (!Object.hasOwn(document, member)) return undefined
  const value = document[member]
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw unusable(`${member} must be a whole number`)
  return value as number
}

function unusable(message: string): JwtError {
  return new JwtError('key', message)
}
