/** The five fields of attribution (DESIGN §8), from verified facts. */
import { shownSubject } from '../credentials/client/workload-client.ts'
import { sha256 } from '../kernel/digest.ts'
import { servicePrincipal } from '../kernel/ids.ts'
import type { AuditRecord } from '../model/audit-record.ts'
import type { Content } from '../model/commit.ts'
import type { Confirmation } from '../model/confirmation.ts'
import type { InboundEvidence, SubjectEvidence } from '../model/evidence.ts'
import type { MintedToken } from '../model/minted.ts'
import { formatScope } from '../protocol/scope.ts'
import { chainSubjects } from '../sessions/session-record.ts'
import type { LiveSession } from '../sessions/session-repository.ts'
import type { Issue } from './flow.ts'

/** Known as soon as the evidence is verified, so that refusals have it too. */
export function describeEvidence(evidence: SubjectEvidence): Partial<AuditRecord> {
  if (evidence.kind === 'self') return {}
  if (evidence.kind === 'workload') {
    const { token } = evidence
    return { workload: { issuer: token.voucher.slug, sub: shownSubject(token) }, subject_token: token.digest }
  }
  if (evidence.kind === 'user') {
    const grant = 'targets' in evidence ? ({ grant: 'id_jag' } as const) : {}
    return { on_behalf_of: evidence.principal, subject_token: evidence.digest, ...grant }
  }
  return {
    on_behalf_of: evidence.subject,
    session: evidence.session,
    node: evidence.path.at(-1) ?? '',
    chain: chainSubjects(evidence.act),
    subject_token: evidence.digest,
    ...(evidence.kind === 'access' ? { agent: withoutUnknown(evidence.agent) } : {}),
  }
}

/** Known as soon as the session is read, so that a refusal says, too, what the work was for and what set it off. */
export function describeHop({ node, state, drift }: LiveSession): Partial<AuditRecord> {
  const conformance = state === 'active' && drift === 0 ? {} : { conformance: { state, drift } }
  return { intent: node.intentHash, origin: node.origin.type, ...conformance }
}

function withoutUnknown({ id, version }: InboundEvidence['agent']): NonNullable<AuditRecord['agent']> {
  return { id, ...(version === undefined ? {} : { version }) }
}

/** @param authority digest of `grantedAuthority` */
export function describeIssue(issue: Issue, minted: MintedToken, authority: string): Partial<AuditRecord> {
  const { session, node } = issue.order.holder
  return {
    // A server is no agent: on whose way it is, its evidence has said.
    ...(node.act?.sub === servicePrincipal(node.holder) ? {} : { agent: actingAgent(issue) }),
    on_behalf_of: session.subject.principal,
    session: session.id,
    node: node.id,
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

function whereTo({ mint, order }: Issue): Partial<AuditRecord> {
  if (mint.kind !== 'id_jag') return { resource: order.audience }
  return { resource: mint.resource.url, authorization_server: order.audience }
}

export function boundTo(key: Confirmation | undefined): Partial<AuditRecord> {
  return key === undefined ? {} : { bound_to: `${key.kind}:${key.thumbprint}` }
}

/** What exactly was allowed: the session's record, which says it too, is gone when somebody asks weeks later. */
export function grantedAuthority(minted: MintedToken): Content {
  const text = JSON.stringify(minted.details)
  return { digest: sha256(text), text }
}
