/**
 * Checkpoints (C2SP tlog-checkpoint): what a log says of itself at one size, as the text of a signed note.
 *
 * A checkpoint has no extension lines here: nobody could audit them.
 */
import { HASH_BYTES } from './hashes.ts'
import { type Note, openNote, parseNote, type Signed } from './note.ts'
import { decodeBase64, NoteError, type NoteKey } from './note-keys.ts'
import type { Tree } from './proofs.ts'

export interface Checkpoint extends Tree {
  /** Which log: `<host><path>`, no scheme. Each of its keys has it for a name. */
  readonly origin: string
}

export function formatCheckpoint({ origin, size, root }: Checkpoint): string {
  return `${origin}\n${size}\n${root.toString('base64')}\n`
}

/** @param text of the note, without signatures. @throws NoteError */
export function parseCheckpoint(text: string): Checkpoint {
  const [origin = '', sizeText = '', rootText = '', end, more] = text.split('\n')
  const root = decodeBase64(rootText)
  const size = parseSize(sizeText)
  const isWhole = origin !== '' && end === '' && more === undefined
  if (!isWhole || size === undefined || root?.length !== HASH_BYTES) {
    throw new NoteError('a checkpoint is an origin, a size and a root, a line each')
  }
  return { origin, size, root }
}

/** A whole number in its one decimal spelling; `undefined`: it is not that. */
export function parseSize(text: string): number | undefined {
  const size = Number(text)
  return /^(?:0|[1-9]\d*)$/.test(text) && Number.isSafeInteger(size) ? size : undefined
}

export interface SignedCheckpoint {
  readonly checkpoint: Checkpoint
  readonly note: Note
  /** By the keys that were asked about; one of a log at least. */
  readonly signed: readonly Signed[]
}

/**
 * A checkpoint that a trusted log key of its own origin has signed.
 * @param keys of logs, and of witnesses where their word is asked for.
 * @throws NoteError
 */
export async function openCheckpoint(text: string, keys: readonly NoteKey[]): Promise<SignedCheckpoint> {
  const note = parseNote(text)
  const checkpoint = parseCheckpoint(note.text)
  // A key that signs for one log must not vouch for another's checkpoint.
  const meant = keys.filter(({ kind, name }) => kind === 'witness' || name === checkpoint.origin)
  const signed = await openNote(note, meant)
  if (!signed.some(({ key }) => key.kind === 'log'))
    throw new NoteError('no log key that is trusted here has signed it')
  return { checkpoint, note, signed }
}
