/**
 * Who may use a bound token: whoever holds the key that it names (RFC 8705 §3, RFC 9449 §7). What the server has not checked does
 * not count: a bound token without its proof is a stolen one.
 */
import { type Confirmation, parseCnf } from '../../jose/cnf.ts'
import { JwtError } from '../../jose/jwt-error.ts'
import type { DpopRequest } from './dpop.ts'
import { TokenRefused } from './verified-token.ts'

/** What the request that brought the token has proven beside it; each from the server's own TLS or its own proxy, never from the client. */
export interface Holder {
  /** SHA-256 of the DER of the certificate that the client has shown in the TLS handshake, base64url without padding. */
  readonly certificateThumbprint?: string | undefined
  /** Set where the scheme of `Authorization` was DPoP, and only there (RFC 9449 §7.1). */
  readonly dpop?: DpopRequest | undefined
}

/** @throws TokenRefused */
export async function assertHeldBy(
  { certificateThumbprint, dpop }: Holder,
  claims: Readonly<Record<string, unknown>>,
  assertProven: (request: DpopRequest, thumbprint: string) => Promise<void>,
): Promise<void> {
  const bound = Object.hasOwn(claims, 'cnf') ? keyOf(claims['cnf']) : undefined
  if (bound === 'unknown') throw unproven('a key, which this server cannot check')
  if (bound?.kind !== 'jkt' && dpop !== undefined) {
    throw new TokenRefused('invalid', 'the token is bound to no key of proofs, but was sent with the scheme DPoP')
  }
  if (bound?.kind === 'x5t#S256' && bound.thumbprint !== certificateThumbprint) {
    throw unproven('a certificate that was not shown')
  }
  if (bound?.kind !== 'jkt') return
  // Even with a good proof beside it: a server that took it so would take it from whoever knows no proofs (RFC 9449 §7.2).
  if (dpop === undefined) throw unproven('a key: send it with the scheme DPoP')
  await assertProven(dpop, bound.thumbprint)
}

/** What cannot be read binds the token all the same. */
function keyOf(cnf: unknown): Confirmation | 'unknown' {
  try {
    return parseCnf(cnf)
  } catch (error) {
    if (error instanceof JwtError) return 'unknown'
    throw error
  }
}

function unproven(what: string): TokenRefused {
  return new TokenRefused('invalid', `the token is bound to ${what}`)
}
