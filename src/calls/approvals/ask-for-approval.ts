/**
 * A person is asked to approve one call: written into the call's own session, with its arguments sealed beside the record of it.
 *
 * Guarantees: of one call, one request at a time; so many and no more per session, and per agent and subject in an hour, where
 * whoever passes work on asks for it, too; what was denied is not asked again for a while, by whichever session or sub-agent.
 */

import type { AuditDraft } from '../../audit/audit-draft.ts'
import { instanceOf } from '../../authority/token-facts.ts'
import { sha256 } from '../../kernel/digest.ts'
import type { ClientId } from '../../kernel/ids.ts'
import { APPROVAL_REQUESTS_PER_HOUR_MAX } from '../../kernel/limits.ts'
import { Rejection } from '../../kernel/rejection.ts'
import { LIST_ENTRIES_MAX } from '../../kernel/store-limits.ts'
import { sealText } from '../../keys/sealed-text.ts'
import type { Approval } from '../../model/approval.ts'
import { serverSnapshot } from '../../model/snapshot.ts'
import { requestApproval } from '../../sessions/approval-commits.ts'
import {
  APPROVALS_INDEX,
  type CallNamed,
  deniedIndex,
  newApprovalId,
  sameCall,
} from '../../sessions/approval-record.ts'
import type { Bearer } from '../bearer.ts'
import type { ServiceCall } from '../service-call.ts'

/** A call that nobody has said anything to. */
export interface Requesting {
  readonly bearer: Bearer
  readonly call: ServiceCall
  readonly named: CallNamed
  /** Its arguments, canonically. */
  readonly text: string
  readonly key: string
  /** What is known of it and is over; `undefined`: nothing. */
  readonly known: Approval | undefined
  /** Epoch seconds. */
  readonly now: number
}

const HOUR_MS = 3_600_000

/** @throws Rejection `approval_over`, `approval_denied`, `approvals_exceeded`, `session_*`, `node_revoked` */
export async function askForApproval(requesting: Requesting): Promise<Approval> {
  const { call, now } = requesting
  const { approvals, sessions, ring } = call.parts
  if (await wasDenied(requesting)) {
    throw new Rejection('approval_denied', 'a person has denied exactly this call a while ago, in another session')
  }
  await takePlace(requesting)
  const approval = newApproval(requesting)
  const text = sealText(requesting.text, approval.id, ring, now)
  const sealed = { digest: sha256(text), text }
  const request = { ...approval, sealed: sealed.digest }
  const record = call.draft()
  describe(record, request, requesting)
  const at = { now, notAfter: requesting.bearer.facts.notAfter }
  const change = requestApproval(request, requesting.known, sealed, at)
  await sessions.commit(change, record.id, record.granted('approval.requested'))
  // Whoever waits for the list may be told a moment later; without it, the id is enough.
  approvals.indexes.add(APPROVALS_INDEX, request.id, request.until * 1000).catch(() => undefined)
  return request
}

function newApproval({ named, key, bearer, call, now }: Requesting): Approval {
  return {
    id: newApprovalId(named.session),
    key,
    session: named.session,
    state: 'pending',
    path: bearer.token.path,
    agent: named.agent,
    instance: instanceOf(named.agent, { clientId: bearer.token.clientId, agent: bearer.token.claims['agent'] }),
    subject: named.subject,
    resource: named.resource,
    tool: named.tool,
    service: call.caller.clientId,
    sealed: '',
    policy: call.registry.version,
    requestedAt: now,
    until: Math.min(now + call.parts.settings.approvalPendingSeconds, bearer.facts.notAfter),
    word: undefined,
    usedBy: undefined,
  }
}

function describe(record: AuditDraft, request: Approval, { bearer, call }: Requesting): void {
  const { id, agent, instance, subject, session, tool, sealed } = request
  record.add({
    agent: { id: agent, version: bearer.node.agentVersion, ...(instance === undefined ? {} : { instance }) },
    on_behalf_of: subject,
    session,
    txn: bearer.facts.txn,
    node: bearer.node.id,
    intent: bearer.node.intentHash,
    origin: bearer.node.origin.type,
    scope: bearer.token.scope,
    ...serverSnapshot(bearer.resource),
    tool: tool.slice(0, 128),
    policy: call.registry.version,
    approval: { id },
    sealed,
    detail: `approval of a call of ${tool.slice(0, 128)}`,
  })
}

/** To any agent of the chain: passed on, it is the same call. */
async function wasDenied(requesting: Requesting): Promise<boolean> {
  const { named, call } = requesting
  const { parts, nowMs } = call
  const lists = agentsOf(requesting).map((agent) => {
    return parts.approvals.indexes.list(deniedIndex(agent, named.subject), nowMs, LIST_ENTRIES_MAX)
  })
  return (await Promise.all(lists)).some((denied) => denied.includes(sameCall(named)))
}

/** The one that would make the call, and those that have passed it on. */
function agentsOf({ named, bearer }: Requesting): readonly ClientId[] {
  return [...new Set([named.agent, ...bearer.asks.chain.map(({ clientId }) => clientId)])]
}

/** An approver who is asked all the time says yes to be left alone. @throws Rejection `approvals_exceeded` */
async function takePlace(requesting: Requesting): Promise<void> {
  const { named, key, call } = requesting
  const windows = agentsOf(requesting).map((name) => ({ name, limit: APPROVAL_REQUESTS_PER_HOUR_MAX }))
  const owner = `approvals ${sha256(named.subject)}`
  const full = await call.parts.approvals.windows.take(owner, key, windows, HOUR_MS)
  if (full === undefined) return
  const minutes = Math.max(1, Math.ceil(full.waitMs / 60_000))
  const says = `this agent has asked for too many approvals for the same subject: again in ${minutes} min`
  throw new Rejection('approvals_exceeded', says)
}
