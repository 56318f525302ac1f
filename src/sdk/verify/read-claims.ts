/**
 * What the claims of a verified access token say, member by member: the chain and that its newest actor is the client, details for
 * one resource alone. Anything malformed refuses the token, even where nothing hangs on it.
 */
import { actors, parseActorChain } from '../../authority/actor-chain.ts'
import { parseDetails } from '../../authority/details.ts'
import { isJsonObject } from '../../jose/strict-json.ts'
import type { VerifiedJwt } from '../../jose/verify-jwt.ts'
import { parseScope } from '../../protocol/scope.ts'
import { type TokenIntent, TokenRefused, type VerifiedToken } from './verified-token.ts'

/** @param resource the only one that details may be for. @throws TokenRefused, or Rejection where chain or details are malformed */
export function readClaims({ claims, expiresAt }: VerifiedJwt, resource: string): VerifiedToken {
  const subject = text(claims, 'sub')
  const clientId = text(claims, 'client_id')
  const chain = actors(Object.hasOwn(claims, 'act') ? parseActorChain(claims['act']) : undefined)
  const newest = chain[0]?.sub ?? subject
  if (newest !== `agent:${clientId}` && newest !== `service:${clientId}`) {
    throw new TokenRefused('invalid', 'the newest actor of the token is not its client')
  }
  const details = Object.hasOwn(claims, 'authorization_details')
    ? parseDetails(claims['authorization_details'])
    : undefined
  const here = details?.tools.get(resource)
  if (details !== undefined && (here === undefined || details.tools.size !== 1)) {
    throw new TokenRefused('invalid', 'the details of the token are not for this resource alone')
  }
  const intent = readIntent(claims)
  return {
    subject,
    ...(subject.startsWith('user:') ? { user: subject } : {}),
    clientId,
    scopes: parseScope(text(claims, 'scope')),
    actors: chain.map((actor) => actor.sub),
    expiresAt,
    jti: text(claims, 'jti'),
    session: text(claims, 'sid'),
    ...(Object.hasOwn(claims, 'txn') ? { txn: text(claims, 'txn') } : {}),
    ...(intent === undefined ? {} : { intent }),
    tools: here?.tools ?? new Map(),
    revokedTools: new Set(),
    limits: here?.limits ?? {},
    claims,
  }
}

function readIntent(claims: Readonly<Record<string, unknown>>): TokenIntent | undefined {
  if (!Object.hasOwn(claims, 'intent')) return undefined
  const hash = text(claims, 'intent')
  const environment = Object.hasOwn(claims, 'env') ? text(claims, 'env') : undefined
  return {
    hash,
    ...(Object.hasOwn(claims, 'origin') ? { origin: readOrigin(claims['origin']) } : {}),
    ...(environment === undefined ? {} : { environment }),
  }
}

function readOrigin(said: unknown): NonNullable<TokenIntent['origin']> {
  if (!isJsonObject(said)) throw new TokenRefused('invalid', 'the token is not valid')
  return {
    type: text(said, 'type'),
    ...(Object.hasOwn(said, 'ref') ? { ref: text(said, 'ref') } : {}),
    ...(Object.hasOwn(said, 'asserted_by') ? { assertedBy: text(said, 'asserted_by') } : {}),
  }
}

function text(claims: Readonly<Record<string, unknown>>, name: string): string {
  const value = claims[name]
  if (typeof value !== 'string' || value === '') throw new TokenRefused('invalid', 'the token is not valid')
  return value
}
