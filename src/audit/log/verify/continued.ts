/**
 * Where the log went on without its end, for whoever verifies it: by notes that a key of the log has signed, and by the log's own
 * records of them, which must be the same. Nobody verifies such a log by mistake: the name it has since is to be trusted by name.
 */
import type { AuditRecord } from '../../../model/audit-record.ts'
import type { Continued } from '../../../model/continued.ts'
import type { Checkpoint } from '../../../tlog/checkpoint.ts'
import { NoteError, type NoteKey, noteKey } from '../../../tlog/note-keys.ts'
import { decodeRecords } from '../bodies.ts'
import { fingerprint, offsetsIn } from '../columns.ts'
import { continuedBy, notesIn, type OpenedContinuation, openContinuations, treeOf } from '../continuation.ts'
import { BUNDLE_RECORDS, bundleOf, CHUNK_RECORDS, chunkOf, columnPiece, recordsPiece } from '../layout.ts'
import { parsedRecord } from '../record-time.ts'
import { type Anchor, LogFault, type LogSource } from './log-source.ts'

const WANTED = new Set([fingerprint('audit.continued')])

/** Oldest first. @param text of the document; of a log that was never continued there is none. @throws LogFault */
export async function continuationsIn(
  text: string | undefined,
  keys: readonly NoteKey[],
): Promise<readonly OpenedContinuation[]> {
  try {
    return await openContinuations(notesIn(text), keys)
  } catch (error) {
    if (error instanceof NoteError) throw new LogFault(0, error.message)
    throw error
  }
}

/** These keys under every name that the log has had. */
export function underAllNames(
  keys: readonly NoteKey[],
  continuations: readonly OpenedContinuation[],
): readonly NoteKey[] {
  const names = new Set(continuations.flatMap(({ before, origin }) => [before, origin]))
  const all = keys.flatMap((key) => [key, ...[...names].map((name) => noteKey(name, 'log', key.publicKey))])
  return [...new Map(all.map((key) => [key.vkey, key])).values()]
}

/** What each stands for itself: with so many records, and these, it went on; unless a later one went on from fewer. */
export function anchorsOf(continuations: readonly OpenedContinuation[]): readonly Anchor[] {
  return continuations
    .filter(({ from }, n) => continuations.slice(n + 1).every((later) => later.from >= from))
    .map((one) => ({ ...treeOf(one), name: `the continuation as ${one.origin}` }))
}

/** The continuation without what this checkpoint stands for; `undefined`: all of that has to be there. */
export function lostSince(
  { origin, size }: Checkpoint,
  continuations: readonly OpenedContinuation[],
): OpenedContinuation | undefined {
  const since = continuations.findIndex(({ before }) => before === origin)
  return since < 0 ? undefined : continuations.slice(since).find(({ from }) => from < size)
}

/** @throws LogFault where the log says of itself that it was continued, and the notes do not */
export async function assertAllStated(
  source: LogSource,
  size: number,
  { continuations, keys }: { readonly continuations: readonly Continued[]; readonly keys: readonly NoteKey[] },
): Promise<void> {
  for (let chunk = 0; chunk <= chunkOf(Math.max(0, size - 1)); chunk += 1) {
    const [column = Buffer.alloc(0)] = await source.read([columnPiece('event', chunk)])
    for (const offset of offsetsIn(column, WANTED)) {
      const index = chunk * CHUNK_RECORDS + offset
      const record = await recordAt(source, index)
      const stated = record && (await continuedBy(record, keys))
      if (stated === undefined || continuations.some((one) => one.record === stated.record)) continue
      throw new LogFault(index, `its record says that the log goes on here as ${stated.origin}, and nothing else does`)
    }
  }
}

/** `undefined`: it is pruned. */
async function recordAt(source: LogSource, index: number): Promise<AuditRecord | undefined> {
  const [piece] = await source.read([recordsPiece(bundleOf(index))])
  const text = piece && decodeRecords(piece)[index % BUNDLE_RECORDS]?.text
  return text === undefined ? undefined : parsedRecord(text)
}

/** @throws LogFault unless the name that the log has by now is one of these keys' */
export function assertTaken(continuations: readonly OpenedContinuation[], keys: readonly NoteKey[]): void {
  const last = continuations.at(-1)
  if (last === undefined || keys.some(({ vkey }) => vkey === last.key.vkey)) return
  throw new LogFault(last.from, `${wordsOf(last)}. To take it for that, give --key ${last.key.vkey}`)
}

export function wordsOf({ origin, before, from, signed, reason, record, at }: Continued): string {
  // Fewer than are left: then it is not its end that is missing, some of those before are others.
  const lost = signed > from ? 'not what' : 'what is before is not all what'
  const what = `from record ${from} on it is ${origin}, and ${lost} ${before} has signed up to ${signed}`
  return `${what}: continued by ${record} at ${at}, ${JSON.stringify(reason)}`
}
