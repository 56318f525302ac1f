/**
 * A proof that needs nothing but a key to check (C2SP tlog-proof@v1): an index, the path to a root, and the checkpoint with
 * that root. What else the entry's hash is made of travels as `extra`.
 */
import { parseSize } from './checkpoint.ts'
import { HASH_BYTES } from './hashes.ts'
import { decodeBase64, NoteError } from './note-keys.ts'
import { PROOF_HASHES_MAX } from './proofs.ts'

const HEADER = 'c2sp.org/tlog-proof@v1'

export interface TlogProof {
  readonly index: number
  readonly path: readonly Buffer[]
  /** Signed by nobody. */
  readonly extra: Buffer | undefined
  /** A signed note. */
  readonly checkpoint: string
}

export function formatTlogProof({ index, path, extra, checkpoint }: TlogProof): string {
  const lines = [
    HEADER,
    ...(extra === undefined ? [] : [`extra ${extra.toString('base64')}`]),
    `index ${index}`,
    ...path.map((hash) => hash.toString('base64')),
  ]
  return `${lines.join('\n')}\n\n${checkpoint}`
}

/** @throws NoteError */
export function parseTlogProof(text: string): TlogProof {
  const end = text.indexOf('\n\n')
  const [header, ...lines] = text.slice(0, Math.max(0, end)).split('\n')
  if (header !== HEADER) throw new NoteError(`a receipt begins with ${HEADER}`)
  const extra = lines[0]?.startsWith('extra ') ? decodeBase64(lines.shift()?.slice('extra '.length) ?? '') : null
  const indexLine = lines.shift() ?? ''
  const index = indexLine.startsWith('index ') ? parseSize(indexLine.slice('index '.length)) : undefined
  const path = lines.map(decodeBase64)
  const hashes = path.filter((hash) => hash?.length === HASH_BYTES) as Buffer[]
  if (extra === undefined || index === undefined || hashes.length !== path.length || path.length > PROOF_HASHES_MAX) {
    throw new NoteError('the receipt is not index, path and checkpoint')
  }
  return { index, path: hashes, extra: extra ?? undefined, checkpoint: text.slice(end + 2) }
}
