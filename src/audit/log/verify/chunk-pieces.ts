/** Everything that the log keeps of one chunk of records, read ahead. */

import { DIMENSIONS } from '../columns.ts'
import { BUNDLE_RECORDS, CHUNK_RECORDS, columnPiece, contentsPiece, recordsPiece, tilePiece } from '../layout.ts'
import type { LogSource } from './log-source.ts'

/** Of the times: a column like the others, for whoever verifies. */
export const AT = 'at'
export const COLUMNS: readonly string[] = [...DIMENSIONS, AT]
const BUNDLES = CHUNK_RECORDS / BUNDLE_RECORDS

export interface BundlePieces {
  readonly entries: Buffer
  readonly hashes: Buffer
  /** `undefined`: there are none. */
  readonly records: Buffer | undefined
  readonly contents: Buffer | undefined
}

export interface ChunkPieces {
  readonly bundles: readonly BundlePieces[]
  readonly columns: ReadonlyMap<string, Buffer>
}

/** @param size of the log: of its last chunk there may be fewer bundles */
export async function readChunk(chunk: number, size: number, source: LogSource): Promise<ChunkPieces> {
  const first = chunk * BUNDLES
  const count = Math.min(BUNDLES, Math.ceil(size / BUNDLE_RECORDS) - first)
  const names = Array.from({ length: count }, (_, n) => [
    tilePiece('entries', first + n),
    tilePiece(0, first + n),
    recordsPiece(first + n),
    contentsPiece(first + n),
  ])
  const columnNames = COLUMNS.map((dimension) => columnPiece(dimension, chunk))
  const found = await source.read([...names.flat(), ...columnNames])
  const none = Buffer.alloc(0)
  return {
    bundles: names.map((_, n) => {
      const [entries = none, hashes = none, records, contents] = found.slice(4 * n, 4 * n + 4)
      return { entries, hashes, records, contents }
    }),
    columns: new Map(COLUMNS.map((dimension, n) => [dimension, found[4 * count + n] ?? none])),
  }
}
