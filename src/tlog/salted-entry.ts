/**
 * What a log of records commits to: a hash of the record and of a salt that is kept beside it. The record can be removed
 * later, or its text sealed, and every proof holds; without its salt nobody can guess a record from its entry.
 */
import { randomBytes } from 'node:crypto'
import { utf8BytesMax } from '../kernel/utf8.ts'
import { sha256 } from './hashes.ts'

const VERSION = Buffer.of(0x01)
export const SALT_BYTES = 16
/** Version and hash. */
export const ENTRY_BYTES = 33

/** So many, drawn at once. */
export function newSalts(count: number): readonly Buffer[] {
  const drawn = randomBytes(count * SALT_BYTES)
  return Array.from({ length: count }, (_, n) => drawn.subarray(n * SALT_BYTES, (n + 1) * SALT_BYTES))
}

/** What is hashed, for as long as that takes: memory of its own for each record is collected with everything else. */
const WORKING = Buffer.alloc(64 * 1024)

/** @param text or its UTF-8 */
export function saltedEntry(salt: Uint8Array, text: string | Uint8Array): Buffer {
  const bytesMax = salt.length + (typeof text === 'string' ? utf8BytesMax(text) : text.length)
  const bytes = bytesMax <= WORKING.length ? WORKING : Buffer.alloc(bytesMax)
  bytes.set(salt)
  if (typeof text !== 'string') bytes.set(text, salt.length)
  const length = typeof text === 'string' ? bytes.write(text, salt.length) : text.length
  return Buffer.concat([VERSION, sha256(bytes.subarray(0, salt.length + length))])
}
