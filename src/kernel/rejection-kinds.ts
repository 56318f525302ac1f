/** Kinds of refusals that are treated alike, whatever each of them is about. */
import { Rejection, type RejectionReason } from './rejection.ts'

const OVER_LIMIT: readonly RejectionReason[] = [
  'client_limited',
  'issuer_limited',
  'issuance_limited',
  'streams_exceeded',
]

/** Whether a caller that is known asks for more than its rate. Such refusals may come thousands a second. */
export function isOverLimit(error: unknown): error is Rejection {
  if (!(error instanceof Rejection)) return false
  return OVER_LIMIT.includes(error.reason)
}

/** Whether whoever brings a client's authentication so has not shown to be that client. */
export function isSomebodyElses(error: unknown): boolean {
  return error instanceof Rejection && SOMEBODY_ELSES.includes(error.reason)
}

const SOMEBODY_ELSES: readonly RejectionReason[] = [
  'client_assertion_replayed',
  'client_assertion_bound',
  'client_assertion_revoked',
  'assertion_bound',
  'assertion_revoked',
]
