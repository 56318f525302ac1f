/**
 * How the log lies in its store: the names of its pieces, and which record is where. Numbers in names are decimal.
 *
 * - `tile/<level>/<n>`: hashes of every eighth height, 256 side by side; `tile/entries/<n>`: the entries of as many records
 *   (C2SP tlog-tiles). They grow at their end and are never removed: every proof is made of them.
 * - `records/<bundle>` and `contents/<bundle>`: 256 records, and the texts that they name (`bodies.ts`). What is pruned.
 * - `column/<dimension>/<chunk>`: by what the 4 096 records of a chunk are found (`columns.ts`); `column/at/<chunk>`: when each
 *   was made, u48 epoch milliseconds.
 * - `span`: of each full chunk the earliest and the latest of those times, 12 bytes.
 */

import type { LogStore } from '../../store/ports.ts'
import type { TileReader } from '../../tlog/tiles.ts'

/** As many as a tile is wide. */
export const BUNDLE_RECORDS = 256
export const CHUNK_RECORDS = 4_096
/** One time. */
export const TIME_BYTES = 6
/** Earliest and latest time of each full chunk. */
export const SPAN_PIECE = 'span'

export function bundleOf(index: number): number {
  return Math.floor(index / BUNDLE_RECORDS)
}

export function chunkOf(index: number): number {
  return Math.floor(index / CHUNK_RECORDS)
}

export function tilePiece(level: number | 'entries', n: number): string {
  return `tile/${level}/${n}`
}

export function recordsPiece(bundle: number): string {
  return `records/${bundle}`
}

export function contentsPiece(bundle: number): string {
  return `contents/${bundle}`
}

export function columnPiece(dimension: string, chunk: number): string {
  return `column/${dimension}/${chunk}`
}

/** The tiles of a log, for proofs. */
export function tilesOf(log: Pick<LogStore, 'read'>): TileReader {
  return {
    async tile(level, index) {
      const [tile] = await log.read([tilePiece(level, index)])
      if (tile === undefined) throw new RangeError(`the log has no tile ${level}/${index}`)
      return tile
    },
  }
}
