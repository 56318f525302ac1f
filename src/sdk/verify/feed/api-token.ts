/**
 * The verifier's own token at the broker's API (client_credentials, `private_key_jwt`): asked for with a fresh assertion, and
 * again before it ends, at a moment of its own, so that the verifiers of a company do not all come at once.
 */
import { randomBytes, randomInt } from 'node:crypto'
import { isJsonObject, parseStrictJson } from '../../../jose/strict-json.ts'
import { type Clock, epochSeconds, type Ticks } from '../../../kernel/clock.ts'
import { API_TOKEN_LIFETIME_S } from '../../../kernel/limits.ts'
import { Secret } from '../../../kernel/secret.ts'
import { CLIENT_ASSERTION_TYPE_JWT, GRANT_TYPE } from '../../../protocol/oauth.ts'
import type { JsonDoor } from '../http.ts'

/** This server's own identity at the broker: a service with the scope `revocations`. */
export interface FeedClient {
  readonly clientId: string
  /** Signs the claims as a JWS with `typ: client-authentication+jwt` and this server's registered key. */
  sign(claims: Readonly<Record<string, unknown>>): Promise<string>
}

export interface ApiTokenOptions {
  readonly issuer: string
  readonly client: FeedClient
  readonly door: JsonDoor
  readonly clock: Clock
  readonly ticks: Ticks
}

export interface ApiToken {
  readonly token: Secret
  /** When another is to be asked for, by the ticks. */
  readonly renewAtTicksMs: number
}

const ASSERTION_LIFETIME_S = 60
/** Of its life, when another is asked for: not before, and not after, in percent. */
const RENEW_FROM = 60
const RENEW_UNTIL = 85

/** @throws Error where the broker gives none */
export async function fetchApiToken({ issuer, client, door, clock, ticks }: ApiTokenOptions): Promise<ApiToken> {
  const iat = epochSeconds(clock)
  const askedTicksMs = ticks.ticksMs()
  const assertion = await client.sign({
    iss: client.clientId,
    sub: client.clientId,
    aud: issuer, // RFC 7523bis: the issuer alone, so that no other server can use the assertion
    iat,
    exp: iat + ASSERTION_LIFETIME_S,
    jti: randomBytes(16).toString('base64url'),
  })
  const form = new URLSearchParams({
    grant_type: GRANT_TYPE.clientCredentials,
    resource: `${issuer}/api`,
    scope: 'revocations',
    client_assertion_type: CLIENT_ASSERTION_TYPE_JWT,
    client_assertion: assertion,
  })
  const answer = parseStrictJson(await door({ url: `${issuer}/token`, form }))
  const { access_token: text, expires_in: seconds, token_type: type } = isJsonObject(answer) ? answer : {}
  if (typeof text !== 'string' || text === '' || type !== 'Bearer') throw new Error('the broker gave no API token')
  const life = typeof seconds === 'number' && seconds > 0 ? Math.min(seconds, API_TOKEN_LIFETIME_S) : 0
  const share = randomInt(RENEW_FROM, RENEW_UNTIL) / 100
  return { token: new Secret(text), renewAtTicksMs: askedTicksMs + life * 1000 * share }
}
