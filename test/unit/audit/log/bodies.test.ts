import { randomBytes } from 'node:crypto'
import { deflateRawSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  addRecordRow,
  compressedFrame,
  decodeRecords,
  type LoggedRecord,
  plainFrame,
} from '../../../../src/audit/log/bodies.ts'
import { DamagedLog } from '../../../../src/audit/log/damaged-log.ts'
import { GrowingRows } from '../../../../src/audit/log/growing-rows.ts'
import { SALT_BYTES } from '../../../../src/tlog/salted-entry.ts'
import { recordRow } from '../../../support/record-row.ts'

const records = Array.from({ length: 256 }, (_, n): LoggedRecord => {
  const text = JSON.stringify({ id: `dec_${randomBytes(16).toString('base64url')}`, by: 'agent:é', n })
  return { salt: randomBytes(SALT_BYTES), outbox: 's1', position: `${n}`, text }
})
const rows = records.map(recordRow)

/** As brokers wrote it that had no other compression. */
function deflatedFrame(all: readonly Buffer[]): Buffer {
  const whole = Buffer.concat(all)
  const header = Buffer.alloc(5)
  header.writeUInt8(1)
  const deflated = deflateRawSync(whole)
  header.writeUInt32BE(deflated.length, 1)
  return Buffer.concat([header, deflated])
}

describe('the records of a bundle', () => {
  test('are the same bytes, written where they lie or apart, whatever is in them', () => {
    const text = fc.string({ unit: 'binary', maxLength: 300 })
    fc.assert(
      fc.property(fc.array(fc.record({ outbox: text, position: text, text })), (all) => {
        const lying = new GrowingRows()
        const apart = all.map((one) => {
          const record = { ...one, salt: randomBytes(SALT_BYTES) }
          expect(addRecordRow(lying, record).equals(Buffer.from(record.text))).toBe(true)
          return recordRow(record)
        })
        expect([lying.count, lying.all.equals(Buffer.concat(apart))]).toEqual([all.length, true])
      }),
    )
  })

  test('are read as they were written, plain and compressed, one frame behind the other', async () => {
    const piece = [plainFrame(rows.slice(0, 3)), await compressedFrame(rows.slice(3, 200)), plainFrame(rows.slice(200))]
    expect(decodeRecords(Buffer.concat(piece))).toEqual(records)
  })

  test('are read of a log that was begun with deflate', async () => {
    const piece = [deflatedFrame(rows.slice(0, 100)), await compressedFrame(rows.slice(100))]
    expect(decodeRecords(Buffer.concat(piece))).toEqual(records)
  })

  test('take less room compressed', async () => {
    expect((await compressedFrame(rows)).length).toBeLessThan(plainFrame(rows).length)
  })

  test('are damaged where a frame is cut short, bent, longer than a frame may be, or of no known kind', async () => {
    const whole = await compressedFrame(rows)
    const unknown = Buffer.from(whole)
    unknown.writeUInt8(3)
    const long = await compressedFrame([Buffer.alloc(17 * 1024 * 1024)])
    const hollow = Buffer.from(whole.subarray(0, whole.length - 9))
    hollow.writeUInt32BE(hollow.length - 5, 1)
    const bent = Buffer.from(whole)
    bent.writeUInt8(bent.readUInt8(bent.length >> 1) ^ 1, bent.length >> 1)
    for (const piece of [whole.subarray(0, 4), whole.subarray(0, whole.length - 1), unknown, long, hollow, bent]) {
      expect(() => decodeRecords(piece)).toThrow(DamagedLog)
    }
  })
})
