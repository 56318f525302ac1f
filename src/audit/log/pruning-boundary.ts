/** Up to where the log itself says that its bodies were pruned: read from its own newest record that says so. */
import type { LogStore } from '../../store/ports.ts'
import type { NoteKey } from '../../tlog/note-keys.ts'
import { TiledTree } from '../../tlog/subtrees.ts'
import { decodeRecords } from './bodies.ts'
import { fingerprint, offsetsIn } from './columns.ts'
import { DamagedLog } from './damaged-log.ts'
import { BUNDLE_RECORDS, bundleOf, CHUNK_RECORDS, chunkOf, columnPiece, recordsPiece, tilesOf } from './layout.ts'
import { prunedBy } from './pruning-notice.ts'
import { parsedRecord } from './record-time.ts'

/** Bodies before `to` are, or will be, removed. */
export interface PruningNotice {
  /** Of the record that says so. */
  readonly index: number
  readonly to: number
}

const CHUNKS_AT_ONCE = 16
const WANTED = new Set([fingerprint('audit.pruned')])

/**
 * The newest that one of these keys has signed, of this very log; `undefined`: none has.
 * @param size of the log. @param fromChunk where it is looked for from, at the earliest
 */
export async function newestNotice(
  log: Pick<LogStore, 'read'>,
  size: number,
  { keys, fromChunk = 0 }: { readonly keys: readonly NoteKey[]; readonly fromChunk?: number },
): Promise<PruningNotice | undefined> {
  for (let end = chunkOf(size - 1) + 1; end > fromChunk; end -= CHUNKS_AT_ONCE) {
    const first = Math.max(fromChunk, end - CHUNKS_AT_ONCE)
    const chunks = Array.from({ length: end - first }, (_, n) => end - 1 - n)
    const columns = await log.read(chunks.map((chunk) => columnPiece('event', chunk)))
    const indexes = chunks.flatMap((chunk, n) => {
      const offsets = offsetsIn(columns[n] ?? Buffer.alloc(0), WANTED)
      return offsets.map((offset) => chunk * CHUNK_RECORDS + offset).toReversed()
    })
    let furthest: PruningNotice | undefined
    for (const index of indexes) {
      const to = await statedAt(log, index, keys)
      // Of brokers that are told to keep more, or less, one may have said it just before the other.
      if (to !== undefined && to > (furthest?.to ?? 0)) furthest = { index, to }
    }
    if (furthest !== undefined) return furthest
  }
  return undefined
}

/** A record can only speak of what was signed before it; and only of this log, not of one that was before it. */
async function statedAt(
  log: Pick<LogStore, 'read'>,
  index: number,
  keys: readonly NoteKey[],
): Promise<number | undefined> {
  const [piece] = await log.read([recordsPiece(bundleOf(index))])
  try {
    const text = piece && decodeRecords(piece)[index % BUNDLE_RECORDS]?.text
    const record = text === undefined ? undefined : parsedRecord(text)
    const pruned = record && (await prunedBy(record, keys))
    if (pruned === undefined || pruned.to > pruned.size || pruned.size > index) return undefined
    const root = await new TiledTree(pruned.size, tilesOf(log)).root()
    return root.toString('base64') === pruned.root ? pruned.to : undefined
  } catch (error) {
    if (error instanceof DamagedLog || error instanceof RangeError) return undefined
    throw error
  }
}
