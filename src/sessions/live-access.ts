/**
 * Whether an access token of ours, already verified as bytes, is alive now: by the cut-offs, by the registry's word on everyone
 * it names, by its session's own slot, and by the standing blocks. Nothing of it is remembered from one question to the next.
 */

import { clientsOf, userIn } from '../authority/named.ts'
import { claimAt } from '../jose/claim-at.ts'
import { parseUserPrincipal } from '../kernel/user-name.ts'
import { isInService, versionState } from '../model/client.ts'
import { findUser } from '../model/find-user.ts'
import { mayIssue } from '../model/lifecycle.ts'
import type { Registry } from '../model/registry.ts'
import type { BrokerSettings } from '../model/settings.ts'
import type { LiveCutoffs } from './live-cutoffs.ts'
import { blockOn, cutoffKilling, isOfEnvironment, type OwnToken } from './liveness.ts'
import type { SessionRepository } from './session-repository.ts'

export interface LivenessParts {
  readonly registry: Registry
  readonly settings: Pick<BrokerSettings, 'issuer' | 'environment'>
  readonly cutoffs: LiveCutoffs
  readonly sessions: Pick<SessionRepository, 'readLive'>
  readonly nowMs: number
}

export type AccessToken = OwnToken & { readonly claims: Readonly<Record<string, unknown>> }

export async function isAlive(token: AccessToken, parts: LivenessParts): Promise<boolean> {
  const { registry, sessions, settings, nowMs } = parts
  if (!isOfEnvironment(token.claims, settings.environment)) return false
  if (isCutOff(token, parts)) return false
  if (!everyoneActive(token, registry, settings) || token.session === undefined) return false
  const live = await sessions.readLive(token.session, [...token.path, token.jti], Math.floor(nowMs / 1000))
  return live !== undefined && !isBlocked(token, live.signedInAt, parts)
}

type KnownHere = Pick<LivenessParts, 'settings' | 'cutoffs' | 'nowMs'>

/** By the cut-offs that this broker has: once more where its session's own slot has agreed and time has passed. */
export function isCutOff(token: OwnToken, { cutoffs, settings }: Pick<KnownHere, 'settings' | 'cutoffs'>): boolean {
  return cutoffKilling(token, cutoffs, { issuer: settings.issuer, accessToken: true }) !== undefined
}

/** By the blocks that this broker has. @param signedInAt of the user who opened its session */
export function isBlocked(token: OwnToken, signedInAt: number | undefined, parts: KnownHere): boolean {
  const { cutoffs, settings, nowMs } = parts
  const whose = { subject: token.subject, agents: clientsOf(token, settings.issuer), versions: token.versions }
  return blockOn({ ...whose, resource: token.audience, signedInAt }, cutoffs, nowMs) !== undefined
}

/** A suspended agent or a user who left makes the token inactive at once. */
function everyoneActive(token: AccessToken, registry: Registry, settings: LivenessParts['settings']): boolean {
  const ofHolder = claimAt(token.claims, ['agent', 'version'])
  const isActive = (name: string): boolean => {
    const client = registry.client(name)
    if (client === undefined || !isInService(client, settings.environment)) return false
    return name !== token.clientId || mayIssue(versionState(client, String(ofHolder)), settings.environment)
  }
  if (!clientsOf(token, settings.issuer).every(isActive)) return false
  const user = userIn(token)
  return user === undefined || findUser(registry, parseUserPrincipal(user))?.active === true
}
