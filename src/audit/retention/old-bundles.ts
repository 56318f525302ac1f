/** Which bundles of the log are beyond what is kept, and when the oldest of what is left was made. */
import { KEPT_MS_MIN } from '../../kernel/log-limits.ts'
import type { LogStore } from '../../store/ports.ts'
import {
  BUNDLE_RECORDS,
  bundleOf,
  CHUNK_RECORDS,
  chunkOf,
  columnPiece,
  contentsPiece,
  recordsPiece,
  SPAN_PIECE,
  TIME_BYTES,
  tilePiece,
} from '../log/layout.ts'
import { parsedRecord, timeOf } from '../log/record-time.ts'
import { checkedEntries } from '../log/verify/bundle-check.ts'

export interface RetentionSettings {
  readonly keepMs: number
  /** `undefined`: there is no bound by number. */
  readonly keepRecords: number | undefined
}

export type Beyond = 'keep_days' | 'keep_records'
type Log = Pick<LogStore, 'read'>

/**
 * Why this full bundle need not be kept; `undefined`: it has to be.
 *
 * By its records themselves, each held against its entry: whoever has changed one, or a time beside them, gets nothing removed.
 * @throws LogFault where it is not as it was written: it stays, and everything behind it
 */
export async function beyondKeeping(
  log: Log,
  { bundle, size, nowMs }: { readonly bundle: number; readonly size: number; readonly nowMs: number },
  { keepMs, keepRecords = Number.POSITIVE_INFINITY }: RetentionSettings,
): Promise<Beyond | undefined> {
  const latestMs = await latestOf(log, bundle)
  if (latestMs >= nowMs - KEPT_MS_MIN) return undefined
  if (latestMs < nowMs - keepMs) return 'keep_days'
  return size - bundle * BUNDLE_RECORDS > keepRecords ? 'keep_records' : undefined
}

async function latestOf(log: Log, bundle: number): Promise<number> {
  const none = Buffer.alloc(0)
  const names = [recordsPiece(bundle), contentsPiece(bundle), tilePiece('entries', bundle), tilePiece(0, bundle)]
  const [records, contents, entries = none, hashes = none] = await log.read(names)
  const place = { bundle, first: bundle * BUNDLE_RECORDS, count: BUNDLE_RECORDS, prunedBefore: 0 }
  let latestMs = 0
  for (const { text = '' } of checkedEntries({ records, contents, entries, hashes }, place)) {
    latestMs = Math.max(latestMs, timeOf(parsedRecord(text)))
  }
  return latestMs
}

/** When the oldest of the records from this index on was made, epoch milliseconds; of a log that keeps none: `nowMs`. */
export async function oldestKept(log: Log, from: number, size: number, nowMs: number): Promise<number> {
  const [first, last] = [chunkOf(from), chunkOf(Math.max(0, size - 1))]
  const [spans, firstTimes, lastTimes] = await log.read([SPAN_PIECE, columnPiece('at', first), columnPiece('at', last)])
  const times = [
    ...timesIn(firstTimes, (from % CHUNK_RECORDS) * TIME_BYTES, TIME_BYTES),
    ...(last === first ? [] : timesIn(lastTimes, 0, TIME_BYTES)),
    ...timesIn(spans, (first + 1) * 2 * TIME_BYTES, 2 * TIME_BYTES),
  ]
  return times.reduce((least, ms) => Math.min(least, ms), nowMs)
}

function timesIn(piece: Buffer = Buffer.alloc(0), from: number, step: number): readonly number[] {
  const times: number[] = []
  for (let at = from; at + step <= piece.length; at += step) times.push(piece.readUIntBE(at, TIME_BYTES))
  return times
}

/** The end of what is in full bundles. */
export function wholeBundles(index: number): number {
  return bundleOf(index) * BUNDLE_RECORDS
}
