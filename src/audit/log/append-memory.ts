/**
 * What this broker has appended last, so that a log that came back without it is given it again, byte for byte: the same root,
 * which checkpoints and receipts already name. Bounded; who was away for longer than a failover takes finds nothing here.
 */
import { APPENDS_REMEMBERED_BYTES_MAX, APPENDS_REMEMBERED_MS } from '../../kernel/log-limits.ts'
import type { LogPiece } from '../../store/ports.ts'

export interface Appended {
  /** The head it was appended to; `undefined`: there was none. */
  readonly before: string | undefined
  readonly after: string
  readonly pieces: readonly LogPiece[]
}

interface Remembered extends Appended {
  readonly atMs: number
  readonly bytes: number
}

export class AppendMemory {
  /** By the head they were appended to, oldest first. */
  readonly #appends = new Map<string | undefined, Remembered>()
  #bytes = 0

  /** @param nowMs by a clock that only runs on */
  add(appended: Appended, nowMs: number): void {
    this.#forget(appended.before)
    const bytes = appended.pieces.reduce((sum, piece) => sum + bytesOf(piece), appended.after.length)
    this.#appends.set(appended.before, { ...appended, atMs: nowMs, bytes })
    this.#bytes += bytes
    for (const [before, { atMs }] of this.#appends) {
      if (this.#bytes <= APPENDS_REMEMBERED_BYTES_MAX && nowMs - atMs <= APPENDS_REMEMBERED_MS) return
      this.#forget(before)
    }
  }

  /** What came behind this head. */
  behind(head: string | undefined): Appended | undefined {
    return this.#appends.get(head)
  }

  #forget(before: string | undefined): void {
    this.#bytes -= this.#appends.get(before)?.bytes ?? 0
    this.#appends.delete(before)
  }
}

function bytesOf(piece: LogPiece): number {
  return ('put' in piece ? piece.put : piece.add)?.length ?? 0
}
