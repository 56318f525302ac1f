/** What a broker has read of what was signed it does not forget, whatever the store says later: also one that only follows. */
import { afterEach, expect, test } from 'vitest'
import { Checkpoints } from '../../../../src/audit/log/checkpoints.ts'
import { parseHead } from '../../../../src/audit/log/head.ts'
import { CHECKPOINT_DOCUMENT } from '../../../../src/audit/log/log-documents.ts'
import { MemoryDocuments } from '../../../support/export-log.ts'
import { growLog } from '../../../support/grown-log.ts'
import { testSigner } from '../../../support/whole-log.ts'
import { HandClock, type TestStore, testStore } from '../../sessions/fixtures.ts'

const signer = testSigner()
const logKey = { signer: async () => signer }
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
