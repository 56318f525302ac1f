/** Calls that wait for a person's yes, as an approver reads them: what would be done, by whom, for whom, and why it is asked. */

import type { Auditor } from '../../audit/auditor.ts'
import type { AuditTrail } from '../../audit/trail/audit-trail.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { SessionId } from '../../kernel/ids.ts'
import { Rejection } from '../../kernel/rejection.ts'
import { LIST_ENTRIES_MAX } from '../../kernel/store-limits.ts'
import type { KeyRing } from '../../keys/key-ring.ts'
import { openText } from '../../keys/sealed-text.ts'
import { type Approval, holds } from '../../model/approval.ts'
import { APPROVALS_INDEX, sessionOfApproval } from '../../sessions/approval-record.ts'
import { chainSubjects, type SessionView } from '../../sessions/session-record.ts'
import type { SessionRepository } from '../../sessions/session-repository.ts'
import type { Store } from '../../store/ports.ts'
import { type ReadRequest, readAs } from '../session-listing.ts'

export interface ReadingParts {
  readonly store: Store
  readonly trail: AuditTrail
  readonly sessions: SessionRepository
  readonly ring: Pick<KeyRing, 'held'>
  readonly auditor: Auditor
  readonly clock: Clock
}

export interface ApprovalView {
  readonly approval: string
  /** `expired`: nobody has said anything in time, or nobody has used what was said. */
  readonly state: Approval['state'] | 'expired'
  readonly tool: string
  readonly resource: string
  readonly agent: string
  readonly on_behalf_of: string
  /** Actors, newest first. */
  readonly chain: readonly string[]
  /** What the session, or the hop, says it is for. */
  readonly purpose: string
  readonly origin: string
  readonly session: string
  /** The server that asks. */
  readonly asked_by: string
  readonly policy: string
  readonly requested_at: string
  readonly expires_at: string
  readonly word?: { readonly by: string; readonly at: string; readonly reason: string }
  /** The decision that used it up. */
  readonly used_by?: string
}

export interface ApprovalDetail extends ApprovalView {
  /** Exactly those of the call; `null`: they can no longer be read. */
  readonly arguments: unknown
}

/** An approval, and the session it is of. */
export interface FoundApproval {
  readonly approval: Approval
  readonly view: SessionView
}

/** Those that wait, and those approved and not used yet, newest first. @throws RefusedRequest */
export function listApprovals(
  request: ReadRequest,
  parts: ReadingParts,
): Promise<{ readonly approvals: readonly ApprovalView[] }> {
  return readAs(request, parts, 'admin.read', async () => {
    const nowMs = parts.clock.nowMs()
    const ids = await parts.store.indexes.list(APPROVALS_INDEX, nowMs, LIST_ENTRIES_MAX)
    const sessions = [...new Set(ids.flatMap((id) => sessionOfApproval(id) ?? []))]
    const found = await Promise.all(sessions.map((session) => approvalsOf(session, parts)))
    const now = Math.floor(nowMs / 1000)
    const open = found
      .flat()
      .filter(({ approval }) => approval.state !== 'denied' && holds(approval, now))
      .sort((a, b) => b.approval.requestedAt - a.approval.requestedAt)
    return { approvals: open.map((one) => showApproval(one, now)) }
  })
}

/** @throws RefusedRequest */
export function readApproval(request: ReadRequest, id: string, parts: ReadingParts): Promise<ApprovalDetail> {
  return readAs(request, parts, 'admin.read', async () => {
    const found = await findApproval(id, parts)
    const now = Math.floor(parts.clock.nowMs() / 1000)
    const text = await argumentsOf(found.approval, parts)
    return { ...showApproval(found, now), arguments: text === undefined ? null : JSON.parse(text) }
  })
}

/** @throws Rejection `not_found`; MalformedSession */
export async function findApproval(
  id: string,
  parts: Pick<ReadingParts, 'sessions' | 'clock'>,
): Promise<FoundApproval> {
  const session = sessionOfApproval(id)
  const all = session === undefined ? [] : await approvalsOf(session, parts)
  const found = all.find(({ approval }) => approval.id === id)
  if (found === undefined) throw new Rejection('not_found', 'there is no such approval, or its session is forgotten')
  return found
}

/** The canonical text that was sealed; `undefined`: it is no longer kept, or its key is gone. */
export async function argumentsOf(
  { id, session, sealed }: Approval,
  { trail, ring }: Pick<ReadingParts, 'trail' | 'ring'>,
): Promise<string | undefined> {
  const kept = await trail.content(sealed, { session })
  return kept === undefined ? undefined : openText(kept, id, ring)
}

async function approvalsOf(
  session: SessionId,
  { sessions, clock }: Pick<ReadingParts, 'sessions' | 'clock'>,
): Promise<readonly FoundApproval[]> {
  const now = Math.floor(clock.nowMs() / 1000)
  const [approvals, view] = await Promise.all([sessions.approvalsOf(session), sessions.view(session, now)])
  return view === undefined ? [] : approvals.map((approval) => ({ approval, view }))
}

export function showApproval({ approval, view }: FoundApproval, now: number): ApprovalView {
  const { id, state, tool, resource, agent, subject, service, policy, requestedAt, until, word, usedBy } = approval
  const node = view.nodes.find(({ facts }) => facts.id === approval.path.at(-1))
  return {
    approval: id,
    state: state === 'used' || holds(approval, now) ? state : 'expired',
    tool,
    resource,
    agent,
    on_behalf_of: subject,
    chain: chainSubjects(node?.facts.act),
    purpose: node?.facts.purpose ?? '',
    origin: node?.facts.origin.type ?? 'unknown',
    session: view.facts.id,
    asked_by: service,
    policy,
    requested_at: rfc3339(requestedAt),
    expires_at: rfc3339(until),
    ...(word === undefined ? {} : { word: { by: word.by, at: rfc3339(word.at), reason: word.reason } }),
    ...(usedBy === undefined ? {} : { used_by: usedBy }),
  }
}

function rfc3339(epochSeconds: number): string {
  return new Date(epochSeconds * 1000).toISOString().replace('.000Z', 'Z')
}
