/**
 * Somebody the audit log is sent to. The log itself is the outbox: a sink is told records in the order of the log, from where it
 * has got to, and again whatever it has not taken.
 */
import type { AuditRecord } from '../../model/audit-record.ts'

export interface ExportedRecord {
  /** Its place in the log. */
  readonly index: number
  readonly record: AuditRecord
  /** Letter by letter, as the log has committed to it. */
  readonly text: string
}

export const GAPS = ['pruned', 'damaged', 'refused'] as const

/** Records that this sink will never be sent. */
export interface ExportGap {
  /**
   * `pruned`: retention has removed them before it took them; `damaged`: the log has lost them; `refused`: it has taken the message
   * and said that it leaves so many of its records out, which nobody sends again.
   */
  readonly why: (typeof GAPS)[number]
  /** Of those that were refused: of the message, which ones it was is not said. */
  readonly first: number
  readonly records: number
  /** Why, in the receiver's words. */
  readonly said?: string
}

/** That nothing is brought into the log and signed any more, or again. */
export interface Alarm {
  readonly event: 'audit.stopped' | 'audit.resumed'
  /** Why, in words for an operator. */
  readonly detail: string
  /** The broker that tells. */
  readonly by: string
  readonly atMs: number
}

/** Of a message that was taken: records that are not. */
export interface Refused {
  readonly records: number
  readonly said: string
}

export type Delivery =
  | { readonly kind: 'taken'; readonly refused?: Refused | undefined }
  /** It is sent again. `why`: of a bounded set, as a metric has it. */
  | { readonly kind: 'not_taken'; readonly why: DeliveryFailure; readonly retryAfterMs: number | undefined }

/** `too_large`: fewer at once may do. */
export type DeliveryFailure = 'unreachable' | 'status' | 'limited' | 'too_large' | 'secret'

export interface Sink {
  /** Never empty, in order. */
  sendRecords(records: readonly ExportedRecord[]): Promise<Delivery>
  sendGap(gap: ExportGap): Promise<Delivery>
  sendAlarm(alarm: Alarm): Promise<Delivery>
}

export interface ExportSource {
  /** What is in the log from `index` on: `limit` places of it at most. */
  from(index: number, limit: number): Promise<ExportSlice>
  /** How many records the log has. */
  size(): Promise<number>
}

export interface ExportSlice {
  /** Oldest first, without those that are pruned or damaged. */
  readonly entries: readonly ExportedRecord[]
  /** Where the next stretch begins: as far as was read. */
  readonly next: number
  /** In order. */
  readonly gaps: readonly ExportGap[]
}
