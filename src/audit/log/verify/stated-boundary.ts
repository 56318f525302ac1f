/** Before which index bodies may be missing: as the log says itself, in its newest record of a pruning that a trusted key signed. */
import type { NoteKey } from '../../../tlog/note-keys.ts'
import { DamagedLog } from '../damaged-log.ts'
import { parseHead } from '../head.ts'
import { recordsPiece } from '../layout.ts'
import { newestNotice } from '../pruning-boundary.ts'
import type { LogSource } from './log-source.ts'

/** 0: no body may be missing. Pruning begins at the beginning: where the first bundle is there, none has been. */
export async function statedBoundary(source: LogSource, keys: readonly NoteKey[]): Promise<number> {
  const size = await sizeOf(source)
  const [first] = size === 0 ? [] : await source.read([recordsPiece(0)])
  if (size === 0 || first !== undefined) return 0
  return (await newestNotice(source, size, { keys }))?.to ?? 0
}

/** A head that is none is a fault of its own, told by whoever walks the log. */
async function sizeOf(source: LogSource): Promise<number> {
  try {
    return parseHead(await source.head()).size
  } catch (error) {
    if (error instanceof DamagedLog) return 0
    throw error
  }
}
