/** What a broker has read of what was signed it does not forget, whatever the store says later: also one that only follows. */
import { afterEach, expect, test } from 'vitest'
import { Checkpoints } from '../../../../src/audit/log/checkpoints.ts'
import { parseHead } from '../../../../src/audit/log/head.ts'
import { CHECKPOINT_DOCUMENT, LOG_KEYS_DOCUMENT } from '../../../../src/audit/log/log-documents.ts'
import { formatCheckpoint } from '../../../../src/tlog/checkpoint.ts'
import { formatNote } from '../../../../src/tlog/note.ts'
import { MemoryDocuments } from '../../../support/export-log.ts'
import { growLog } from '../../../support/grown-log.ts'
import { testSigner } from '../../../support/whole-log.ts'
import { HandClock, type TestStore, testStore } from '../../sessions/fixtures.ts'

const signer = testSigner()
const logKey = { signer: async (origin?: string) => testSigner(signer.pem, origin) }
const held: TestStore[] = []
afterEach(async () => {
  for (const store of held.splice(0)) await store.close()
})

async function logOf(size: number, tag: string) {
  const store = await testStore(new HandClock())
  held.push(store)
  await growLog(store.store, size, tag)
  return { log: store.store.log, head: parseHead(await store.store.log.head()) }
}

const broker = (documents: MemoryDocuments, { log }: Awaited<ReturnType<typeof logOf>>) =>
  new Checkpoints({ documents, log, logKey })

test.each([
  'set back',
  'lost',
])('a store whose checkpoint is %s is given the newest again by one that only reads', async (how) => {
  const documents = new MemoryDocuments()
  const [early, late] = [await logOf(10, ''), await logOf(30, '')]
  await broker(documents, early).publish(early.head)
  const first = documents.texts.get(CHECKPOINT_DOCUMENT) ?? ''
  await broker(documents, late).publish(late.head)
  const newest = documents.texts.get(CHECKPOINT_DOCUMENT)
  const follower = broker(documents, early)
  await follower.look()
  if (how === 'lost') documents.texts.delete(CHECKPOINT_DOCUMENT)
  else documents.texts.set(CHECKPOINT_DOCUMENT, first)
  await follower.look()
  expect(documents.texts.get(CHECKPOINT_DOCUMENT)).toBe(newest)
  const said = 'the audit log has 10 records, and 30 were signed'
  await expect(follower.check(early.head)).rejects.toThrow(said)
})

test('a larger one of another history does not make it forget the one of its own', async () => {
  const documents = new MemoryDocuments()
  const [own, other] = [await logOf(10, 'own'), await logOf(30, 'other')]
  let current = own
  const log = { read: (names: readonly string[]) => current.log.read(names) }
  const one = new Checkpoints({ documents, log, logKey })
  await one.check(own.head)
  await one.publish(own.head)
  current = other
  documents.texts.clear()
  await new Checkpoints({ documents, log, logKey }).publish(other.head)
  await one.look()
  await expect(one.check(other.head)).rejects.toThrow(
    'the first 10 records of the audit log are not those that were signed',
  )
})

test('a forgery under a key that was only announced has no say once it is taken away again', async () => {
  const documents = new MemoryDocuments()
  const own = await logOf(10, '')
  await broker(documents, own).publish(own.head)
  const good = documents.texts.get(CHECKPOINT_DOCUMENT) ?? ''
  const follower = broker(documents, own)
  await follower.look()
  const forger = testSigner()
  const forged = { ...own.head, size: Number.MAX_SAFE_INTEGER }
  documents.texts.set(LOG_KEYS_DOCUMENT, JSON.stringify({ v: 1, vkeys: [forger.key.vkey] }))
  const text = formatCheckpoint({ origin: forger.key.name, size: forged.size, root: forged.root })
  documents.texts.set(CHECKPOINT_DOCUMENT, formatNote({ text, lines: [await forger.sign(text)] }))
  await follower.look()
  expect(follower.publishedSize).toBe(Number.MAX_SAFE_INTEGER)
  await expect(follower.check(own.head)).rejects.toThrow('were signed')
  documents.texts.delete(LOG_KEYS_DOCUMENT)
  documents.texts.set(CHECKPOINT_DOCUMENT, good)
  await follower.check(own.head)
  expect(documents.texts.get(CHECKPOINT_DOCUMENT)).toBe(good)
})

test('who was reading when the log was continued does not bring back what was signed under its old name', async () => {
  const documents = new MemoryDocuments()
  const [early, late] = [await logOf(10, ''), await logOf(30, '')]
  await broker(documents, late).publish(late.head)
  // It has been told which key the log has, and has not gone on yet.
  let open = () => {}
  let gate: Promise<void> | undefined
  const signer = async (origin?: string) => {
    const found = await logKey.signer(origin)
    const held = gate
    gate = undefined
    await held
    return found
  }
  const one = new Checkpoints({ documents, log: early.log, logKey: { signer } })
  gate = new Promise((resolve) => {
    open = resolve
  })
  const held = one.look()
  await expect.poll(() => gate).toBeUndefined()
  const other = broker(documents, early)
  await other.look()
  const said = { reason: 'a disk', record: 'dec_1', at: new Date(0).toISOString() }
  const root = early.head.root.toString('base64')
  const { note } = await other.continuations.draft({ ...said, from: 10, root, signed: 30 })
  expect(await other.continuations.add(note)).toBe(true)
  await one.check(early.head)
  open()
  await held
  await one.check(early.head)
  await one.publish(early.head)
  expect(documents.texts.get(CHECKPOINT_DOCUMENT)).toMatch(/^errand\.example\/audit\/2\n10\n/)
})
