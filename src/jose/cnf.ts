/**
 * `cnf` (RFC 7800 §3.1): the key that whoever presents a token must prove to hold, named by its thumbprint.
 *
 * Validates: exactly one member, of a kind this code can check a proof for, and a SHA-256 thumbprint in its one spelling.
 * Does not validate: the proof.
 */
import { JwtError } from './jwt-error.ts'
import { isJsonObject } from './strict-json.ts'

/** `jkt`: a key of DPoP proofs (RFC 9449 §6.1); `x5t#S256`: the certificate of the TLS connection (RFC 8705 §3.1). */
export interface Confirmation {
  readonly kind: 'jkt' | 'x5t#S256'
  /** SHA-256, base64url: of the JWK (RFC 7638), or of the DER certificate. */
  readonly thumbprint: string
}

const KINDS: readonly Confirmation['kind'][] = ['jkt', 'x5t#S256']
/** 32 octets, base64url without padding and without stray bits: one spelling each. */
const SHA256 = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/

/** A token bound in a way nobody here can check is bound all the same: refused, never read as unbound. @throws JwtError `claims` */
export function parseCnf(value: unknown): Confirmation {
  const [member, ...others] = isJsonObject(value) ? Object.entries(value) : []
  const kind = KINDS.find((known) => known === member?.[0])
  if (member === undefined || others.length > 0 || kind === undefined) {
    throw new JwtError('claims', 'cnf must name one key, by jkt or x5t#S256')
  }
  const [, thumbprint] = member
  if (typeof thumbprint !== 'string' || !SHA256.test(thumbprint)) {
    throw new JwtError('claims', 'cnf must hold a SHA-256 thumbprint')
  }
  return { kind, thumbprint }
}
