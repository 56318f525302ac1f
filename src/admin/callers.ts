/** Callers of the broker's own endpoints, checked against the revocations of the moment. */
import { type CallerSources, type IdentifiedCaller, identifyCaller } from '../credentials/caller.ts'
import type { VerifiedAccess } from '../credentials/own-token.ts'
import type { PresentedToken } from '../credentials/proof/presented-token.ts'
import { type Clock, epochSeconds } from '../kernel/clock.ts'
import { type ClientId, newNonce } from '../kernel/ids.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { AdminEntry } from '../model/admin-role.ts'
import type { Caller } from '../model/caller.ts'
import { isInService } from '../model/client.ts'
import type { SingleUse } from '../model/evidence.ts'
import type { RegistrySource } from '../model/published-registry.ts'
import type { LiveCutoffs } from '../sessions/live-cutoffs.ts'
import { cutoffKilling, isClientBlocked, isOfEnvironment } from '../sessions/liveness.ts'
import { claimOnce } from '../sessions/replay-guard.ts'
import { type ClaimStore, StoreUnavailable } from '../store/ports.ts'
import { assertStillStands } from './signed-in.ts'

export interface CallerParts extends Omit<CallerSources, 'registry' | 'now'> {
  readonly registries: RegistrySource
  readonly admins: readonly AdminEntry[]
  readonly cutoffs: LiveCutoffs
  readonly clock: Clock
  readonly claims: ClaimStore
}

/**
 * A client with the scope `sessions`, or a user, who wants to read. A view of the revocations that is not certain shows
 * nothing to anybody. @throws Rejection `bearer_*`, `cutoffs_stale`
 */
export function readingCaller(presented: PresentedToken | undefined, parts: CallerParts): Promise<Caller> {
  parts.cutoffs.assertFresh()
  return callerFor('reading', presented, parts)
}

/** The same who wants to end something: never held up, ending is the safe direction. @throws Rejection `bearer_*`, `dpop_*` */
export function sessionsCaller(presented: PresentedToken | undefined, parts: CallerParts): Promise<Caller> {
  return callerFor('ending', presented, parts)
}

/** A client with the scope `evaluate`; users ask nothing about others. @throws Rejection `bearer_*`, `dpop_*`, `cutoffs_stale` */
export async function evaluatingCaller(presented: PresentedToken | undefined, parts: CallerParts): Promise<Caller> {
  parts.cutoffs.assertFresh()
  const caller = await callerFor('reading', presented, parts, 'evaluate')
  if (caller.kind === 'client') return caller
  throw new Rejection('bearer_scope', 'this endpoint needs an API token with the scope evaluate')
}

/** A client that follows the revocations; `stands`: whether it still may, asked again and again while it does. */
export interface Follower extends Extract<Caller, { readonly kind: 'client' }> {
  stands(): boolean
}

/**
 * A service with the scope `revocations`, or whichever client a resource names as its server: nobody else verifies tokens.
 * @throws Rejection `bearer_*`, `dpop_*`, `cutoffs_stale`
 */
export async function followingCaller(presented: PresentedToken | undefined, parts: CallerParts): Promise<Follower> {
  parts.cutoffs.assertFresh()
  const { caller, token } = await identifiedFor('reading', presented, parts, 'revocations')
  if (caller.kind !== 'client' || token === undefined || !mayFollow(caller.client.clientId, parts)) {
    throw new Rejection('bearer_scope', 'only a service that verifies tokens follows the revocations')
  }
  const { clientId } = caller.client
  const stands = () =>
    parts.clock.nowMs() < token.expiresAt * 1000 && !isRevoked(token, parts) && mayFollow(clientId, parts)
  return { ...caller, stands }
}

/** By the registry of this moment. */
function mayFollow(clientId: ClientId, { registries, environment }: CallerParts): boolean {
  const client = registries.current.client(clientId)
  if (client === undefined || !isInService(client, environment) || !client.apiScopes.includes('revocations'))
    return false
  const isServer = registries.current.resources.some(({ serverClient }) => serverClient === clientId)
  return client.kind === 'service' || isServer
}

async function callerFor(
  purpose: 'reading' | 'ending',
  presented: PresentedToken | undefined,
  parts: CallerParts,
  scope = 'sessions',
): Promise<Caller> {
  return (await identifiedFor(purpose, presented, parts, scope)).caller
}

async function identifiedFor(
  purpose: 'reading' | 'ending',
  presented: PresentedToken | undefined,
  parts: CallerParts,
  scope: string,
): Promise<Pick<IdentifiedCaller, 'caller' | 'token'>> {
  const now = epochSeconds(parts.clock)
  const { caller, token, user, singleUse } = await identifyCaller(presented, {
    ...parts,
    registry: parts.registries.current,
    now,
  })
  if (singleUse !== undefined) await claimProof(singleUse, purpose, parts)
  if (token !== undefined && isRevoked(token, parts)) {
    throw new Rejection('bearer_invalid', 'this API token was revoked')
  }
  if (user !== undefined) assertStillStands(user, parts)
  if (caller.kind === 'client' && !caller.scopes.includes(scope)) {
    throw new Rejection('bearer_scope', `this endpoint needs the scope ${scope}`)
  }
  return { caller, token }
}

function isRevoked(token: VerifiedAccess, { cutoffs, clock, issuer, environment }: CallerParts): boolean {
  // Not the block of the agent's autonomous work: it may still see and end what it holds.
  const isBlocked = isClientBlocked(token.clientId, token.versions, cutoffs, clock.nowMs())
  const isDead = cutoffKilling(token, cutoffs, { issuer, accessToken: true }) !== undefined
  return isDead || isBlocked || !isOfEnvironment(token.claims, environment)
}

/** Ending the same twice does no harm: a full store, or an uncertain clock, must not keep anybody who proves their key from it. */
export async function claimProof(
  use: SingleUse,
  purpose: 'reading' | 'ending',
  { claims, cutoffs }: CallerParts,
): Promise<void> {
  try {
    await claimOnce(claims, use, { nonce: newNonce(), cutoffs })
  } catch (error) {
    const isOurs = error instanceof StoreUnavailable || (error instanceof Rejection && error.reason === 'cutoffs_stale')
    if (purpose === 'reading' || !isOurs) throw error
  }
}
