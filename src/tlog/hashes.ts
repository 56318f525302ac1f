/** The hashes of a Merkle tree (RFC 6962 §2.1, SHA-256): a leaf and a node never have the same preimage. */
import { hash } from 'node:crypto'

export const HASH_BYTES = 32
/** Of the tree with no entry: the hash of nothing. */
export const EMPTY_ROOT: Buffer = hash('sha256', '', 'buffer')

const LEAF = Buffer.of(0)
const NODE = Buffer.of(1)

export function leafHash(entry: Uint8Array): Buffer {
  return sha256(Buffer.concat([LEAF, entry]))
}

export function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  return sha256(Buffer.concat([NODE, left, right]))
}

/** By way of a text, one character to a byte: memory that Node allocates for each hash apart costs more than all the rest of it. */
export function sha256(bytes: Uint8Array): Buffer {
  return Buffer.from(hash('sha256', bytes, 'binary'), 'binary')
}

/** RFC 6962's k: the largest power of two below `n` (2 at least). No shifts: a log may outgrow 32 bits. */
export function splitPoint(n: number): number {
  let k = 1
  while (k * 2 < n) k *= 2
  return k
}
