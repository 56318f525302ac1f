/**
 * What may happen to an approval, as commits of its session: each finds the approval exactly as it was read, or changes nothing,
 * and none is written in a session that no longer issues or at a hop that was revoked.
 */
import type { DecisionId } from '../kernel/ids.ts'
import { APPROVALS_PER_SESSION_MAX } from '../kernel/limits.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { Approval, Word } from '../model/approval.ts'
import type { Content, Operation } from '../model/commit.ts'
import { APPROVALS_COUNT, approvalField, encodeApproval } from './approval-record.ts'
import { alive, type GuardedCheck, type SessionChange } from './session-commits.ts'

/** @param before what is there and over; `undefined`: nothing */
export function requestApproval(
  approval: Approval,
  before: Approval | undefined,
  sealed: Content,
  at: { readonly now: number; readonly notAfter: number },
): SessionChange {
  return {
    session: approval.session,
    checks: [
      ...alive('contracted', approval.path, at.now),
      asItWas(approval.key, before),
      {
        check: { check: 'below', field: APPROVALS_COUNT, value: APPROVALS_PER_SESSION_MAX },
        refusal: () => new Rejection('approvals_exceeded', 'this session has asked for too many approvals'),
      },
    ],
    operations: [written(approval), { operation: 'increment', field: APPROVALS_COUNT, by: 1 }],
    notAfter: at.notAfter,
    contents: [sealed],
  }
}

/** A person's word. */
export function sayWord(
  before: Approval,
  said: { readonly state: 'approved' | 'denied'; readonly word: Word; readonly until: number },
): SessionChange {
  return {
    session: before.session,
    checks: [...alive('contracted', before.path, said.word.at), asItWas(before.key, before)],
    operations: [written({ ...before, ...said })],
    // Long enough for what was said to hold; the record's own end is never moved back.
    notAfter: said.word.at,
  }
}

/** What is added to the write that records the attempt: of two that come at once, one finds it there. */
export interface ApprovalUse {
  readonly checks: readonly GuardedCheck[]
  readonly operations: readonly Operation[]
}

/** @param before approved; or used up by this very decision, whose first answer was lost */
export function useApproval(before: Approval, usedBy: DecisionId): ApprovalUse {
  return {
    checks: [asItWas(before.key, before)],
    operations: [written({ ...before, state: 'used', usedBy })],
  }
}

function written(approval: Approval): Operation {
  return { operation: 'set', field: approvalField(approval.key), value: encodeApproval(approval) }
}

function asItWas(key: string, before: Approval | undefined): GuardedCheck {
  const field = approvalField(key)
  const moved = () => new Rejection('approval_over', 'somebody else was faster: look at it again')
  return before === undefined
    ? { check: { check: 'absent', field }, refusal: moved }
    : { check: { check: 'oneOf', field, values: [encodeApproval(before)] }, refusal: moved }
}
