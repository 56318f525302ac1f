/**
 * An MCP server's own token at the broker's API (client_credentials, `private_key_jwt`): asked for with a fresh assertion, and
 * again before it ends, at a moment of its own, so that the verifiers of a company do not all come at once.
 */
import { randomInt } from 'node:crypto'
import { isJsonObject, parseStrictJson } from '../../jose/strict-json.ts'
import type { Clock, Ticks } from '../../kernel/clock.ts'
import { API_TOKEN_LIFETIME_S } from '../../kernel/limits.ts'
import { Secret } from '../../kernel/secret.ts'
import { GRANT_TYPE } from '../../protocol/oauth.ts'
import { clientAssertion, type ServerIdentity } from './client-assertion.ts'
import type { JsonDoor } from './http.ts'

export interface ApiTokenOptions {
  readonly issuer: string
  readonly client: ServerIdentity
  readonly scope: 'revocations' | 'evaluate'
  readonly door: JsonDoor
  readonly clock: Clock
  readonly ticks: Ticks
}

export interface ApiToken {
  readonly token: Secret
  /** When another is to be asked for, by the ticks. */
  readonly renewAtTicksMs: number
  readonly endsAtTicksMs: number
}

/** Of its life, when another is asked for: not before, and not after, in percent. */
const RENEW_FROM = 60
const RENEW_UNTIL = 85

/** @throws Error where the broker gives none */
export async function fetchApiToken({ issuer, client, scope, door, clock, ticks }: ApiTokenOptions): Promise<ApiToken> {
  const askedTicksMs = ticks.ticksMs()
  const form = new URLSearchParams({
    grant_type: GRANT_TYPE.clientCredentials,
    resource: `${issuer}/api`,
    scope,
    ...(await clientAssertion(client, issuer, clock)),
  })
  const answer = parseStrictJson(await door({ url: `${issuer}/token`, form }))
  const { access_token: text, expires_in: seconds, token_type: type } = isJsonObject(answer) ? answer : {}
  if (typeof text !== 'string' || text === '' || type !== 'Bearer') throw new Error('the broker gave no API token')
  const life = typeof seconds === 'number' && seconds > 0 ? Math.min(seconds, API_TOKEN_LIFETIME_S) : 0
  const share = randomInt(RENEW_FROM, RENEW_UNTIL) / 100
  const endsAtTicksMs = askedTicksMs + life * 1000
  return { token: new Secret(text), renewAtTicksMs: askedTicksMs + life * 1000 * share, endsAtTicksMs }
}
