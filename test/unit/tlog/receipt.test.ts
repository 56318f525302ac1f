/** Receipts: a record is proven by its receipt and by no other's (R165; H74). */
import { expect, test } from 'vitest'
import { leafHash } from '../../../src/tlog/hashes.ts'
import { inclusionProof } from '../../../src/tlog/proofs.ts'
import { formatReceipt, openReceipt } from '../../../src/tlog/receipt.ts'
import { newSalts, saltedEntry } from '../../../src/tlog/salted-entry.ts'
import { WitnessedLog } from '../../support/witnessed-log.ts'

const log = new WitnessedLog('errand.example/audit')
const records = newSalts(300).map((salt, index) => ({ salt, record: `{"id":"dec_${index}"}` }))
for (const { salt, record } of records) log.tree.add(leafHash(saltedEntry(salt, record)))
const checkpoint = await log.checkpoint()

async function receiptOf(index: number) {
  const { salt, record } = records[index] as (typeof records)[number]
  return { index, salt, record, path: await inclusionProof(index, 300, log.tree), checkpoint }
}

test('each record’s receipt opens with the log’s key, offline', async () => {
  for (const index of [0, 1, 255, 256, 299]) {
    const opened = await openReceipt(formatReceipt(await receiptOf(index)), [log.key])
    expect(opened).toMatchObject({ index, record: `{"id":"dec_${index}"}`, checkpoint: { size: 300 } })
  }
})

test('swapped receipts prove nothing: another record, index, salt, path or log', async () => {
  const [one, two] = [await receiptOf(7), await receiptOf(8)]
  const refused = async (receipt: typeof one, why: string) =>
    expect(openReceipt(formatReceipt(receipt), [log.key]), why).rejects.toThrow('another record at index')
  await refused({ ...one, record: two.record }, 'record')
  await refused({ ...one, index: two.index }, 'index')
  await refused({ ...one, salt: two.salt }, 'salt')
  await refused({ ...one, path: two.path }, 'path')
  await refused({ ...one, record: one.record.replace('7', '9') }, 'a byte')
  const other = new WitnessedLog(log.key.name).grow(300)
  await expect(openReceipt(formatReceipt({ ...one, checkpoint: await other.checkpoint() }), [log.key])).rejects.toThrow(
    'no key that is trusted',
  )
  await expect(openReceipt(formatReceipt({ ...one, salt: Buffer.alloc(3) }), [log.key])).rejects.toThrow('no record')
  await expect(openReceipt(await log.checkpoint(), [log.key])).rejects.toThrow('begins with')
})
