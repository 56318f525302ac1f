/**
 * Asks the broker whether a token lives *now* (RFC 7662): the answer a signature cannot give. Authenticated with
 * `private_key_jwt`, one fresh assertion per question. Anything but a plain yes about this very token is a no.
 */
import { randomBytes } from 'node:crypto'
import { isJsonObject, parseStrictJson } from '../../jose/strict-json.ts'
import { type Clock, epochSeconds } from '../../kernel/clock.ts'
import type { Secret } from '../../kernel/secret.ts'
import { CLIENT_ASSERTION_TYPE_JWT } from '../../protocol/oauth.ts'
import type { JsonDoor } from './http.ts'
import { TokenRefused } from './verified-token.ts'

/** This server's own identity at the broker: the service registered as `server_client` of the resource. */
export interface Introspection {
  readonly clientId: string
  /** Signs the claims as a JWS with `typ: client-authentication+jwt` and this server's registered key. */
  sign(claims: Readonly<Record<string, unknown>>): Promise<string>
}

export interface Question {
  readonly token: Secret
  readonly jti: string
}

export interface IntrospectionDependencies {
  readonly issuer: string
  readonly introspection: Introspection
  readonly door: JsonDoor
  readonly clock: Clock
}

const ASSERTION_LIFETIME_S = 60

/** @throws TokenRefused `invalid` when the token is dead, `unavailable` when the broker gives no usable answer. */
export async function confirmActive(question: Question, dependencies: IntrospectionDependencies): Promise<void> {
  const answer = await ask(question, dependencies).catch((error: unknown) => {
    throw new TokenRefused('unavailable', 'the token issuer cannot be asked at present', error)
  })
  if (answer['active'] === false) throw new TokenRefused('invalid', 'the token has been revoked or is no longer active')
  // An answer about another token, or one that does not say, confirms nothing.
  if (answer['active'] !== true || answer['jti'] !== question.jti) {
    throw new TokenRefused('unavailable', 'the token issuer gave no usable answer')
  }
}

async function ask(
  question: Question,
  { issuer, introspection, door, clock }: IntrospectionDependencies,
): Promise<Readonly<Record<string, unknown>>> {
  const iat = epochSeconds(clock)
  const assertion = await introspection.sign({
    iss: introspection.clientId,
    sub: introspection.clientId,
    aud: issuer, // RFC 7523bis: the issuer alone, so that no other server can use the assertion
    iat,
    exp: iat + ASSERTION_LIFETIME_S,
    jti: randomBytes(16).toString('base64url'),
  })
  const form = new URLSearchParams({
    token: question.token.reveal(),
    client_assertion_type: CLIENT_ASSERTION_TYPE_JWT,
    client_assertion: assertion,
  })
  const answer = parseStrictJson(await door({ url: `${issuer}/introspect`, form }))
  return isJsonObject(answer) ? answer : {}
}
