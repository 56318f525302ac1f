/**
 * Whether what was presented still stands: the checks of evidence and handles against the revocations this broker knows and
 * the registry as it is now. Read `rv` before calling these (DESIGN §5).
 */
import type { BlockKind } from '../authority/cutoffs.ts'
import { pairKey } from '../authority/dimensions.ts'
import { clientsOf, servicesOf } from '../authority/named.ts'
import { Rejection } from '../kernel/rejection.ts'
import { isInService, versionState } from '../model/client.ts'
import type { Question } from '../model/decision.ts'
import type {
  HandleEvidence,
  InboundEvidence,
  SubjectEvidence,
  UserEvidence,
  VerifiedClient,
} from '../model/evidence.ts'
import { mayIssue } from '../model/lifecycle.ts'
import type { Registry } from '../model/registry.ts'
import type { LiveCutoffs } from '../sessions/live-cutoffs.ts'
import { assertWorkloadStands, blockOn, cutoffKilling, isOfEnvironment } from '../sessions/liveness.ts'
import type { LiveSession } from '../sessions/session-repository.ts'
import type { Asker } from './flow.ts'

export interface Standing {
  readonly cutoffs: LiveCutoffs
  readonly registry: Registry
  readonly issuer: string
  readonly environment: string
  readonly nowMs: number
  /** `pairKey(client id, version)` of whoever asks, and of those that passed on what they ask with. */
  readonly versions: readonly string[]
}

export function versionsIn({ verified }: Asker, live: LiveSession | undefined): readonly string[] {
  const behind = live === undefined ? [] : [...live.above, live.node]
  const builds = behind.filter(({ agentVersion }) => agentVersion !== '')
  return [
    pairKey(verified.client.clientId, verified.version),
    ...builds.map(({ holder, agentVersion }) => pairKey(holder, agentVersion)),
  ]
}

/**
 * Nobody a question names is blocked: the user, the agent that will hold the authority, any agent of the chain, or one of
 * them for this subject. One check for every flow, so that no way in knows fewer blocks than another.
 * @throws Rejection `principal_blocked`, `resource_inactive`
 */
export function assertNobodyBlocked(question: Question, signedInAt: number | undefined, standing: Standing): void {
  const agents = [question.agent, ...question.chain, ...question.services].map(({ clientId }) => clientId)
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
export function assertStanding(evidence: SubjectEvidence, { verified }: Asker, standing: Standing): void {
  if (verified.workload !== undefined) assertWorkloadStands(verified.workload.token, standing.cutoffs)
  if (evidence.kind === 'workload') assertWorkloadStands(evidence.token, standing.cutoffs)
  if (evidence.kind === 'user') assertEvidenceStands(evidence, verified, standing)
  if (evidence.kind === 'session' || evidence.kind === 'delegation' || evidence.kind === 'access')
    assertOwnStands(evidence, verified, standing)
}

/** @throws Rejection `evidence_blocked`, `principal_blocked` */
function assertEvidenceStands(
  evidence: UserEvidence,
  { client, version }: Pick<VerifiedClient, 'client' | 'version'>,
  standing: Standing,
): void {
  const { set } = standing.cutoffs
  const refusal = set.evidenceRefusal({
    digest: evidence.digest,
    subject: evidence.principal,
    agent: client.clientId,
    version,
    user: evidence.principal,
    signedInAt: evidence.signedInAt,
  })
  if (refusal === undefined) return
  const isHalted = set.blocked('halt', pairKey(evidence.principal, client.clientId), standing.nowMs) !== undefined
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
function assertOwnStands(
  evidence: HandleEvidence | InboundEvidence,
  { client: presenter, version }: Pick<VerifiedClient, 'client' | 'version'>,
  standing: Standing,
): void {
  if (!isOfEnvironment(evidence.claims, standing.environment)) {
    throw new Rejection('subject_token_revoked', 'this token was issued in another environment')
  }
  const agents = [...new Set([...clientsOf(evidence, standing.issuer), presenter.clientId])]
  const versions = [...evidence.versions, pairKey(presenter.clientId, version)]
  const concerned = { issuer: standing.issuer, accessToken: evidence.kind === 'access', agents, versions }
  const killing = cutoffKilling(evidence, standing.cutoffs, concerned)
  if (killing !== undefined) {
    throw new Rejection('subject_token_revoked', `this token was revoked (${killing.dimension.replaceAll('_', ' ')})`)
  }
  const servers = servicesOf(evidence, standing.issuer)
  for (const id of agents) {
    const client = standing.registry.client(id)
    const kind = servers.includes(id) || id === presenter.clientId ? client?.kind : 'agent'
    if (client !== undefined && client.kind === kind && isInService(client, standing.environment)) continue
    throw new Rejection('agent_inactive', 'an agent of this chain is no longer active')
  }
}

/**
 * What a build of an agent has passed on ends with that build: it may have been retired for what it did.
 * @throws Rejection `agent_inactive`
 */
export function assertBuildsStand(
  evidence: SubjectEvidence,
  live: LiveSession | undefined,
  { registry, environment }: Standing,
): void {
  // Whoever goes on with an access token is not who holds its node, and who asked for it may have been another build.
  const named = evidence.kind === 'access' ? evidence.versions.map(buildNamed) : []
  const holders = (live?.above ?? []).map(({ holder, agentVersion }) => [holder, agentVersion] as const)
  for (const [id, version] of [...holders, ...named]) {
    const client = registry.client(id)
    if (client !== undefined && mayIssue(versionState(client, version), environment)) continue
    throw new Rejection('agent_inactive', 'the version of an agent that passed this on is no longer active')
  }
}

/** As `pairKey` writes it: no version has a bar in it. */
function buildNamed(build: string): readonly [string, string] {
  const bar = build.lastIndexOf('|')
  return [build.slice(0, bar), build.slice(bar + 1)]
}
