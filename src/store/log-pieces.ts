/** What both stores ask of an append to the log, before anything is written. */
import { LOG_APPEND_BYTES_MAX, LOG_PIECES_PER_APPEND_MAX } from '../kernel/store-limits.ts'
import type { LogPiece } from './ports.ts'

const NAME = /^[A-Za-z0-9/_-]{1,120}$/

export function checkedName(name: string): string {
  if (!NAME.test(name)) throw new TypeError('a piece of the log is named by 1 to 120 letters, digits and / _ -')
  return name
}

export function checkPieces(head: string, pieces: readonly LogPiece[]): void {
  if (pieces.length > LOG_PIECES_PER_APPEND_MAX) {
    throw new TypeError(`an append to the log has at most ${LOG_PIECES_PER_APPEND_MAX} pieces`)
  }
  let bytes = Buffer.byteLength(head)
  for (const piece of pieces) {
    checkedName(piece.name)
    bytes += ('put' in piece ? piece.put : piece.add)?.length ?? 0
  }
  if (bytes > LOG_APPEND_BYTES_MAX) throw new TypeError(`an append to the log is at most ${LOG_APPEND_BYTES_MAX} bytes`)
}
