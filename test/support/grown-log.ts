/** An audit log in a real store, written as the sequencer writes it and signed as a broker signs it. */
import { createHash } from 'node:crypto'
import { formatHead, parseHead } from '../../src/audit/log/head.ts'
import { CHECKPOINT_DOCUMENT, COSIGNED_DOCUMENT } from '../../src/audit/log/log-documents.ts'
import { type Incoming, LogTail } from '../../src/audit/log/log-tail.ts'
import type { AuditRecord } from '../../src/model/audit-record.ts'
import type { Store } from '../../src/store/ports.ts'
import { formatCheckpoint } from '../../src/tlog/checkpoint.ts'
import { formatNote } from '../../src/tlog/note.ts'

type Logged = Pick<Store, 'log' | 'documents'>
interface Signing {
  readonly key: { readonly name: string }
  sign(text: string): Promise<string>
}

const START_MS = Date.parse('2026-11-22T03:00:00.000Z')

function recordAt(index: number, question: string): AuditRecord {
  return {
    id: `dec_${index}`,
    at: new Date(START_MS + index * 250).toISOString(),
    event: index % 3 === 0 ? 'call.attempt' : 'token.continue',
    outcome: index % 5 === 0 ? 'refused' : 'granted',
    by: `agent:agent-${index % 7}`,
    by_class: 'agent',
    agent: { id: `agent-${index % 7}` },
    on_behalf_of: `user:corp:user-${index % 11}`,
    session: `ses_${index % 40}`,
    question,
  }
}

/** @param tag other records than those of another tag. @param isOld its records have left the outboxes */
export async function growLog(store: Logged, count: number, tag = '', isOld = false): Promise<void> {
  for (let left = count; left > 0; ) {
    const text = await store.log.head()
    const head = parseHead(text)
    const tail = await LogTail.open(head, store.log)
    const contents = new Map<string, string>()
    const batch = Array.from({ length: Math.min(left, tail.room) }, (_, n): Incoming => {
      const index = head.size + n
      const question = `{"question":"${tag}${index % 50}"}`
      const digest = createHash('sha256').update(question).digest('base64url')
      contents.set(digest, question)
      const record = { ...recordAt(index, digest), ...(tag === '' ? {} : { correlation: tag }) }
      return { outbox: 'shard-0', position: String(index).padStart(12, '0'), text: JSON.stringify(record), record }
    })
    const written = {
      by: 'test',
      at: new Date(START_MS).toISOString(),
      cursors: head.cursors,
      floor: isOld ? head.size : 0,
    }
    const prepared = await tail.prepare(batch, contents, written)
    if (!(await store.log.append(text, formatHead(prepared.head), prepared.pieces))) throw new Error('the head moved')
    left -= batch.length
  }
}

/** Signs what is there, and publishes it. @returns the note */
export async function publishCheckpoint(
  store: Logged,
  signer: Signing,
  cosigned: readonly string[] = [],
): Promise<string> {
  const { size, root } = parseHead(await store.log.head())
  const text = formatCheckpoint({ origin: signer.key.name, size, root })
  const note = formatNote({ text, lines: [await signer.sign(text), ...cosigned] })
  await setDocument(store, CHECKPOINT_DOCUMENT, note)
  return note
}

export async function publishCosigned(store: Logged, note: string): Promise<void> {
  await setDocument(store, COSIGNED_DOCUMENT, note)
}

async function setDocument({ documents }: Logged, name: string, text: string): Promise<void> {
  if (!(await documents.replace(name, await documents.read(name), text))) throw new Error('the document moved')
}
