/** The audit log as exporters read it: in its order, from an index or a time on, whole. On record itself, page by page. */
import type { AuditTrail, LogSlice, SequencedEntry, TrailGap } from '../../audit/trail/audit-trail.ts'
import { EXPORT_BATCH_MAX } from '../../kernel/telemetry-limits.ts'
import { type ReadRequest, readAs } from '../session-listing.ts'
import type { TrailParts } from './read-trail.ts'

export interface RecordsQuestion {
  readonly fromIndex: number | undefined
  readonly sinceMs: number | undefined
}

export interface RecordsAnswer {
  /** Oldest first. */
  readonly records: readonly { readonly index: number; readonly salt: string; readonly record: string }[]
  readonly gaps: readonly TrailGap[]
  /**
   * What to ask for next: as far as was read. The same as was asked: there is nothing more yet. Less: the log has gone on without
   * its end, and what is behind this is new.
   */
  readonly next: number
}

/** Records of one outbox may get into the log behind later ones of another: so much earlier it is looked. */
const EARLIER_MS = 60_000

/** @param ask read once it is known who asks. @throws RefusedRequest */
export function readRecords(
  request: ReadRequest,
  ask: () => RecordsQuestion,
  parts: TrailParts,
): Promise<RecordsAnswer> {
  return readAs(request, parts, 'admin.read', async () => {
    const { trail } = parts
    const { fromIndex, sinceMs } = ask()
    const from = fromIndex ?? (sinceMs === undefined ? 0 : await firstAt(trail, sinceMs - EARLIER_MS))
    const { entries, gaps, next } = await trail.from(from, EXPORT_BATCH_MAX)
    const isAsked = ({ record }: SequencedEntry) => sinceMs === undefined || Date.parse(record.at) >= sinceMs
    const records = entries
      .filter(isAsked)
      .map(({ index, salt, text }) => ({ index, salt: salt.toString('base64'), record: text }))
    return { records, gaps, next }
  })
}

/** The first index whose record is not older, by halving: what is pruned or lost is older than anything. */
async function firstAt(trail: AuditTrail, sinceMs: number): Promise<number> {
  const isOlder = ({ entries, gaps }: LogSlice) => {
    const [first] = entries
    return first === undefined ? gaps.length > 0 : Date.parse(first.record.at) < sinceMs
  }
  let [low, high] = [0, 1]
  while (isOlder(await trail.from(high, 1))) [low, high] = [high, high * 2]
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    if (isOlder(await trail.from(middle, 1))) low = middle + 1
    else high = middle
  }
  return low
}
