/** The five fields of attribution (DESIGN §8), from verified facts. */
import { shownSubject } from '../credentials/client/workload-client.ts'
import { servicePrincipal } from '../kernel/ids.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { AuditRecord } from '../model/audit-record.ts'
import type { Client } from '../model/client.ts'
import { type Content, DigestedText } from '../model/commit.ts'
import type { Confirmation } from '../model/confirmation.ts'
import type { IssueAttribution } from '../model/event-catalogue.ts'
import type { InboundEvidence, SubjectEvidence, VerifiedClient } from '../model/evidence.ts'
import type { MintedToken } from '../model/minted.ts'
import type { RequestFacts } from '../model/request-facts.ts'
import type { BrokerSettings } from '../model/settings.ts'
import { serverSnapshot } from '../model/snapshot.ts'
import { parseTxn } from '../model/transaction.ts'
import { formatScope } from '../protocol/scope.ts'
import { chainSubjects } from '../sessions/session-record.ts'
import type { LiveSession } from '../sessions/session-repository.ts'
import type { Issue } from './flow.ts'
import type { TokenRequest } from './token-request.ts'

/** Known as soon as the evidence is verified, so that refusals have it too: who asks, and for what, as far as they say it. */
export function describeAsked(
  evidence: SubjectEvidence,
  request: TokenRequest,
  { client, version }: VerifiedClient,
): Partial<AuditRecord> {
  const { scope, instance } = request
  const named = client.kind === 'agent' && instance !== undefined
  return {
    ...(scope === undefined ? {} : { scope: formatScope(scope) }),
    ...(named ? { agent: { id: client.clientId, version, instance } } : {}),
    ...originAsked(evidence, request, client),
    ...describeEvidence(evidence),
  }
}

/** What sets the work off that a session is to be opened for. Of one that is open, its own record says so. */
function originAsked(evidence: SubjectEvidence, { details }: TokenRequest, client: Client): Partial<AuditRecord> {
  if (!opens(evidence)) return {}
  const standing = client.kind === 'agent' && details === undefined ? client.standingIntent?.origin : undefined
  const declared = details?.intent?.origin ?? standing
  return { origin: declared?.type ?? (evidence.kind === 'user' ? 'user_request' : 'schedule') }
}

function describeEvidence(evidence: SubjectEvidence): Partial<AuditRecord> {
  if (evidence.kind === 'self') return {}
  if (evidence.kind === 'workload') {
    const { token } = evidence
    return { workload: { issuer: token.voucher.slug, sub: shownSubject(token) }, subject_token: token.digest }
  }
  if (evidence.kind === 'user') {
    const grant = 'targets' in evidence ? ({ grant: 'id_jag' } as const) : {}
    const txn = evidence.txn === undefined ? {} : { txn: evidence.txn }
    return { on_behalf_of: evidence.principal, subject_token: evidence.digest, ...grant, ...txn }
  }
  return {
    on_behalf_of: evidence.subject,
    session: evidence.session,
    node: evidence.path.at(-1) ?? '',
    chain: chainSubjects(evidence.act),
    ...txnIn(evidence),
    subject_token: evidence.digest,
    ...(evidence.kind === 'access' ? { agent: withoutUnknown(evidence.agent) } : {}),
  }
}

/** Known as soon as the session is read, so that a refusal says, too, what the work was for and what set it off. */
export function describeHop({ facts, node, state, drift }: LiveSession): Partial<AuditRecord> {
  const conformance = state === 'active' && drift === 0 ? {} : { conformance: { state, drift } }
  return { txn: facts.txn, intent: node.intentHash, origin: node.origin.type, ...conformance }
}

/**
 * Of the piece of work that a session is opened for: as the subject token names it, else as the trace that it happens in.
 * @throws Rejection `correlation_missing`
 */
export function givenTxn(
  evidence: SubjectEvidence,
  { trace }: Pick<RequestFacts, 'trace'>,
  { requireCorrelation }: Pick<BrokerSettings, 'requireCorrelation'>,
): string | undefined {
  if (!opens(evidence)) return undefined
  const given = (evidence.kind === 'user' ? evidence.txn : undefined) ?? trace?.traceId
  if (given !== undefined || !requireCorrelation) return given
  throw new Rejection('correlation_missing', 'say of which work this is: send a traceparent (W3C Trace Context)', {
    missing: ['a header traceparent, or txn in the subject token'],
  })
}

/** Whether it opens a session: what goes on from one has its work from it. */
function opens({ kind }: SubjectEvidence): boolean {
  return kind === 'user' || kind === 'self' || kind === 'workload'
}

/** One of our own names it before its session is read. */
function txnIn({ claims }: Pick<InboundEvidence, 'claims'>): Partial<AuditRecord> {
  const txn = parseTxn(claims['txn'])
  return txn === undefined ? {} : { txn }
}

function withoutUnknown({ id, version }: InboundEvidence['agent']): NonNullable<AuditRecord['agent']> {
  return { id, ...(version === undefined ? {} : { version }) }
}

/** @param authority digest of `grantedAuthority` */
export function describeIssue(
  issue: Issue,
  minted: MintedToken,
  authority: string,
): IssueAttribution & Partial<AuditRecord> {
  const { session, node } = issue.order.holder
  return {
    // A server is no agent: on whose way it is, its evidence has said.
    ...(node.act?.sub === servicePrincipal(node.holder) ? {} : { agent: actingAgent(issue) }),
    on_behalf_of: session.subject.principal,
    ...(session.subject.user === undefined ? { owner: session.accountableOwner } : {}),
    session: session.id,
    txn: session.txn,
    node: node.id,
    ...(node.parent === undefined ? {} : { parent: node.parent }),
    intent: node.intentHash,
    origin: node.origin.type,
    ...whereTo(issue),
    scope: formatScope(minted.scopes),
    chain: chainSubjects(node.act),
    jti: minted.jti,
    expires_at: minted.expiresAt,
    authority,
    ...boundTo(minted.confirmation),
  }
}

function actingAgent({ order }: Issue): NonNullable<AuditRecord['agent']> {
  return {
    id: order.holder.node.holder,
    version: order.agentVersion,
    ...(order.instance === undefined ? {} : { instance: order.instance }),
  }
}

function whereTo({ mint, order }: Issue): Pick<AuditRecord, 'server' | 'service' | 'authorization_server'> & {
  readonly resource: string
} {
  if (!('resource' in mint)) return { resource: order.audience }
  const there = serverSnapshot(mint.resource)
  return mint.kind === 'id_jag' ? { ...there, authorization_server: order.audience } : there
}

export function boundTo(key: Confirmation | undefined): Partial<AuditRecord> {
  return key === undefined ? {} : { bound_to: `${key.kind}:${key.thumbprint}` }
}

/** What exactly was allowed: the session's record, which says it too, is gone when somebody asks weeks later. */
export function grantedAuthority(minted: MintedToken): Content {
  return new DigestedText(JSON.stringify(minted.details))
}
