/** Whether one of our own tokens, already verified as bytes, is alive now: by the cut-offs, and in its session's own slot. */
import { type Actor, actors } from '../authority/actor-chain.ts'
import type { Cutoff } from '../authority/cutoffs.ts'
import { agentPrincipal, type ClientId, type PrincipalId, type SessionId } from '../kernel/ids.ts'
import type { LiveCutoffs } from './live-cutoffs.ts'
import type { SessionRepository } from './session-repository.ts'

export interface OwnToken {
  readonly jti: string
  readonly kid: string
  readonly rv: number
  readonly subject: PrincipalId
  readonly clientId: ClientId
  readonly act: Actor | undefined
  readonly session: SessionId | undefined
  readonly path: readonly string[]
}

/** Client ids of every agent of ours a token names: subject, holder and each actor. All count for revocation. */
export function agentsOf(token: Pick<OwnToken, 'subject' | 'clientId' | 'act'>, issuer: string): readonly string[] {
  const principals = new Set<string>([token.subject, agentPrincipal(token.clientId)])
  if (token.act !== undefined) {
    for (const actor of actors(token.act)) if (actor.iss === issuer) principals.add(actor.sub)
  }
  return [...principals].filter((sub) => sub.startsWith('agent:')).map((sub) => sub.slice('agent:'.length))
}

export function userIn(token: Pick<OwnToken, 'subject'>): PrincipalId | undefined {
  return token.subject.startsWith('user:') ? token.subject : undefined
}

/** The cut-off that killed it, as far as this broker knows. */
export function cutoffKilling(
  token: OwnToken,
  cutoffs: LiveCutoffs,
  options: { readonly issuer: string; readonly accessToken: boolean; readonly agents?: readonly string[] },
): Cutoff | undefined {
  const user = userIn(token)
  return cutoffs.set.killing({
    rv: token.rv,
    ...(token.session === undefined ? {} : { session: token.session }),
    nodes: [...token.path, token.jti],
    agents: options.agents ?? agentsOf(token, options.issuer),
    ...(user === undefined ? {} : { user }),
    kid: token.kid,
    accessToken: options.accessToken,
  })
}

/** Whether a standing block names anyone in it. */
export function isBlocked(token: OwnToken, cutoffs: LiveCutoffs, issuer: string, nowMs: number): boolean {
  const user = userIn(token)
  if (user !== undefined && cutoffs.set.blocked('user', user, nowMs) !== undefined) return true
  return agentsOf(token, issuer).some((agent) => cutoffs.set.blocked('agent', agent, nowMs) !== undefined)
}

/** The session's own word, read live. */
export function sessionAllows(token: OwnToken, sessions: SessionRepository, now: number): Promise<boolean> {
  if (token.session === undefined) return Promise.resolve(true)
  return sessions.isLive(token.session, [...token.path, token.jti], now)
}
