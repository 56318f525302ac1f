/**
 * Refusals of callers nobody authenticated, counted by (reason, source) and recorded together: a flood of strangers costs a
 * few counters and a few records every ten seconds, in a bounded list of their own: it cannot fill the log (DESIGN §5).
 */
import type { Clock } from '../kernel/clock.ts'
import { newDecisionId } from '../kernel/ids.ts'
import { NAME_CHARS_MAX } from '../kernel/limits.ts'
import type { RejectionReason } from '../kernel/rejection.ts'
import { AUDIT_RECORD_BYTES_MAX, STRANGER_COUNTS_MAX } from '../kernel/store-limits.ts'
import type { AuditRecord } from '../model/audit-record.ts'
import type { AuditStore } from '../store/ports.ts'

/** Leaves room for the record's other members. */
const COUNTS_CHARS_MAX = AUDIT_RECORD_BYTES_MAX - 256

/** `server_error`: a fault of ours. */
export type StrangerReason = RejectionReason | 'server_error'

export class StrangerCounts {
  readonly #audit: AuditStore
  readonly #clock: Clock
  #counts = new Map<string, number>()
  #flushing: Promise<void> = Promise.resolve()

  readonly #counted: ((reason: StrangerReason) => void) | undefined

  constructor(audit: AuditStore, clock: Clock, counted?: (reason: StrangerReason) => void) {
    this.#counted = counted
    this.#audit = audit
    this.#clock = clock
  }

  count(reason: StrangerReason, source: string): void {
    this.#counted?.(reason)
    this.#add(reason, source.slice(0, NAME_CHARS_MAX), 1)
  }

  #add(reason: string, source: string, count: number): void {
    const key = `${reason}\n${source}`
    const known = this.#counts.has(key) || this.#counts.size < STRANGER_COUNTS_MAX
    const counted = known ? key : `${reason}\nother`
    this.#counts.set(counted, (this.#counts.get(counted) ?? 0) + count)
  }

  /**
   * Writes what was counted since the last time; keeps it for the next time if the store does not answer. One after the
   * other: whoever flushes before the store closes must not overtake the timer's flush.
   */
  flush(): Promise<void> {
    this.#flushing = this.#flushing.then(() => this.#write())
    return this.#flushing
  }

  async #write(): Promise<void> {
    if (this.#counts.size === 0) return
    const counted = this.#counts
    this.#counts = new Map()
    try {
      for (const strangers of batches(counted)) {
        const record: AuditRecord = {
          id: newDecisionId(),
          at: new Date(this.#clock.nowMs()).toISOString(),
          event: 'strangers.refused',
          outcome: 'refused',
          by: 'stranger',
          by_class: 'stranger',
          strangers,
        }
        await this.#audit.appendStrangers(JSON.stringify(record))
        for (const [reason, source] of strangers) counted.delete(`${reason}\n${source}`)
      }
    } catch {
      // Under the same bound: an outage must not let strangers fill the memory instead of the log.
      for (const [reason, source, count] of rows(counted)) this.#add(reason, source, count)
    }
  }
}

type Row = readonly [reason: string, source: string, count: number]

function rows(counted: ReadonlyMap<string, number>): readonly Row[] {
  return [...counted].map(([key, count]): Row => {
    const [reason = '', source = ''] = key.split('\n')
    return [reason, source, count]
  })
}

function batches(counted: ReadonlyMap<string, number>): readonly (readonly Row[])[] {
  const all: Row[][] = []
  let current: Row[] = []
  let chars = 0
  for (const row of rows(counted)) {
    const size = JSON.stringify(row).length + 1
    if (chars + size > COUNTS_CHARS_MAX && current.length > 0) {
      all.push(current)
      current = []
      chars = 0
    }
    current.push(row)
    chars += size
  }
  if (current.length > 0) all.push(current)
  return all
}
