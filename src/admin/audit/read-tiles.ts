/**
 * The log as C2SP tlog-tiles has it: checkpoint, tiles, entry bundles. Entries are hashes of salted records: whoever reads them
 * learns how many records there are, and nothing of what is in one.
 */
import { parseHead } from '../../audit/log/head.ts'
import { tilePiece } from '../../audit/log/layout.ts'
import { CHECKPOINT_DOCUMENT } from '../../audit/log/log-documents.ts'
import type { Store } from '../../store/ports.ts'
import { HASH_BYTES } from '../../tlog/hashes.ts'
import { ENTRY_BYTES } from '../../tlog/salted-entry.ts'
import { parseTilePath, TILE_WIDTH, tileWidth } from '../../tlog/tiles.ts'

export type TiledLog = Pick<Store, 'log' | 'documents'>

/** Behind its length, as uint16. */
const BUNDLED_BYTES = 2 + ENTRY_BYTES

export interface ReadTile {
  readonly bytes: Buffer
  /** It never changes again, whatever is appended. */
  readonly isFull: boolean
}

/** The newest checkpoint: a signed note; `undefined`: none was signed yet. */
export function readCheckpoint({ documents }: TiledLog): Promise<string | undefined> {
  return documents.read(CHECKPOINT_DOCUMENT)
}

/** @param path `tile/<L>/<N>[.p/<W>]`; `undefined`: the log has no such tile, or not so wide a one */
export async function readTile(path: string, { log }: TiledLog): Promise<ReadTile | undefined> {
  const name = parseTilePath(path)
  if (name === undefined) return undefined
  const { level, index, width } = name
  const { size } = parseHead(await log.head())
  if (tileWidth(level === 'entries' ? 0 : level, index, size) < width) return undefined
  const [piece] = await log.read([tilePiece(level, index)])
  const length = width * (level === 'entries' ? BUNDLED_BYTES : HASH_BYTES)
  if (piece === undefined || piece.length < length) return undefined
  return { bytes: piece.subarray(0, length), isFull: width === TILE_WIDTH }
}
