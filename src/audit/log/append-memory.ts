/**
 * What this broker has appended last, so that a log that came back without it is given it again, byte for byte: the same root,
 * which checkpoints and receipts already name. Bounded; who was away for longer than a failover takes finds nothing here.
 */
import { type Kept, KeptBytes } from '../../kernel/kept-bytes.ts'
import { APPENDS_REMEMBERED_BYTES_MAX, APPENDS_REMEMBERED_MS } from '../../kernel/log-limits.ts'
import type { LogPiece } from '../../store/ports.ts'

export interface Appended {
  /** The head it was appended to; `undefined`: there was none. */
  readonly before: string | undefined
  readonly after: string
  readonly pieces: readonly LogPiece[]
}

interface Remembered extends Omit<Appended, 'pieces'> {
  readonly pieces: readonly KeptPiece[]
  readonly atMs: number
  readonly bytes: number
}

/** `bytes`: `undefined` where the piece was removed. */
interface KeptPiece {
  readonly name: string
  readonly how: 'add' | 'put'
  readonly bytes: Kept | undefined
}

export class AppendMemory {
  /** By the head they were appended to, oldest first. */
  readonly #appends = new Map<string | undefined, Remembered>()
  readonly #kept = new KeptBytes()
  #bytes = 0

  /** @param nowMs by a clock that only runs on */
  add({ before, after, pieces: appended }: Appended, nowMs: number): void {
    this.#forget(before)
    const pieces = appended.map((piece) => this.#keep(piece))
    const bytes = pieces.reduce((sum, piece) => sum + (piece.bytes?.length ?? 0), after.length)
    this.#appends.set(before, { before, after, pieces, atMs: nowMs, bytes })
    this.#bytes += bytes
    for (const [oldest, { atMs }] of this.#appends) {
      if (this.#bytes <= APPENDS_REMEMBERED_BYTES_MAX && nowMs - atMs <= APPENDS_REMEMBERED_MS) return
      this.#forget(oldest)
    }
  }

  /** What came behind this head. */
  behind(head: string | undefined): Appended | undefined {
    const found = this.#appends.get(head)
    return found && { before: found.before, after: found.after, pieces: found.pieces.map(pieceOf) }
  }

  #keep(piece: LogPiece): KeptPiece {
    const how = 'put' in piece ? 'put' : 'add'
    const bytes = 'put' in piece ? piece.put : piece.add
    return { name: piece.name, how, bytes: bytes && this.#kept.keepBytes(bytes) }
  }

  #forget(before: string | undefined): void {
    const known = this.#appends.get(before)
    if (known === undefined) return
    this.#appends.delete(before)
    this.#bytes -= known.bytes
    for (const { bytes } of known.pieces) bytes?.forget()
  }
}

function pieceOf({ name, how, bytes }: KeptPiece): LogPiece {
  return how === 'add' && bytes !== undefined ? { name, add: bytes.bytes } : { name, put: bytes?.bytes }
}
