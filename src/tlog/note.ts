/**
 * Signed notes (C2SP signed-note): a text, and lines of signatures under it.
 *
 * Validates: the form, strictly; that each signature by a key one knows is one, a witness's over the time it states
 * (C2SP tlog-cosignature). A note with a bad signature by a known key is refused as a whole.
 * Does not validate: signatures by keys one does not know; they are kept and mean nothing.
 */
import type { KeyObject } from 'node:crypto'
import { signBytes, verifyBytes } from '../jose/signature.ts'
import { decodeBase64, isKeyName, NoteError, type NoteKey } from './note-keys.ts'

/** Of a log and of witnesses, of keys being changed: signed-note asks for 16 at least. */
const SIGNATURES_MAX = 64
/** UTF-16 code units: a checkpoint with all its signatures is a tenth of it. */
export const NOTE_CHARS_MAX = 100_000
const ED25519_BYTES = 64
const ID_BYTES = 4
const TIME_BYTES = 8

export interface Note {
  /** Ends in a newline; what is signed. */
  readonly text: string
  /** As they stand in the note: `— <name> <base64>`, no newline. */
  readonly lines: readonly string[]
}

/** A signature that was found good. */
export interface Signed {
  readonly key: NoteKey
  /** Epoch seconds, as a witness states them; `undefined`: a log's own signature. */
  readonly at: number | undefined
}

/** @throws NoteError */
export function parseNote(note: string): Note {
  if (note.length > NOTE_CHARS_MAX) throw new NoteError('the note is too long')
  // Control characters other than the newline would let a note look like another one.
  if (/[^\P{Cc}\n]/u.test(note) || !note.isWellFormed()) throw new NoteError('the note has control characters')
  const end = note.lastIndexOf('\n\n')
  if (end < 0 || !note.endsWith('\n')) throw new NoteError('a note is a text, an empty line and signatures')
  const lines = note.slice(end + 2, -1).split('\n')
  if (lines.length > SIGNATURES_MAX) throw new NoteError('the note has too many signatures')
  for (const line of lines) readLine(line)
  return { text: note.slice(0, end + 1), lines }
}

export function formatNote({ text, lines }: Note): string {
  return `${text}\n${lines.map((line) => `${line}\n`).join('')}`
}

/** @returns the signature line. @throws NoteError for a text that no note may have */
export async function signNote(text: string, key: NoteKey, privateKey: KeyObject): Promise<string> {
  const signature = await signBytes('Ed25519', privateKey, text)
  return checked(text, lineOf(key, signature))
}

/** A witness's signature over the text and the time. @param at epoch seconds */
export async function cosign(text: string, key: NoteKey, privateKey: KeyObject, at: number): Promise<string> {
  const time = Buffer.alloc(TIME_BYTES)
  time.writeBigUInt64BE(BigInt(at))
  const signature = await signBytes('Ed25519', privateKey, cosigned(text, at))
  return checked(text, lineOf(key, Buffer.concat([time, signature])))
}

/**
 * The signatures by these keys: one at most by each.
 * @throws NoteError where one claims to be by one of them and is not, or where there is none.
 */
export async function openNote(note: Note, keys: readonly NoteKey[]): Promise<readonly Signed[]> {
  const found = await signaturesBy(note, keys)
  if (found.length === 0) throw new NoteError('no key that is trusted here has signed it')
  return found
}

/** As `openNote`, and none is no error. @throws NoteError where a signature by one of these keys is not good */
export async function signaturesBy({ text, lines }: Note, keys: readonly NoteKey[]): Promise<readonly Signed[]> {
  const found = new Map<string, Signed>()
  for (const line of lines) {
    const { name, bytes } = readLine(line)
    const id = bytes.toString('hex', 0, ID_BYTES)
    const key = keys.find((one) => one.name === name && one.id === id)
    if (key === undefined) continue
    const at = await signedAt(text, key, bytes.subarray(ID_BYTES))
    if (at === 'never') throw new NoteError(`the signature by ${key.name} (${key.id}) is not good`)
    found.set(key.vkey, { key, at })
  }
  return [...found.values()]
}

async function signedAt(text: string, key: NoteKey, signature: Buffer): Promise<number | undefined | 'never'> {
  if (key.kind === 'log') return (await isBy(key, text, signature)) ? undefined : 'never'
  if (signature.length !== TIME_BYTES + ED25519_BYTES) return 'never'
  const at = Number(signature.readBigUInt64BE())
  if (!Number.isSafeInteger(at)) return 'never'
  return (await isBy(key, cosigned(text, at), signature.subarray(TIME_BYTES))) ? at : 'never'
}

function isBy(key: NoteKey, text: string, signature: Buffer): Promise<boolean> {
  return verifyBytes('Ed25519', key.publicKey, text, signature)
}

/** tlog-cosignature: the time is signed with the text, behind a line that no log ever signs. */
function cosigned(text: string, at: number): string {
  return `cosignature/v1\ntime ${at}\n${text}`
}

function lineOf({ name, id }: NoteKey, signature: Uint8Array): string {
  return `— ${name} ${Buffer.concat([Buffer.from(id, 'hex'), signature]).toString('base64')}`
}

/** What was just signed reads as a note: nobody could check it otherwise. */
function checked(text: string, line: string): string {
  parseNote(formatNote({ text, lines: [line] }))
  return line
}

function readLine(line: string): { readonly name: string; readonly bytes: Buffer } {
  const [dash, name = '', encoded = '', more] = line.split(' ')
  const bytes = decodeBase64(encoded)
  if (dash !== '—' || more !== undefined || !isKeyName(name) || bytes === undefined || bytes.length <= ID_BYTES) {
    throw new NoteError('a line under the note is not a signature')
  }
  return { name, bytes }
}
