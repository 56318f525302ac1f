/** How an MCP server says who it is to the broker: `private_key_jwt`, one fresh assertion per request. */
import { randomBytes } from 'node:crypto'
import { type Clock, epochSeconds } from '../../kernel/clock.ts'
import { FETCH_TIMEOUT_MS } from '../../kernel/outbound-limits.ts'
import { CLIENT_ASSERTION_TYPE_JWT } from '../../protocol/oauth.ts'
import { inTime } from './in-time.ts'

/** This server's own identity at the broker: the service registered as `server_client` of the resource. */
export interface ServerIdentity {
  readonly clientId: string
  /** Signs the claims as a JWS with `typ: client-authentication+jwt` and this server's registered key. */
  sign(claims: Readonly<Record<string, unknown>>): Promise<string>
}

const ASSERTION_LIFETIME_S = 60

/** What a form carries beside its question (RFC 7523 §2.2). @throws Error when it was not signed in time */
export async function clientAssertion(
  identity: ServerIdentity,
  issuer: string,
  clock: Clock,
): Promise<{ readonly client_assertion_type: string; readonly client_assertion: string }> {
  const iat = epochSeconds(clock)
  const claims = {
    iss: identity.clientId,
    sub: identity.clientId,
    aud: issuer, // RFC 7523bis: the issuer alone, so that no other server can use the assertion
    iat,
    exp: iat + ASSERTION_LIFETIME_S,
    jti: randomBytes(16).toString('base64url'),
  }
  // A key service that hangs would hold up whoever waits for this request, and all that share it.
  const assertion = await inTime(identity.sign(claims), FETCH_TIMEOUT_MS)
  return { client_assertion_type: CLIENT_ASSERTION_TYPE_JWT, client_assertion: assertion }
}
