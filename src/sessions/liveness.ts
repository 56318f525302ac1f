/** Whether one of our own tokens, already verified as bytes, is alive now: by the cut-offs, and by the standing blocks. */
import type { Actor } from '../authority/actor-chain.ts'
import type { Block, BlockKind, Cutoff } from '../authority/cutoffs.ts'
import { pairKey, slugOf } from '../authority/dimensions.ts'
import { clientsOf, userIn } from '../authority/named.ts'
import { claimAt } from '../jose/claim-at.ts'
import type { ClientId, PrincipalId, SessionId } from '../kernel/ids.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { WorkloadToken } from '../model/evidence.ts'
import type { LiveCutoffs } from './live-cutoffs.ts'

export interface OwnToken {
  readonly jti: string
  readonly kid: string
  readonly rv: number
  readonly subject: PrincipalId
  readonly clientId: ClientId
  readonly act: Actor | undefined
  /** `pairKey(client id, version)` of its holder and of those that passed it on. */
  readonly versions: readonly string[]
  readonly session: SessionId | undefined
  readonly path: readonly string[]
  /** The one resource an access token is for. */
  readonly audience?: string
}

/** What is issued in one environment is dead in another, whatever keys and store they share: a token that names none, in all. */
export function isOfEnvironment(claims: Readonly<Record<string, unknown>>, environment: string): boolean {
  return claimAt(claims, ['env']) === environment
}

/** The cut-off that killed it, as far as this broker knows. */
export function cutoffKilling(
  token: OwnToken,
  cutoffs: LiveCutoffs,
  options: {
    readonly issuer: string
    readonly accessToken: boolean
    readonly agents?: readonly string[]
    readonly versions?: readonly string[]
  },
): Cutoff | undefined {
  const user = userIn(token)
  return cutoffs.set.killing({
    rv: token.rv,
    ...(token.session === undefined ? {} : { session: token.session }),
    nodes: [...token.path, token.jti],
    agents: options.agents ?? clientsOf(token, options.issuer),
    versions: options.versions ?? token.versions,
    ...(user === undefined ? {} : { user }),
    subject: token.subject,
    kid: token.kid,
    accessToken: options.accessToken,
    ...(token.audience === undefined ? {} : { audience: token.audience }),
  })
}

/** Everyone a token or a question is about. */
export interface Named {
  readonly subject: PrincipalId
  /** Client ids: holder, chain, presenter, delegate. */
  readonly agents: readonly string[]
  /** `pairKey(client id, version)` of those of them whose version is known. */
  readonly versions: readonly string[]
  /** What it is for; `undefined`: no one resource. */
  readonly resource: string | undefined
  /** When the user behind it signed in; `undefined`: nobody did. */
  readonly signedInAt: number | undefined
}

/**
 * A standing block of the user or their issuer, of the resource, of an agent or its version, or of an agent for this subject; the
 * last passes for a newer sign-in.
 */
export function blockOn(named: Named, cutoffs: LiveCutoffs, nowMs: number): Block | undefined {
  const { set } = cutoffs
  const user = userIn(named)
  const standing = (kind: BlockKind, id: string | undefined) =>
    id === undefined ? undefined : set.blocked(kind, id, nowMs)
  const wide = standing('user', user) ?? standing('issuer', slugOf(user)) ?? standing('resource', named.resource)
  if (wide !== undefined) return wide
  for (const version of named.versions) {
    const retired = standing('agent_version', version)
    if (retired !== undefined) return retired
  }
  for (const agent of named.agents) {
    const suspended = set.blocked('agent', agent, nowMs)
    if (suspended !== undefined) return suspended
    const halted = standing('halt', pairKey(named.subject, agent))
    if (halted !== undefined) return halted
    const pair = set.blocked('pair', pairKey(named.subject, agent), nowMs)
    const passes =
      pair?.newerThanS !== undefined && named.signedInAt !== undefined && named.signedInAt > pair.newerThanS
    if (pair !== undefined && !passes) return pair
  }
  return undefined
}

/** Whether this client, or the version that it is here in, is blocked until somebody lifts it. */
export function isClientBlocked(
  clientId: string,
  versions: readonly string[],
  { set }: LiveCutoffs,
  nowMs: number,
): boolean {
  if (set.blocked('agent', clientId, nowMs) !== undefined) return true
  return versions.some((version) => set.blocked('agent_version', version, nowMs) !== undefined)
}

/**
 * A workload's token that was issued before its client was cut off is good for nothing afterwards, as a user's is not: whoever
 * has got hold of it would otherwise come back with it until it expires.
 * @throws Rejection `principal_blocked`, `evidence_blocked`
 */
export function assertWorkloadStands({ client, version, digest, issuedAt }: WorkloadToken, { set }: LiveCutoffs): void {
  const facts = { digest, subject: undefined, agent: client.clientId, version, signedInAt: issuedAt }
  const refusal = set.evidenceRefusal(facts)
  if (refusal !== undefined) throw new Rejection(refusal, REVOKED_SINCE)
}

const REVOKED_SINCE =
  'access of this client was revoked: bring a token that its platform has issued at least a minute after that'
