/**
 * Whether what was presented still stands: the checks of evidence and handles against the revocations this broker knows and
 * the registry as it is now. Read `rv` before calling these (DESIGN §5).
 */
import { pairKey } from '../authority/cutoffs.ts'
import type { PrincipalId } from '../kernel/ids.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { HandleEvidence, UserEvidence } from '../model/evidence.ts'
import type { Agent, Registry } from '../model/registry.ts'
import type { OpeningEvidence } from '../model/session.ts'
import type { LiveCutoffs } from '../sessions/live-cutoffs.ts'
import { agentsOf, cutoffKilling, userIn } from '../sessions/liveness.ts'

export interface Standing {
  readonly cutoffs: LiveCutoffs
  readonly registry: Registry
  readonly issuer: string
  readonly nowMs: number
}

/** @throws Rejection `principal_blocked` for a suspended agent */
export function assertAgentStands(agent: Agent, standing: Standing): void {
  if (standing.cutoffs.set.blocked('agent', agent.clientId, standing.nowMs) !== undefined) {
    throw new Rejection('principal_blocked', 'this agent is blocked until an operator lifts the block')
  }
}

/** @throws Rejection `evidence_blocked`, `principal_blocked` */
export function assertEvidenceStands(evidence: UserEvidence, agent: Agent, standing: Standing): void {
  const { set } = standing.cutoffs
  if (set.blocked('user', evidence.principal, standing.nowMs) !== undefined) {
    throw new Rejection('principal_blocked', 'this user is blocked until an operator lifts the block')
  }
  const refusal = set.evidenceRefusal({
    digest: evidence.digest,
    subject: evidence.principal,
    agent: agent.clientId,
    user: evidence.principal,
    authTimeOrIat: evidence.authTime ?? evidence.issuedAt,
  })
  if (refusal === undefined) return
  const description =
    refusal === 'evidence_blocked'
      ? 'this subject token opened a session that was revoked: sign in again'
      : 'access of this agent for this user was revoked: the user must sign in again, later than the revocation'
  throw new Rejection(refusal, description)
}

/** Who presents a handle, and the evidence that its session was opened with; `undefined`: autonomous work. */
export interface Presented {
  readonly by: Agent
  readonly openedWith: OpeningEvidence | undefined
}

/**
 * The presenter counts beside the agents of the chain: a delegation names its delegate as audience only, and what was decided
 * for an agent before it was cut off must not let it in afterwards.
 * @throws Rejection `subject_token_revoked`, `agent_inactive`, `principal_blocked`
 */
export function assertHandleStands(evidence: HandleEvidence, presented: Presented, standing: Standing): void {
  const agents = [...new Set([...agentsOf(evidence, standing.issuer), presented.by.clientId])]
  const killing = cutoffKilling(evidence, standing.cutoffs, { issuer: standing.issuer, accessToken: false, agents })
  if (killing !== undefined) {
    throw new Rejection('subject_token_revoked', `this token was revoked (${killing.dimension.replace('_', ' ')})`)
  }
  assertChainStands(agents, standing)
  const user = userIn(evidence)
  if (user === undefined) return
  if (standing.cutoffs.set.blocked('user', user, standing.nowMs) !== undefined) {
    throw new Rejection('principal_blocked', 'this user is blocked until an operator lifts the block')
  }
  assertPairsStand(user, agents, presented.openedWith, standing)
}

/** An agent that the user has turned out must not come back through another agent's session (DESIGN §7, "no way round"). */
function assertPairsStand(
  user: PrincipalId,
  agents: readonly string[],
  openedWith: OpeningEvidence | undefined,
  standing: Standing,
): void {
  const signedInAt = openedWith?.authTime ?? openedWith?.issuedAt
  for (const agent of agents) {
    const block = standing.cutoffs.set.blocked('pair', pairKey(user, agent), standing.nowMs)
    if (block === undefined) continue
    const isNewer = block.newerThanS !== undefined && signedInAt !== undefined && signedInAt > block.newerThanS
    if (isNewer) continue
    throw new Rejection('principal_blocked', 'access of an agent of this chain for this user was revoked')
  }
}

/** Every agent of the chain must still be registered, active and unblocked: a suspended delegator passes nothing on. */
function assertChainStands(agents: readonly string[], standing: Standing): void {
  for (const id of agents) {
    const client = standing.registry.client(id)
    if (client === undefined || client.kind !== 'agent' || client.state !== 'active') {
      throw new Rejection('agent_inactive', 'an agent of this chain is no longer active')
    }
    assertAgentStands(client, standing)
  }
}
