/**
 * A call that only a person lets through: everything else has agreed, and it is asked whether somebody has said yes to exactly this
 * call. Where nobody has been asked, an attempt asks; a question never does, and is never answered yes, because nothing would count it.
 *
 * Guarantees: an approval is for one call of one holder in one session, to the letter of its arguments; it counts for as long as
 * nothing it is about was cut off and its approver may give one, and is used up with the attempt, never by a refusal.
 */
import type { AuditDraft } from '../../audit/audit-draft.ts'
import { concerningCall } from '../../authority/dimensions.ts'
import { APPROVAL_ATTEMPTS_MAX } from '../../kernel/limits.ts'
import { Rejection, type RejectionReason } from '../../kernel/rejection.ts'
import { type Approval, holds } from '../../model/approval.ts'
import { objectionTo } from '../../model/approver.ts'
import { type ApprovalUse, useApproval } from '../../sessions/approval-commits.ts'
import { approvalKey, type CallNamed } from '../../sessions/approval-record.ts'
import { cutoffKilling } from '../../sessions/liveness.ts'
import { wouldPermit } from '../attempt.ts'
import type { Bearer } from '../bearer.ts'
import type { Prepared, Refusal } from '../judge.ts'
import type { ServiceCall } from '../service-call.ts'
import { type AccessRequest, accessRequest } from './access-request.ts'
import { askForApproval, type Requesting } from './ask-for-approval.ts'
import { canonicalArguments } from './canonical-arguments.ts'

/** To be used up in the write that records the attempt. */
export interface Approved extends ApprovalUse {
  readonly kind: 'approved'
}

export interface Unapproved extends Refusal {
  readonly kind: 'refused'
  readonly accessRequest?: AccessRequest
}

export type ApprovalAnswer = Approved | Unapproved

/**
 * @param attempt whether the call is about to be made
 * @throws Rejection `keys_not_ready`, `session_*`, `node_revoked`; StoreUnavailable
 */
export async function approvalFor(
  prepared: Prepared,
  call: ServiceCall,
  draft: AuditDraft,
  attempt: boolean,
): Promise<ApprovalAnswer> {
  const { matter, bearer, tools } = prepared
  const { arguments: given, container } = matter
  if (bearer === undefined) return required('only the bearer of an access token can have a call approved')
  if (container !== undefined || tools.length !== 1 || given === undefined) {
    return required('a person approves one call of one tool with exactly its arguments: ask about the tool, with them')
  }
  try {
    const args = canonicalArguments(given)
    const named = namedBy(prepared, bearer, args.digest)
    return await answerTo({ prepared, bearer, call, named, text: args.text }, draft, attempt)
  } catch (error) {
    if (error instanceof Rejection && ABOUT_THE_CALL.includes(error.reason)) {
      return { kind: 'refused', reason: error.reason, says: error.message }
    }
    throw error
  }
}

/** What is wrong with asking for this one: an answer, and no fault of the broker's. */
const ABOUT_THE_CALL: readonly RejectionReason[] = [
  'approval_arguments',
  'approval_denied',
  'approvals_exceeded',
  'session_not_issuing',
  'session_expired',
  'node_revoked',
]

/** By the tool itself: a call may be asked about by the category that it alone is of, and tomorrow another is. */
function namedBy({ question, matter, tools }: Prepared, { facts, node }: Bearer, digest: string): CallNamed {
  return {
    session: facts.id,
    node: node.id,
    agent: question.agent.clientId,
    subject: question.subject,
    resource: matter.resource.url,
    tool: tools[0] ?? matter.tool,
    digest,
  }
}

interface Asking extends Pick<Requesting, 'bearer' | 'call' | 'named' | 'text'> {
  readonly prepared: Prepared
}

