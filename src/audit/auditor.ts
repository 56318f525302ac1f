/**
 * Begins every request's record and ends those that were refused: one record for a caller somebody authenticated, one count
 * for a stranger. What cannot be recorded is refused with 503 instead, so that no answer exists without its record.
 */
import type { Clock } from '../kernel/clock.ts'
import { type DecisionId, newDecisionId } from '../kernel/ids.ts'
import { LOG_READING_MS } from '../kernel/log-limits.ts'
import { Rejection, type RejectionReason } from '../kernel/rejection.ts'
import { isOverLimit } from '../kernel/rejection-kinds.ts'
import { STRANGER_FLUSH_MS } from '../kernel/store-limits.ts'
import type { Accounted } from '../model/accounted.ts'
import type { AuditEvent } from '../model/audit-record.ts'
import { OutboxFull, StoreUnavailable } from '../store/ports.ts'
import { type Arrived, AuditDraft, type RecordObserver } from './audit-draft.ts'
import { type AuditLog, auditUnavailable } from './audit-log.ts'
import type { StrangerCounts } from './stranger-counts.ts'

interface RefusalNames {
  /** Of its record, where it has one. */
  readonly decisionId?: DecisionId | undefined
  readonly txn?: string | undefined
}

/** A request that ended without a result, as the transport must answer it. */
export class RefusedRequest extends Error {
  /** A `Rejection`, or a fault of ours. */
  readonly error: unknown
  /** Id of the audit record; `undefined` for strangers. */
  readonly decisionId: DecisionId | undefined
  readonly authenticated: boolean
  /** Where it stands in the books. */
  readonly accounted: Accounted
  /** The piece of work it was part of, as far as that was known. */
  readonly txn: string | undefined
  /** For a fault: what the operator searches the log for. */
  readonly faultId: string | undefined

  constructor(error: unknown, named: RefusalNames, authenticated: boolean, accounted?: Accounted) {
    super('refused')
    this.accounted = accounted ?? (named.decisionId === undefined ? 'counted' : 'recorded')
    this.error = error
    this.decisionId = named.decisionId
    this.txn = named.txn
    this.authenticated = authenticated
    this.faultId = error instanceof Rejection ? undefined : newDecisionId()
  }
}

export class Auditor {
  readonly log: AuditLog
  readonly strangers: StrangerCounts
  readonly #clock: Clock
  readonly #made: RecordObserver | undefined
  /** When the last such record was written, by reason and principal. */
  readonly #overLimit = new Map<string, number>()
  /** When the record of a reading was written, by who reads from where. */
  readonly #readings = new Map<string, number>()

  constructor(log: AuditLog, strangers: StrangerCounts, clock: Clock, made?: RecordObserver) {
    this.log = log
    this.strangers = strangers
    this.#clock = clock
    this.#made = made
  }

  /**
   * @param arrived the request; `undefined`: the broker does it by itself
   * @param id of what an earlier record began
   */
  begin(arrived?: Arrived, id?: DecisionId): AuditDraft {
    return new AuditDraft(this.#clock.nowMs(), arrived, id, this.#made)
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
    const { txn } = draft
    if (!draft.authenticated) {
      this.strangers.count(error instanceof Rejection ? error.reason : 'server_error', source)
      return new RefusedRequest(error, {}, false)
    }
    if (isOverLimit(error) && this.#isRepeated(error.reason, draft.by)) return new RefusedRequest(error, { txn }, true)
    if (error instanceof Rejection && error.missing.length > 0) draft.add({ missing: error.missing })
    const record = draft.refused(error instanceof Rejection ? error.reason : 'server_error')
    try {
      const isKept = keep !== undefined && (await keep(record))
      if (!isKept) await this.log.append(draft.id, record, draft.contents)
    } catch (auditFailure) {
      // The log may say "granted" of a token that nobody was given: it will say so.
      if (draft.staysUnfinished) this.log.defer(draft.id, record, draft.contents)
      // A store that is away takes the log with it: what is wrong is the store.
      const cause = error instanceof Rejection && error.reason !== 'store_unavailable' ? auditFailure : error
      return new RefusedRequest(cause, { txn }, true, 'unrecorded')
    }
    return new RefusedRequest(error, { decisionId: draft.id, txn }, true)
  }

  /**
   * Of who reads in many requests: one record for all of them, written before any of it is answered.
   * @throws Rejection `audit_unavailable`
   */
  async recordReading(draft: AuditDraft, event: AuditEvent, source: string): Promise<void> {
    const nowMs = this.#clock.nowMs()
    for (const [reader, atMs] of this.#readings) {
      if (Math.abs(nowMs - atMs) >= LOG_READING_MS) this.#readings.delete(reader)
    }
    const reader = `${draft.by} ${source}`
    if (this.#readings.has(reader)) return
    await this.log.append(draft.id, draft.granted(event), draft.contents)
    this.#readings.set(reader, nowMs)
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
  if (cause instanceof OutboxFull) return auditUnavailable(cause)
  return new Rejection('store_unavailable', 'the state of the session could not be read or written: try again', {
    retryAfterSeconds: 1,
    cause,
  })
}
