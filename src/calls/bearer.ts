/**
 * The bearer of an inbound access token, as the server it was made for asks about them. Whatever is wrong with the token, the
 * answer is one: a server learns nothing of tokens that are not its own.
 */

import { actors } from '../authority/actor-chain.ts'
import { parseDetails } from '../authority/details.ts'
import { agentsOf, servicesOf, userIn } from '../authority/named.ts'
import type { ToolsWithLimits } from '../authority/resource-tools.ts'
import { type VerifiedAccess, verifyAccessToken } from '../credentials/own-token.ts'
import { parseTokenParameter } from '../credentials/token-parameter.ts'
import type { ResourceUrl } from '../kernel/ids.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { Secret } from '../kernel/secret.ts'
import { parseUserPrincipal } from '../kernel/user-name.ts'
import type { KeyRing } from '../keys/key-ring.ts'
import type { Client } from '../model/client.ts'
import type { Question } from '../model/decision.ts'
import { findUser, withEmail } from '../model/find-user.ts'
import { type Resource, whyNotIssuedFor } from '../model/resource.ts'
import type { IssuingState, NodeFacts, SessionFacts } from '../model/session.ts'
import { parseScope } from '../protocol/scope.ts'
import { isAlive, type LivenessParts } from '../sessions/live-access.ts'
import type { SessionRepository } from '../sessions/session-repository.ts'

export interface Bearer {
  readonly token: VerifiedAccess
  readonly resource: Resource
  readonly facts: SessionFacts
  readonly state: IssuingState
  /** What was asked for outside the intent of its session so far. */
  readonly drift: number
  /** The hop that it was issued from. */
  readonly node: NodeFacts
  /** The hops down to that one, root first. */
  readonly path: readonly NodeFacts[]
  /** What the question says of them. */
  readonly asks: Pick<Question, 'agent' | 'chain' | 'services' | 'subject' | 'user' | 'risk' | 'parent' | 'contracted'>
}

export interface BearerParts extends LivenessParts {
  readonly ring: Pick<KeyRing, 'verificationKeys'>
  readonly sessions: Pick<SessionRepository, 'readLive' | 'holderOf'>
}

/**
 * `undefined`: it is not a live token for one of these resources.
 * @throws Rejection `keys_not_ready`; StoreUnavailable
 */
export async function bearerOf(
  text: Secret,
  own: readonly Resource[],
  parts: BearerParts,
): Promise<Bearer | undefined> {
  const token = await readToken(text, parts)
  const resource = own.find(({ url }) => url === token?.audience)
  if (token === undefined || resource === undefined) return undefined
  if (whyNotIssuedFor(resource, parts.settings.environment) !== undefined) return undefined
  const [alive, held] = await Promise.all([
    isAlive(token, parts),
    token.session === undefined ? undefined : parts.sessions.holderOf(token.session, token.path),
  ])
  if (!alive || held === undefined) return undefined
  const { issuer } = parts.settings
  const [agent, ...chain] = registered(agentsOf(token, issuer), 'agent', parts) ?? []
  const services = registered(servicesOf(token, issuer), 'service', parts)
  const user = userIn(token)
  const listed = user === undefined ? undefined : findUser(parts.registry, parseUserPrincipal(user))
  const here = hereOf(token)
  if (agent === undefined || services === undefined || here === undefined || !isHolderNewest(token)) return undefined
  const bounds = { scopes: parseScope(token.scope), ...here }
  return {
    token,
    resource,
    ...held,
    asks: {
      agent,
      chain,
      services,
      subject: token.subject,
      user: listed === undefined ? undefined : withEmail(listed, held.facts),
      contracted: held.state === 'contracted',
      risk: held.facts.evidence?.risk,
      parent: { resources: new Map([[resource.url, bounds]]), notAfter: token.expiresAt, maxDepth: 0 },
    },
  }
}

async function readToken(text: Secret, { ring, settings, nowMs }: BearerParts): Promise<VerifiedAccess | undefined> {
  try {
    const token = parseTokenParameter(text.reveal(), 'the token')
    return await verifyAccessToken(token, { ring, issuer: settings.issuer, now: Math.floor(nowMs / 1000) })
  } catch (error) {
    if (error instanceof Rejection && error.reason !== 'keys_not_ready') return undefined
    throw error
  }
}

/**
 * Newest first: the agent that the question is about is the nearest one, whatever servers lie between it and the caller.
 * `undefined`: one of them is not registered as what it is in the token.
 */
function registered<K extends Client['kind']>(ids: readonly string[], kind: K, { registry }: BearerParts) {
  const found = ids.flatMap((id) => {
    const client = registry.client(id)
    return client?.kind === kind ? [client as Extract<Client, { readonly kind: K }>] : []
  })
  return found.length === ids.length ? found : undefined
}

/** Whoever holds it is who acts: an agent, or a server on the way. */
function isHolderNewest({ act, subject, clientId }: VerifiedAccess): boolean {
  const newest = act === undefined ? subject : actors(act)[0]?.sub
  return newest === `agent:${clientId}` || newest === `service:${clientId}`
}

/** What the token says of its one resource, read by the engine that verifiers read it with. */
function hereOf({ claims, audience }: VerifiedAccess): ToolsWithLimits | undefined {
  const { authorization_details: details } = claims
  if (details === undefined) return { tools: new Map(), limits: {} }
  try {
    return parseDetails(details).tools.get(audience as ResourceUrl)
  } catch (error) {
    if (error instanceof Rejection) return undefined
    throw error
  }
}
