/**
 * Who may use a bound token: whoever holds the key that it names (RFC 8705 §3, RFC 9449 §7). What the server has not checked does
 * not count: a bound token without its proof is a stolen one.
 */
import { type Confirmation, parseCnf } from '../../jose/cnf.ts'
import { JwtError } from '../../jose/jwt-error.ts'
import { TokenRefused } from './verified-token.ts'

/** What the request that brought the token has proven beside it; each from the server's own TLS or its own proxy, never from the client. */
export interface Holder {
  /** SHA-256 of the DER of the certificate that the client has shown in the TLS handshake, base64url without padding. */
  readonly certificateThumbprint?: string | undefined
}

/** @throws TokenRefused */
export function assertHeldBy({ certificateThumbprint }: Holder, claims: Readonly<Record<string, unknown>>): void {
  if (!Object.hasOwn(claims, 'cnf')) return
  const bound = keyOf(claims['cnf'])
  if (bound?.kind !== 'x5t#S256') throw unproven('a key, which this server cannot check')
  if (bound.thumbprint !== certificateThumbprint) throw unproven('a certificate that was not shown')
}

/** What cannot be read binds the token all the same. */
function keyOf(cnf: unknown): Confirmation | undefined {
  try {
    return parseCnf(cnf)
  } catch (error) {
    if (error instanceof JwtError) return undefined
    throw error
  }
}

function unproven(what: string): TokenRefused {
  return new TokenRefused('invalid', `the token is bound to ${what}`)
}
