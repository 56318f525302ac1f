/**
 * A DPoP proof (RFC 9449 §4.3): that its sender holds the private key of the JWK in its header, made for one request.
 *
 * Validates: size; one compact JWS; `typ`; an asymmetric `alg` of the list below; a `jwk` without private members that fits
 * it; the signature; `htm`; `htu` without query and fragment; `iat` in its window; `jti`; `ath` where a token is presented.
 * Does not validate: replay of `jti`, and whether `nonce` is a current one: the caller does, with what it gets back.
 */

import { DPOP_PROOF_AGE_S_MAX, DPOP_PROOF_CHARS_MAX } from '../kernel/credential-limits.ts'
import { sha256 } from '../kernel/digest.ts'
import { CLOCK_SKEW_S } from '../kernel/limits.ts'
import type { Secret } from '../kernel/secret.ts'
import { decodeProof } from './decode-jws.ts'
import { importPublicJwk, thumbprint } from './jwk.ts'
import { JwtError } from './jwt-error.ts'
import { isName } from './name.ts'
import { verifyBytes } from './signature.ts'

/** What keys of clients are made of; each further one is code that strangers can reach. */
export const DPOP_ALGORITHMS: readonly string[] = ['ES256', 'ES384', 'Ed25519', 'EdDSA', 'PS256', 'RS256']

export interface DpopRules {
  readonly method: string
  /** As clients know it, from configuration: never from `Host`. */
  readonly url: string
  /** Another URL of the same endpoint, by which clients may know it (RFC 8705 §5). */
  readonly alias?: string | undefined
  /** The token that the proof comes with; `undefined`: none does, as at a token endpoint. */
  readonly token: Secret | undefined
  /** Epoch seconds. */
  readonly now: number
}

export interface DpopProof {
  /** RFC 7638, of the key that is proven. */
  readonly jkt: string
  readonly jti: string
  readonly issuedAt: number
  readonly nonce: string | undefined
  /** Unread: of MCP's DPoP extension, not of RFC 9449. */
  readonly contentDigest: unknown
}

type Claims = Readonly<Record<string, unknown>>

/** @throws JwtError */
export async function verifyDpopProof(proof: Secret, rules: DpopRules): Promise<DpopProof> {
  if (proof.length > DPOP_PROOF_CHARS_MAX) {
    throw new JwtError('too_large', `a proof must not exceed ${DPOP_PROOF_CHARS_MAX} characters`)
  }
  const { header, jwk, claims, signingInput, signature } = decodeProof(proof)
  if (header.typ !== 'dpop+jwt') throw new JwtError('typ', 'typ must be dpop+jwt')
  if (!DPOP_ALGORITHMS.includes(header.alg)) throw new JwtError('algorithm', 'the alg is not allowed for proofs')
  // Claims first: what is not for this request is not worth a signature.
  const checked = checkClaims(claims, rules)
  const key = importPublicJwk(jwk, header.alg)
  if (!(await verifyBytes(key.alg, key.key, signingInput, signature))) {
    throw new JwtError('signature', 'the signature does not verify with the jwk of the header')
  }
  return { jkt: thumbprint(jwk), ...checked }
}

function checkClaims(claims: Claims, { method, url, alias, token, now }: DpopRules): Omit<DpopProof, 'jkt'> {
  const own = (name: string): unknown => (Object.hasOwn(claims, name) ? claims[name] : undefined)
  const [jti, nonce, iat] = [own('jti'), own('nonce'), own('iat')]
  if (!isName(jti)) throw new JwtError('claims', 'jti must be a short string')
  if (own('htm') !== method) throw new JwtError('claims', 'htm must be the method of the request')
  const meant = target(own('htu'))
  if (meant !== target(url) && (alias === undefined || meant !== target(alias))) {
    throw new JwtError('claims', 'htu must be the URL of this endpoint')
  }
  if (!Number.isSafeInteger(iat)) throw new JwtError('claims', 'iat must be a whole number of seconds')
  const issuedAt = iat as number
  if (!(issuedAt <= now + CLOCK_SKEW_S)) throw new JwtError('not_yet_valid', 'iat is in the future')
  if (!(issuedAt >= now - DPOP_PROOF_AGE_S_MAX - CLOCK_SKEW_S)) throw new JwtError('expired', 'the proof is too old')
  if (nonce !== undefined && !isName(nonce)) throw new JwtError('claims', 'nonce must be a short string')
  if (token !== undefined && own('ath') !== sha256(token.reveal())) {
    throw new JwtError('claims', 'ath must be the hash of the token that the proof comes with')
  }
  return { jti, issuedAt, nonce, contentDigest: own('content_digest') }
}

/** Visible ASCII without what URL parsers rewrite: two readers must not see two URLs. */
const PLAIN_URL = /^https?:\/\/[!-[\]-~]+$/i
const URL_CHARS_MAX = 2_048

/** RFC 9449 §4.3 check 9: without query and fragment, after normalisation (RFC 3986 §6.2.2, §6.2.3). */
function target(url: unknown): string {
  if (typeof url !== 'string' || url.length > URL_CHARS_MAX || !PLAIN_URL.test(url) || !URL.canParse(url)) {
    throw new JwtError('claims', 'htu must be an absolute http or https URL')
  }
  const parsed = new URL(url)
  if (parsed.username !== '' || parsed.password !== '') throw new JwtError('claims', 'htu must not name a user')
  return parsed.origin + parsed.pathname
}
