/**
 * What is signed of a pruning. A record says of itself only that somebody could write to the store; that bodies may be missing is
 * said by whoever has the log's key, or by nobody.
 */
import { z } from 'zod'
import type { LogSigner } from '../../keys/log-key.ts'
import type { AuditRecord } from '../../model/audit-record.ts'
import { PRUNED_FOR, type Pruned } from '../../model/pruned.ts'
import { signaturesBy } from '../../tlog/note.ts'
import { NoteError, type NoteKey } from '../../tlog/note-keys.ts'

const COUNT = z.int().nonnegative()
const PRUNED = z.strictObject({
  from: COUNT,
  to: COUNT,
  why: z.enum(PRUNED_FOR),
  size: COUNT,
  root: z.string(),
  signature: z.string(),
})

export async function signPruned(pruned: Omit<Pruned, 'signature'>, signer: LogSigner): Promise<Pruned> {
  return { ...pruned, signature: await signer.sign(noteOf(pruned, signer.key.name)) }
}

/** What a record says was pruned, where one of these keys has signed it; `undefined`: it is nobody's word. */
export async function prunedBy(record: AuditRecord, keys: readonly NoteKey[]): Promise<Pruned | undefined> {
  const { success, data } = PRUNED.safeParse(record.pruned)
  if (record.event !== 'audit.pruned' || !success) return undefined
  for (const key of keys) if (key.kind === 'log' && (await isSigned(data, key))) return data
  return undefined
}

async function isSigned(pruned: Pruned, key: NoteKey): Promise<boolean> {
  try {
    const note = { text: noteOf(pruned, key.name), lines: [pruned.signature] }
    return (await signaturesBy(note, [key])).length > 0
  } catch (error) {
    if (error instanceof NoteError) return false
    throw error
  }
}

/** Never a checkpoint: those have a size on their second line. */
function noteOf({ from, to, why, size, root }: Omit<Pruned, 'signature'>, origin: string): string {
  return `${origin}\npruned ${from} ${to} ${why}\n${size} ${root}\n`
}
