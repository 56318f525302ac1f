/**
 * A receipt: a record, its salt, and the proof that the log has them (C2SP tlog-proof@v1; record and salt are its `extra`).
 * Self-contained: years later it is checked with nothing but the log's vkey.
 *
 * Validates: the checkpoint's signature by a trusted key, the path to its root, and that the proven entry is that of this very
 * record and salt.
 */
import { z } from 'zod'
import { openCheckpoint, type SignedCheckpoint } from './checkpoint.ts'
import { leafHash } from './hashes.ts'
import { decodeBase64, NoteError, type NoteKey } from './note-keys.ts'
import { verifyInclusion } from './proofs.ts'
import { SALT_BYTES, saltedEntry } from './salted-entry.ts'
import { formatTlogProof, parseTlogProof } from './tlog-proof.ts'

const EXTRA = z.strictObject({ salt: z.string(), record: z.string() })

export interface Receipt {
  readonly index: number
  readonly salt: Buffer
  /** Byte for byte as it was logged. */
  readonly record: string
  readonly path: readonly Buffer[]
  /** A signed note, with the cosignatures there are. */
  readonly checkpoint: string
}

export function formatReceipt({ index, salt, record, path, checkpoint }: Receipt): string {
  const extra = Buffer.from(JSON.stringify({ salt: salt.toString('base64'), record }))
  return formatTlogProof({ index, path, extra, checkpoint })
}

export interface CheckedReceipt extends SignedCheckpoint {
  readonly index: number
  readonly record: string
}

/** @throws NoteError where it proves nothing */
export async function openReceipt(text: string, keys: readonly NoteKey[]): Promise<CheckedReceipt> {
  const { index, path, extra, checkpoint } = parseTlogProof(text)
  const { salt, record } = parseExtra(extra)
  const opened = await openCheckpoint(checkpoint, keys)
  const leaf = leafHash(saltedEntry(salt, record))
  if (!verifyInclusion(leaf, index, opened.checkpoint, path)) {
    throw new NoteError(`the log has another record at index ${index}, or none`)
  }
  return { ...opened, index, record }
}

function parseExtra(extra: Buffer | undefined): { readonly salt: Buffer; readonly record: string } {
  try {
    const { salt, record } = EXTRA.parse(JSON.parse(extra?.toString('utf8') ?? ''))
    const bytes = decodeBase64(salt)
    if (bytes?.length === SALT_BYTES) return { salt: bytes, record }
  } catch {
    // Said below: nothing of a stranger's text belongs into an error.
  }
  throw new NoteError('the receipt has no record with its salt')
}
