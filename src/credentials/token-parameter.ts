/** A token as a request parameter: bounded, and of the shape of a compact JWS, before any cryptography is spent on it. */
import { TOKEN_CHARS_MAX } from '../kernel/limits.ts'
import { Rejection, type RejectionReason } from '../kernel/rejection.ts'
import { Secret } from '../kernel/secret.ts'

/** What stands in an Authorization header (RFC 6750 §2.1). */
const BEARER = /^[A-Za-z0-9._~+/-]+=*$/

/** Three dot-separated base64url parts. JWE, JSON serialisations and anything with quotes or braces are not JWTs here. */
const COMPACT_JWS = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/

/** @throws Rejection `reason` */
export function parseTokenParameter(text: string, name: string, reason: RejectionReason = 'token_malformed'): Secret {
  if (text.length > TOKEN_CHARS_MAX) throw new Rejection(reason, `${name} exceeds ${TOKEN_CHARS_MAX} characters`)
  if (!COMPACT_JWS.test(text)) throw new Rejection(reason, `${name} is not a signed JWT in compact form`)
  return new Secret(text)
}

/** A signed JWT to whoever reads it less strictly: with padding, in the other alphabet, or without its signature. */
const LIKE_JWS = /^eyJ[^.]*\.[^.]*\.[^.]*$/

/** An access token may be opaque; one that is nearly a JWT is not, or its provider would be asked instead. @throws Rejection `token_malformed` */
export function parseAccessToken(text: string, name: string): Secret {
  if (BEARER.test(text) && !LIKE_JWS.test(text) && text.length <= TOKEN_CHARS_MAX) return new Secret(text)
  return parseTokenParameter(text, name)
}

/** What has the shape of a JWT is one, and stands or falls by its signature: nobody is asked about it. */
export function isCompactJws(token: Secret): boolean {
  return COMPACT_JWS.test(token.reveal())
}
