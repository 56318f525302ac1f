/**
 * An approver says yes or no to one call. A yes is for exactly that call, once, for minutes, and by somebody who is known, is not
 * whom it is done for, and answers for none of the agents that do it. A no may be anybody's who may approve.
 */
import { z } from 'zod'
import type { AuditDraft } from '../../audit/audit-draft.ts'
import { sha256 } from '../../kernel/digest.ts'
import type { ClientId } from '../../kernel/ids.ts'
import { APPROVAL_DENIED_S } from '../../kernel/limits.ts'
import { Rejection } from '../../kernel/rejection.ts'
import type { Word } from '../../model/approval.ts'
import { holds } from '../../model/approval.ts'
import { objectionTo } from '../../model/approver.ts'
import type { OperatorCaller } from '../../model/caller.ts'
import type { RegistrySource } from '../../model/published-registry.ts'
import type { BrokerSettings } from '../../model/settings.ts'
import { sayWord } from '../../sessions/approval-commits.ts'
import { deniedIndex, sameCall } from '../../sessions/approval-record.ts'
import { describeWork } from '../../sessions/describe-work.ts'
import type { LiveCutoffs } from '../../sessions/live-cutoffs.ts'
import { StoreUnavailable } from '../../store/ports.ts'
import type { ChangeRequest } from '../on-record.ts'
import {
  type ApprovalView,
  argumentsOf,
  type FoundApproval,
  findApproval,
  type ReadingParts,
  showApproval,
} from './read-approvals.ts'

/** `POST /admin/v1/approvals/:approval`. */
export const approvalOrder = z.strictObject({
  decision: z.enum(['approve', 'deny']),
  reason: z.string().trim().min(1).max(256),
})
export type ApprovalOrder = z.output<typeof approvalOrder>

export interface DecidingParts extends ReadingParts {
  readonly settings: Pick<BrokerSettings, 'approvalSeconds'>
  readonly registries: RegistrySource
  readonly cutoffs: LiveCutoffs
}

/** The record of what was said is written in the same write. @throws RefusedRequest */
export async function decideApproval(
  { caller: identify, facts }: ChangeRequest,
  id: string,
  read: () => Promise<ApprovalOrder>,
  parts: DecidingParts,
): Promise<ApprovalView> {
  const draft = parts.auditor.begin(facts)
  try {
    const caller = await identify()
    draft.authenticatedAs(caller.principal)
    draft.add({ event: 'approval.denied' })
    const order = await read()
    if (order.decision === 'approve') draft.add({ event: 'approval.granted' })
    const found = await findApproval(id, parts)
    describe(draft, found, order)
    return await decided(found, { order, caller, draft }, parts)
  } catch (error) {
    if (error instanceof StoreUnavailable) draft.leaveUnfinished()
    throw await parts.auditor.refuse(draft, error, facts.source)
  }
}

interface Saying {
  readonly order: ApprovalOrder
  readonly caller: OperatorCaller
  readonly draft: AuditDraft
}

async function decided(found: FoundApproval, saying: Saying, parts: DecidingParts): Promise<ApprovalView> {
  const { order, caller, draft } = saying
  const { approval, view } = found
  // Before anything is looked at: what is cut off from here on ends what is said. And not before the text was read, which takes as
  // long as whoever sends it likes.
  parts.cutoffs.assertFresh()
  const { rv, epoch } = parts.cutoffs
  if (epoch === undefined) throw new Error('what is fresh has been read')
  const now = Math.floor(parts.clock.nowMs() / 1000)
  const state = order.decision === 'approve' ? 'approved' : 'denied'
  if (holds(approval, now) && approval.state === state && approval.word?.by === caller.principal) {
    // The same again, whose first answer was lost: nothing changes.
    await parts.auditor.log.append(draft.id, draft.granted())
    return showApproval(found, now)
  }
  if (approval.state !== 'pending' || !holds(approval, now)) throw over(showApproval(found, now).state)
  const text = await argumentsOf(approval, parts)
  if (state === 'approved') assertMay(caller, found, text, parts)
  const word: Word = { by: caller.principal, at: now, reason: order.reason, rv, epoch }
  const seconds = state === 'approved' ? parts.settings.approvalSeconds : APPROVAL_DENIED_S
  const until = state === 'approved' ? Math.min(now + seconds, view.facts.notAfter) : now + seconds
  await parts.sessions.commit(sayWord(approval, { state, word, until }), draft.id, draft.granted())
  if (state === 'denied' && text !== undefined) await remember(found, text, until, parts)
  return showApproval({ view, approval: { ...approval, state, word, until } }, now)
}

/** @throws Rejection `approval_same_person`, `approval_person_unknown`, `approval_over` */
function assertMay(
  caller: OperatorCaller,
  found: FoundApproval,
  text: string | undefined,
  { registries }: DecidingParts,
): void {
  // What nobody can read, nobody has read.
  if (text === undefined) throw over('no longer readable: its arguments, or their key, are gone')
  const { approval } = found
  const involved = { subject: approval.subject, agents: agentsOf(found) }
  const objection = objectionTo(caller.principal, involved, registries.current)
  if (objection === undefined) return
  const reason = objection.kind === 'same_person' ? 'approval_same_person' : 'approval_person_unknown'
  throw new Rejection(reason, objection.says)
}

/** Whoever would make the call, and those on whose way to it it lies. */
function agentsOf({ approval, view }: FoundApproval): readonly ClientId[] {
  const holders = view.nodes.filter(({ facts }) => approval.path.includes(facts.id)).map(({ facts }) => facts.holder)
  return [...new Set([approval.agent, ...holders])]
}

/**
 * A list for the next request for it, from whichever session or sub-agent. Where it cannot be written, the session itself still
 * knows.
 */
async function remember(found: FoundApproval, text: string, until: number, { store }: DecidingParts): Promise<void> {
  const { subject, resource, tool } = found.approval
  const call = sameCall({ resource, tool, digest: sha256(text) })
  const lists = agentsOf(found).map((agent) => store.indexes.add(deniedIndex(agent, subject), call, until * 1000))
  await Promise.allSettled(lists)
}

function describe(draft: AuditDraft, { approval, view }: FoundApproval, { reason }: ApprovalOrder): void {
  const { id, agent, instance, subject, path, resource, tool, sealed } = approval
  const version = view.nodes.find(({ facts }) => facts.id === path.at(-1))?.facts.agentVersion
  draft.add({
    ...describeWork(view),
    agent: {
      id: agent,
      ...(version === undefined ? {} : { version }),
      ...(instance === undefined ? {} : { instance }),
    },
    on_behalf_of: subject,
    resource,
    tool: tool.slice(0, 128),
    approval: { id },
    sealed,
    detail: JSON.stringify({ tool: tool.slice(0, 128), reason }),
  })
}

function over(state: string): Rejection {
  return new Rejection('approval_over', `nobody can say anything to this any more: it is ${state}`)
}
