/**
 * The audit trail as it is read: every record there is, newest first, whether it is in the log already or still in an outbox.
 * Nothing else reads records.
 */
import type { AuditRecord } from '../../model/audit-record.ts'
import type { Dimension } from '../log/columns.ts'

/** Exact values, all of which must hold; of a list any. */
export interface TrailFilter extends Readonly<Partial<Record<Dimension, string | readonly string[] | undefined>>> {
  /** Epoch milliseconds: at or after, and before. */
  readonly sinceMs?: number | undefined
  readonly untilMs?: number | undefined
}

export interface TrailEntry {
  /** Its place in the log; `undefined`: it is not there yet. */
  readonly index: number | undefined
  readonly record: AuditRecord
  /** The record, letter by letter. */
  readonly text: string
}

/** Records that are, or were, and could not be looked at. */
export interface TrailGap {
  /** `pruned`: no longer kept; `damaged`: the log is not as it was written; `not_sequenced`: in an outbox, and too many. */
  readonly why: 'pruned' | 'damaged' | 'not_sequenced'
  /** Index in the log. */
  readonly first?: number
  /** How many; absent: nobody has counted them. */
  readonly records?: number
}

export interface TrailPage {
  readonly entries: readonly TrailEntry[]
  /** The next page begins there; absent: there is nothing older that could match. A page may be empty and not the last. */
  readonly after?: string
  /** What could have matched, too. */
  readonly gaps: readonly TrailGap[]
  /** How many records were read to find them. */
  readonly lookedAt: number
}

/** How far the trail goes back. */
export interface TrailExtent {
  /** Places of the log; of the first so many the record is no longer kept, only the proof of it. */
  readonly size: number
  readonly pruned: number
  /** Not in the log yet, as far as they are counted. */
  readonly waiting: number
  /** The oldest record that is kept; `undefined`: there is none. */
  readonly oldest: AuditRecord | undefined
}

/** A stretch of the log. */
export interface LogSlice {
  /** Oldest first, without those that are pruned or damaged. */
  readonly entries: readonly SequencedEntry[]
  /** Where the next stretch begins: as far as was read; of a log that ends before the one that was asked for, its end. */
  readonly next: number
  readonly gaps: readonly TrailGap[]
}

/** As its leaf commits to it. */
export interface SequencedEntry extends TrailEntry {
  readonly index: number
  readonly salt: Buffer
}

/** Whose record names a text: the record's own id, or its session. */
export interface ContentOwner {
  readonly id?: string | undefined
  readonly session?: string | undefined
}

export interface AuditTrail {
  /**
   * Newest first. Whatever is sequenced or pruned between two pages: no record is on two of them, and none of those there were is
   * on none. @throws Rejection `parameter_malformed` for a token that no page ended with
   */
  page(filter: TrailFilter, limit: number, after?: string): Promise<TrailPage>
  /** Every record of this id, oldest first. */
  find(id: string): Promise<readonly TrailEntry[]>
  extent(): Promise<TrailExtent>
  /** What is in the log, oldest first, from an index on: `limit` places of it at most. */
  from(index: number, limit: number): Promise<LogSlice>
  /** A text that a record of this id, or of this session, names by digest; `undefined`: it is not kept, or no longer. */
  content(digest: string, of: ContentOwner): Promise<string | undefined>
}