async function answerTo(asking: Asking, draft: AuditDraft, attempt: boolean): Promise<ApprovalAnswer> {
  const { call, named } = asking
  const { sessions, settings } = call.parts
  const key = approvalKey(named)
  const now = Math.floor(call.nowMs / 1000)
  for (let attempts = 0; attempts < APPROVAL_ATTEMPTS_MAX; attempts += 1) {
    const known = await sessions.readApproval(named.session, key)
    // The same attempt again, whose first answer was lost: it is let through by what it has used up itself.
    if (known?.usedBy === draft.id) return approvedBy(known, draft, useApproval(known, draft.id))
    const standing = known !== undefined && stands(known, asking, now) ? known : undefined
    if (standing !== undefined) return answerFrom(standing, attempt, draft, settings.issuer)
    if (!attempt) return required('a person has to approve this call: attempting it asks for that')
    // Nobody is asked for what their yes would not let through.
    const left = await wouldPermit(asking.prepared, call)
    if ('reason' in left) return refused(left.reason, left.says)
    try {
      const request = await askForApproval({ ...asking, key, known, now })
      draft.add(told(request))
      return waiting(request, settings.issuer)
    } catch (error) {
      // Another broker, or another attempt, has asked meanwhile: theirs is the request.
      if (!(error instanceof Rejection && error.reason === 'approval_over')) throw error
    }
  }
  throw new Rejection('store_unavailable', 'too many ask for this approval at once: try again', {
    retryAfterSeconds: 1,
  })
}

/** Whether it is still what it says: its time is not up, whoever has said yes still may, and nothing it is about was cut off since. */
function stands(approval: Approval, { prepared, bearer, call }: Asking, now: number): boolean {
  if (!holds(approval, now)) return false
  const { state, word, resource, tool } = approval
  if (state !== 'approved') return true
  const { cutoffs, approvals, settings } = call.parts
  if (word === undefined || word.epoch !== cutoffs.epoch) return false
  // As a token given at that moment would be: contracted, halted, revoked and resumed, it is not what was approved.
  const then = { ...bearer.token, rv: word.rv }
  if (cutoffKilling(then, cutoffs, { issuer: settings.issuer, accessToken: true }) !== undefined) return false
  if (cutoffs.set.killingAny([concerningCall(resource, tool)], word.rv) !== undefined) return false
  const { agent, chain, subject } = prepared.question
  const involved = { subject, agents: [agent, ...chain].map(({ clientId }) => clientId) }
  return approvals.stillApproves(word.by) && objectionTo(word.by, involved, call.registry) === undefined
}

function answerFrom(approval: Approval, attempt: boolean, draft: AuditDraft, issuer: string): ApprovalAnswer {
  if (approval.state === 'approved' && attempt) return approvedBy(approval, draft, useApproval(approval, draft.id))
  draft.add(told(approval))
  if (approval.state === 'denied') {
    const says = 'a person has denied exactly this call: it is not asked for again until expires_at'
    return refused('approval_denied', says, accessRequest(approval, 'denied', issuer))
  }
  if (approval.state === 'pending') return waiting(approval, issuer)
  const says = 'a person has approved this call, once: it is let through when it is attempted (context.attempt)'
  return refused('approval_required', says, accessRequest(approval, 'approved', issuer))
}

function approvedBy(approval: Approval, draft: AuditDraft, use: ApprovalUse): ApprovalAnswer {
  draft.add(told(approval))
  return { kind: 'approved', ...use }
}

/** Which approval the record of the call is about, and who has said what it says. */
function told({ id, word }: Approval) {
  return { approval: { id, ...(word === undefined ? {} : { by: word.by }) } }
}

function waiting(approval: Approval, issuer: string): ApprovalAnswer {
  const says = 'a person has to approve this call first: attempt it again once somebody has'
  return refused('approval_required', says, accessRequest(approval, 'pending', issuer))
}

function required(says: string): Unapproved {
  return refused('approval_required', says)
}

function refused(reason: Refusal['reason'], says: string, request?: AccessRequest): Unapproved {
  return { kind: 'refused', reason, says, ...(request === undefined ? {} : { accessRequest: request }) }
}
