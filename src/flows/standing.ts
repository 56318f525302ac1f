/**
 * Whether what was presented still stands: the checks of evidence and handles against the revocations this broker knows and
 * the registry as it is now. Read `rv` before calling these (DESIGN §5).
 */
import type { BlockKind } from '../authority/cutoffs.ts'
import { pairKey } from '../authority/dimensions.ts'
import { agentsOf } from '../authority/named.ts'
import { Rejection } from '../kernel/rejection.ts'
import { type Agent, isInService, versionState } from '../model/client.ts'
import type { Question } from '../model/decision.ts'
import type { HandleEvidence, SubjectEvidence, UserEvidence } from '../model/evidence.ts'
import { mayIssue } from '../model/lifecycle.ts'
import type { Registry } from '../model/registry.ts'
import type { LiveCutoffs } from '../sessions/live-cutoffs.ts'
import { assertWorkloadStands, blockOn, cutoffKilling, isOfEnvironment } from '../sessions/liveness.ts'
import type { LiveSession } from '../sessions/session-repository.ts'
import type { Party } from './flow.ts'

export interface Standing {
  readonly cutoffs: LiveCutoffs
  readonly registry: Registry
  readonly issuer: string
  readonly environment: string
  readonly nowMs: number
  /** `pairKey(client id, version)` of whoever asks, and of those that passed on what they ask with. */
  readonly versions: readonly string[]
}

export function versionsIn({ agent, verified }: Party, live: LiveSession | undefined): readonly string[] {
  const behind = live === undefined ? [] : [...live.above, live.node]
  const builds = behind.filter(({ agentVersion }) => agentVersion !== '')
  return [
    pairKey(agent.clientId, verified.version),
    ...builds.map(({ holder, agentVersion }) => pairKey(holder, agentVersion)),
  ]
}

/**
 * Nobody a question names is blocked: the user, the agent that will hold the authority, any agent of the chain, or one of
 * them for this subject. One check for every flow, so that no way in knows fewer blocks than another.
 * @throws Rejection `principal_blocked`, `resource_inactive`
 */
export function assertNobodyBlocked(question: Question, signedInAt: number | undefined, standing: Standing): void {
  const agents = [question.agent, ...question.chain].map(({ clientId }) => clientId)
  const whose = { subject: question.subject, agents, versions: standing.versions }
  const named = { ...whose, resource: question.target, signedInAt }
  const block = blockOn(named, standing.cutoffs, standing.nowMs)
  if (block === undefined) return
  const forever = block.kind === 'pair' && (block.newerThanS === undefined || signedInAt === undefined)
  const reason = block.kind === 'resource' ? 'resource_inactive' : 'principal_blocked'
  throw new Rejection(reason, forever ? LIFTED_ONLY : BLOCKED[block.kind])
}

const LIFTED_ONLY = 'access of an agent of this chain for this subject was revoked, until an operator lifts the block'

const HALTED = 'the work of an agent of this chain for this subject is halted until a reviewer resumes it'

const BLOCKED: Readonly<Record<BlockKind, string>> = {
  agent: 'an agent of this chain is blocked until an operator lifts the block',
  agent_version: 'a version of an agent of this chain is blocked until an operator lifts the block',
  user: 'this user is blocked until an operator lifts the block',
  issuer: 'the issuer of this user is blocked until an operator lifts the block',
  pair: 'access of an agent of this chain for this subject was revoked: the user must sign in again, at least a minute after that',
  halt: HALTED,
  evidence: 'this evidence is blocked',
  resource: 'this resource is blocked until an operator lifts the block',
}

/** Whatever a request is made with. @throws Rejection `*_blocked`, `subject_token_revoked`, `agent_inactive` */
export function assertStanding(evidence: SubjectEvidence, { agent, verified }: Party, standing: Standing): void {
  if (verified.workload !== undefined) assertWorkloadStands(verified.workload.token, standing.cutoffs)
  if (evidence.kind === 'workload') assertWorkloadStands(evidence.token, standing.cutoffs)
  if (evidence.kind === 'user') assertEvidenceStands(evidence, { agent, version: verified.version }, standing)
  if (evidence.kind === 'session' || evidence.kind === 'delegation')
    assertHandleStands(evidence, { agent, verified }, standing)
}

/** @throws Rejection `evidence_blocked`, `principal_blocked` */
function assertEvidenceStands(
  evidence: UserEvidence,
  { agent, version }: { readonly agent: Agent; readonly version: string },
  standing: Standing,
): void {
  const { set } = standing.cutoffs
  const refusal = set.evidenceRefusal({
    digest: evidence.digest,
    subject: evidence.principal,
    agent: agent.clientId,
    version,
    user: evidence.principal,
    signedInAt: evidence.signedInAt,
  })
  if (refusal === undefined) return
  const isHalted = set.blocked('halt', pairKey(evidence.principal, agent.clientId), standing.nowMs) !== undefined
  const description = isHalted
    ? HALTED
    : refusal === 'evidence_blocked'
      ? 'this subject token opened a session that was revoked: sign in again'
      : 'access of this agent for this user was revoked: the user must sign in again, at least a minute after that'
  throw new Rejection(refusal, description)
}

/**
 * The presenter counts beside the agents of the chain: a delegation names its delegate as audience only, and what was decided
 * for an agent before it was cut off must not let it in afterwards.
 * @throws Rejection `subject_token_revoked`, `agent_inactive`
 */
function assertHandleStands(
  evidence: HandleEvidence,
  { agent: presenter, verified }: Pick<Party, 'agent' | 'verified'>,
  standing: Standing,
): void {
  if (!isOfEnvironment(evidence.claims, standing.environment)) {
    throw new Rejection('subject_token_revoked', 'this token was issued in another environment')
  }
  const agents = [...new Set([...agentsOf(evidence, standing.issuer), presenter.clientId])]
  const versions = [...evidence.versions, pairKey(presenter.clientId, verified.version)]
  const concerned = { issuer: standing.issuer, accessToken: false, agents, versions }
  const killing = cutoffKilling(evidence, standing.cutoffs, concerned)
  if (killing !== undefined) {
    throw new Rejection('subject_token_revoked', `this token was revoked (${killing.dimension.replaceAll('_', ' ')})`)
  }
  for (const id of agents) {
    const client = standing.registry.client(id)
    if (client?.kind === 'agent' && isInService(client, standing.environment)) continue
    throw new Rejection('agent_inactive', 'an agent of this chain is no longer active')
  }
}

/**
 * What a build of an agent has passed on ends with that build: it may have been retired for what it did.
 * @throws Rejection `agent_inactive`
 */
export function assertBuildsStand(live: LiveSession | undefined, { registry, environment }: Standing): void {
  for (const { holder, agentVersion } of live?.above ?? []) {
    const client = registry.client(holder)
    if (client !== undefined && mayIssue(versionState(client, agentVersion), environment)) continue
    throw new Rejection('agent_inactive', 'the version of an agent that passed this on is no longer active')
  }
}
