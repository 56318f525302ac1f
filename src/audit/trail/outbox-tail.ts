/** What is not in the log yet: the records behind its cursors, as far as they are few. */
import { TRAIL_TAIL_MAX } from '../../kernel/store-limits.ts'
import type { AuditRecord } from '../../model/audit-record.ts'
import { originOf } from '../../store/outbox-position.ts'
import type { AuditStore } from '../../store/ports.ts'

const READ_AT_ONCE = 256

type Cursors = ReadonlyMap<string, string>

export interface TailEntry {
  readonly text: string
  readonly record: AuditRecord
  /** It may be in the log all the same: its outbox came back without its last records, or it was written again. */
  readonly isDoubted: boolean
}

export interface Tail {
  /** Newest first. */
  readonly entries: readonly TailEntry[]
  /** There are more of them. */
  readonly isCut: boolean
  /** The last of each outbox. */
  readonly ends: Cursors
}

/** @param cursors where the log ends */
export async function readTail(audit: Pick<AuditStore, 'pending'>, cursors: Cursors): Promise<Tail> {
  const at = new Map(cursors)
  const entries: TailEntry[] = []
  for (;;) {
    const found = await audit.pending(at, READ_AT_ONCE)
    for (const [outbox, read] of found) {
      entries.push(
        ...read.flatMap(({ record, position, again }) =>
          tailEntry(record, again === true || originOf(position) !== position),
        ),
      )
      at.set(outbox, read.at(-1)?.position ?? '')
    }
    const isFull = [...found.values()].some(({ length }) => length >= READ_AT_ONCE)
    if (!isFull || entries.length >= TRAIL_TAIL_MAX) {
      const ends = new Map([...at].filter(([outbox, position]) => cursors.get(outbox) !== position))
      // Stable: of one time and one outbox, the one that came last is first.
      return { entries: entries.reverse().sort(newestFirst), isCut: isFull, ends }
    }
  }
}

/** Whether the log has come as far. */
export function isReached(ends: Cursors, cursors: Cursors): boolean {
  return [...ends].every(([outbox, position]) => (cursors.get(outbox) ?? '') >= position)
}

function tailEntry(text: string, isDoubted: boolean): readonly TailEntry[] {
  try {
    return [{ text, record: JSON.parse(text) as AuditRecord, isDoubted }]
  } catch {
    return []
  }
}

function newestFirst(a: TailEntry, b: TailEntry): number {
  return a.record.at < b.record.at ? 1 : a.record.at > b.record.at ? -1 : 0
}
