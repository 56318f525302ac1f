/**
 * Refusals of callers nobody authenticated, counted by (reason, source) and recorded together: a flood of strangers costs a
 * few counters and one record every ten seconds, and cannot fill the log (DESIGN §5).
 */
import type { Clock } from '../kernel/clock.ts'
import { newDecisionId } from '../kernel/ids.ts'
import { AUDIT_RECORD_BYTES_MAX, NAME_CHARS_MAX, STRANGER_COUNTS_MAX } from '../kernel/limits.ts'
import type { RejectionReason } from '../kernel/rejection.ts'
import type { AuditRecord } from '../model/audit-record.ts'
import type { AuditStore } from '../store/ports.ts'

/** Leaves room for the record's other members. */
const COUNTS_CHARS_MAX = AUDIT_RECORD_BYTES_MAX - 256

export class StrangerCounts {
  readonly #audit: AuditStore
  readonly #clock: Clock
  #counts = new Map<string, number>()

  constructor(audit: AuditStore, clock: Clock) {
    this.#audit = audit
    this.#clock = clock
  }

  count(reason: RejectionReason, source: string): void {
    const key = `${reason}\n${source.slice(0, NAME_CHARS_MAX)}`
    const known = this.#counts.has(key) || this.#counts.size < STRANGER_COUNTS_MAX
    const counted = known ? key : `${reason}\nother`
    this.#counts.set(counted, (this.#counts.get(counted) ?? 0) + 1)
  }

  /** Writes what was counted since the last time; keeps it for the next time if the store does not answer. */
  async flush(): Promise<void> {
    if (this.#counts.size === 0) return
    const counted = this.#counts
    this.#counts = new Map()
    try {
      for (const strangers of batches(counted)) {
        const id = newDecisionId()
        const record: AuditRecord = {
          id,
          at: new Date(this.#clock.nowMs()).toISOString(),
          event: 'strangers.refused',
          outcome: 'refused',
          by: 'stranger',
          by_class: 'stranger',
          strangers,
        }
        await this.#audit.append(id, JSON.stringify(record))
        for (const [reason, source] of strangers) counted.delete(`${reason}\n${source}`)
      }
    } catch {
      for (const [key, count] of counted) this.#counts.set(key, (this.#counts.get(key) ?? 0) + count)
    }
  }
}

type Row = readonly [reason: string, source: string, count: number]

function batches(counted: ReadonlyMap<string, number>): readonly (readonly Row[])[] {
  const all: Row[][] = []
  let current: Row[] = []
  let chars = 0
  for (const [key, count] of counted) {
    const [reason = '', source = ''] = key.split('\n')
    const row: Row = [reason, source, count]
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
