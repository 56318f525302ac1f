/**
 * Goes on with an audit log whose end is lost for good, which is signed no more until somebody says so: with a reason, on record
 * before it is done, and under another name, so that nobody takes the log for the one that it was.
 */
import { z } from 'zod'
import type { Auditor } from '../../audit/auditor.ts'
import type { DraftedContinuation, LogContinuing } from '../../audit/log/continue-log.ts'
import { DamagedLog } from '../../audit/log/damaged-log.ts'
import { LogContradicted, NoLogKey } from '../../audit/log/log-contradicted.ts'
import type { Clock } from '../../kernel/clock.ts'
import { Rejection } from '../../kernel/rejection.ts'
import { disclosureReason } from '../captured/disclosure-reason.ts'
import { type ChangeRequest, onRecord } from '../on-record.ts'

/** `POST /admin/v1/audit/continue` */
export const continueOrder = z.strictObject({ reason: z.string() })
type ContinueOrder = z.output<typeof continueOrder>

export interface ContinuedLog {
  /** The name that the log is signed under from now on, and the vkey that it is verified with. */
  readonly origin: string
  readonly key: string
  readonly before: string
  /** Records that were left, and how many were signed under the name before, as far as is known. */
  readonly from: number
  readonly signed: number
  readonly decision_id: string
}

export interface ContinueParts {
  readonly auditor: Auditor
  readonly clock: Clock
  readonly continuing: LogContinuing
}

/** @throws RefusedRequest */
export function continueLog(
  request: ChangeRequest,
  read: () => Promise<ContinueOrder>,
  { auditor, clock, continuing }: ContinueParts,
): Promise<ContinuedLog> {
  return onRecord(request, 'audit.continued', auditor, async (_caller, draft) => {
    const reason = disclosureReason((await read()).reason)
    // It is part of a signed note, which has none, and is shown on screens.
    if (/\p{Cc}/u.test(reason)) throw new Rejection('parameter_malformed', 'reason must have no control characters')
    const at = new Date(clock.nowMs()).toISOString()
    const drafted = await continuing.draft({ reason, record: draft.id, at }).catch(notNow)
    if (drafted === undefined) {
      throw new Rejection(
        'transition_illegal',
        'the audit log is what was signed of it: there is nothing to go on from',
      )
    }
    // What is signed and not carried out must not lie where somebody else could.
    const { signature: _once, ...intended } = drafted.continued
    draft.add({ continued: intended })
    await auditor.log.intend(draft.id, draft.intended())
    if (!(await continuing.carryOut(drafted))) {
      throw new Rejection(
        'transition_illegal',
        'somebody else has just continued the audit log, or given back what it had lost: look at it again',
      )
    }
    draft.add({ continued: drafted.continued })
    return answerOf(drafted, draft.id)
  })
}

function answerOf({ continued: { origin, before, from, signed }, key }: DraftedContinuation, id: string): ContinuedLog {
  return { origin, key, before, from, signed, decision_id: id }
}

function notNow(cause: unknown): never {
  if (cause instanceof DamagedLog) {
    const found = `${cause.message}: put a copy of the store back first that is whole, then this goes on from there`
    throw new Rejection('transition_illegal', found, { cause })
  }
  if (cause instanceof LogContradicted || cause instanceof NoLogKey) {
    throw new Rejection('transition_illegal', cause.message, { cause })
  }
  throw cause
}
