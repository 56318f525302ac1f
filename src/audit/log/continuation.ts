/**
 * Where a log goes on that its store has lost the end of for good: under a new name, `…/audit/2` behind `…/audit`, from the last
 * record there is, by an act of somebody who says why. What is signed from there on is signed under that name, so that nobody
 * who knows the log by its first name, a witness or a key that was written down, takes the one for the other.
 *
 * Each is a signed note under the new name. Guarantees of what was opened: signed by the log's own key; the names follow on each
 * other, from the first; each goes on from a size no smaller than nothing and says which name it leaves and what that had signed.
 */
import { z } from 'zod'
import type { LogSigner } from '../../keys/log-key.ts'
import type { AuditRecord } from '../../model/audit-record.ts'
import type { Continued, RecordedContinuation } from '../../model/continued.ts'
import { formatNote, openNote, parseNote } from '../../tlog/note.ts'
import { NoteError, type NoteKey, noteKey } from '../../tlog/note-keys.ts'
import type { Tree } from '../../tlog/proofs.ts'

const COUNT = z.int().nonnegative()
const ROOT = z.string().regex(/^[A-Za-z0-9+/]{43}=$/)
const STATED = z.strictObject({
  before: z.string().min(1),
  from: COUNT,
  root: ROOT,
  signed: COUNT,
  signed_root: ROOT.optional(),
  reason: z.string().min(1),
  record: z.string().min(1),
  at: z.string().min(1),
})
const RECORDED = STATED.omit({ record: true }).extend({ origin: z.string().min(1), signature: z.string() })
const NOTES = z.array(z.string())
const HEAD = 'continued '
const UNREADABLE = 'a continuation of the log cannot be read'

/** One that was opened, and the key it was signed with: under the name that the log has from there on. */
export interface OpenedContinuation extends Continued {
  readonly key: NoteKey
}

/** The name of the log behind this one. @param first the name it began with */
export function nextOrigin(first: string, continued: number): string {
  return `${first}/${continued + 2}`
}

/** @param signer under the new name. @returns the note */
export async function signContinuation(stated: Continued, signer: LogSigner): Promise<string> {
  if (stated.origin !== signer.key.name) throw new NoteError('a continuation is signed under the name it gives')
  const text = textOf(stated)
  return formatNote({ text, lines: [await signer.sign(text)] })
}

/** Never a checkpoint: those have a size on their second line. */
function textOf({ origin, ...stated }: Continued): string {
  return `${origin}\n${HEAD}${JSON.stringify(STATED.parse(stated))}\n`
}

/** What the record of it says. */
export function recordedOf({ record: _id, ...stated }: Continued, note: string): RecordedContinuation {
  return { ...stated, signature: parseNote(note).lines[0] ?? '' }
}

/** What a record says of a continuation that was carried out, where one of the log's keys has signed it; else `undefined`. */
export async function continuedBy(
  record: AuditRecord,
  keys: readonly Pick<NoteKey, 'publicKey'>[],
): Promise<Continued | undefined> {
  const { success, data } = RECORDED.safeParse(record.continued)
  if (record.event !== 'audit.continued' || record.outcome !== 'granted' || !success) return undefined
  const { signature, origin, ...said } = data
  try {
    const stated = statedAs(origin, { ...said, record: record.id })
    await openNote({ text: textOf(stated), lines: [signature] }, namedFor(origin, keys))
    return stated
  } catch (error) {
    if (error instanceof NoteError) return undefined
    throw error
  }
}

function namedFor(origin: string, keys: readonly Pick<NoteKey, 'publicKey'>[]): readonly NoteKey[] {
  return keys.map(({ publicKey }) => noteKey(origin, 'log', publicKey))
}

/** The notes of the document. @throws NoteError */
export function notesIn(text: string | undefined): readonly string[] {
  try {
    return NOTES.parse(JSON.parse(text ?? '[]'))
  } catch {
    throw new NoteError('the continuations of the log cannot be read')
  }
}

/**
 * All of them, or none. @param keys any of the log's: by another name it is the same
 * @param known the name that the log began with; else what the first of them says, which is signed
 * @throws NoteError
 */
export async function openContinuations(
  notes: readonly string[],
  keys: readonly Pick<NoteKey, 'publicKey'>[],
  known?: string,
): Promise<readonly OpenedContinuation[]> {
  const opened: OpenedContinuation[] = []
  let first = known
  for (const note of notes) {
    const { text, lines } = parseNote(note)
    first ??= statedIn(text, text.slice(0, text.indexOf('\n'))).before
    const origin = nextOrigin(first, opened.length)
    const [signed] = await openNote({ text, lines }, namedFor(origin, keys))
    if (signed === undefined) throw new NoteError('no key of the log has signed its continuation')
    const stated = statedIn(text, origin)
    if (stated.before !== (opened.at(-1)?.origin ?? first)) {
      throw new NoteError('a continuation of the log does not follow on the one before it')
    }
    opened.push({ ...stated, key: signed.key })
  }
  return opened
}

function statedIn(text: string, origin: string): Continued {
  const [name, line = '', end, more] = text.split('\n')
  if (name !== origin || end !== '' || more !== undefined || !line.startsWith(HEAD)) throw new NoteError(UNREADABLE)
  try {
    return statedAs(origin, JSON.parse(line.slice(HEAD.length)))
  } catch {
    throw new NoteError(UNREADABLE)
  }
}

/** @throws ZodError */
function statedAs(origin: string, stated: unknown): Continued {
  const { signed_root, ...rest } = STATED.parse(stated)
  return { origin, ...rest, ...(signed_root === undefined ? {} : { signed_root }) }
}

/** Where it goes on: what is signed under the new name has this for its beginning. */
export function treeOf({ from, root }: Continued): Tree {
  return { size: from, root: Buffer.from(root, 'base64') }
}
