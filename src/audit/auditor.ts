/**
 * Begins every request's record and ends those that were refused: one record for a caller somebody authenticated, one count
 * for a stranger. What cannot be recorded is refused with 503 instead, so that no answer exists without its record.
 */
import type { Clock } from '../kernel/clock.ts'
import { type DecisionId, newDecisionId } from '../kernel/ids.ts'
import { Rejection, type RejectionReason } from '../kernel/rejection.ts'
import { isOverLimit } from '../kernel/rejection-kinds.ts'
import { STRANGER_FLUSH_MS } from '../kernel/store-limits.ts'
import { StoreUnavailable } from '../store/ports.ts'
import { AuditDraft } from './audit-draft.ts'
import type { AuditLog } from './audit-log.ts'
import type { StrangerCounts } from './stranger-counts.ts'

/** A request that ended without a result, as the transport must answer it. */
export class RefusedRequest extends Error {
  /** A `Rejection`, or a fault of ours. */
  readonly error: unknown
  /** Id of the audit record; `undefined` for strangers. */
  readonly decisionId: DecisionId | undefined
  readonly authenticated: boolean
  /** For a fault: what the operator searches the log for. */
  readonly faultId: string | undefined

  constructor(error: unknown, decisionId: DecisionId | undefined, authenticated: boolean) {
    super('refused')
    this.error = error
    this.decisionId = decisionId
    this.authenticated = authenticated
    this.faultId = error instanceof Rejection ? undefined : newDecisionId()
  }
}

export class Auditor {
  readonly log: AuditLog
  readonly strangers: StrangerCounts
  readonly #clock: Clock
  /** When the last such record was written, by reason and principal. */
  readonly #overLimit = new Map<string, number>()

  constructor(log: AuditLog, strangers: StrangerCounts, clock: Clock) {
    this.log = log
    this.strangers = strangers
    this.#clock = clock
  }

  /** @param id of what an earlier record began */
  begin(id?: DecisionId): AuditDraft {
    return new AuditDraft(this.#clock.nowMs(), id)
  }

  /**
   * Records the refusal and gives what to throw to the transport.
   * @param keep writes the record, where it belongs to more than the log; `false`: it has not
   */
  async refuse(
    draft: AuditDraft,
    thrown: unknown,
    source: string,
    keep?: (record: string) => Promise<boolean>,
  ): Promise<RefusedRequest> {
    const error = thrown instanceof StoreUnavailable ? storeUnavailable(thrown) : thrown
    if (error instanceof Rejection && error.by !== undefined) draft.authenticatedAs(error.by)
    if (!draft.authenticated) {
      if (error instanceof Rejection) this.strangers.count(error.reason, source)
      return new RefusedRequest(error, undefined, false)
    }
    if (isOverLimit(error) && this.#isRepeated(error.reason, draft.by))
      return new RefusedRequest(error, undefined, true)
    if (error instanceof Rejection && error.missing.length > 0) draft.add({ missing: error.missing })
    const record = draft.refused(error instanceof Rejection ? error.reason : 'server_error')
    try {
      const isKept = keep !== undefined && (await keep(record))
      if (!isKept) await this.log.append(draft.id, record, draft.contents)
    } catch (auditFailure) {
      // The log may say "granted" of a token that nobody was given: it will say so.
      if (draft.staysUnfinished) this.log.defer(draft.id, record)
      // A store that is away takes the log with it: what is wrong is the store.
      const cause = error instanceof Rejection && error.reason !== 'store_unavailable' ? auditFailure : error
      return new RefusedRequest(cause, undefined, true)
    }
    return new RefusedRequest(error, draft.id, true)
  }

  /**
   * A client over its limit gets one record per flush; what it sends beyond that is counted under its name, with the strangers'
   * refusals and their bound: being refused must not be a way to fill the log. As many entries as there are clients.
   */
  #isRepeated(reason: RejectionReason, by: string): boolean {
    const key = `${reason} ${by}`
    const nowMs = this.#clock.nowMs()
    const isRepeated = Math.abs(nowMs - (this.#overLimit.get(key) ?? Number.NEGATIVE_INFINITY)) < STRANGER_FLUSH_MS
    if (isRepeated) this.strangers.count(reason, by)
    else this.#overLimit.set(key, nowMs)
    return isRepeated
  }
}

function storeUnavailable(cause: StoreUnavailable): Rejection {
  return new Rejection('store_unavailable', 'the state of the session could not be read or written: try again', {
    retryAfterSeconds: 1,
    cause,
  })
}
