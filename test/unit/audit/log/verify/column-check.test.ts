/** Columns against records: of a dimension that is younger than the log, a row that is missing is none that was taken out. */
import { expect, test } from 'vitest'
import { columnRows, columnsOf, DIMENSIONS } from '../../../../../src/audit/log/columns.ts'
import { timeBytes, timeOf } from '../../../../../src/audit/log/record-time.ts'
import { AT } from '../../../../../src/audit/log/verify/chunk-pieces.ts'
import { ColumnCheck } from '../../../../../src/audit/log/verify/column-check.ts'
import type { AuditRecord } from '../../../../../src/model/audit-record.ts'

const records = Array.from({ length: 4 }, (_, n): AuditRecord => {
  const by = { by: 'agent:analyst', by_class: 'agent' } as const
  return {
    id: `dec_${n}`,
    at: '2026-11-22T03:00:00.000Z',
    event: 'call.attempt',
    outcome: 'granted',
    ...by,
    tool: 'query',
  }
})

/** Of these records, as whoever did not know `tool` has written the first ones. @param tools columns of `tool` */
function columns(tools: Buffer): ReadonlyMap<string, Buffer> {
  const rows = (dimension: (typeof DIMENSIONS)[number]) =>
    Buffer.concat(records.map((record, n) => columnRows(columnsOf(record).get(dimension) ?? [], n)))
  return new Map([
    ...DIMENSIONS.map((dimension) => [dimension, rows(dimension)] as const),
    [AT, Buffer.concat(records.map((record) => timeBytes(timeOf(record))))],
    ['tool', tools],
  ])
}

function check(tools: Buffer, addedLater: readonly string[]): void {
  const checking = new ColumnCheck(columns(tools), new Set(addedLater))
  for (const [index, record] of records.entries()) checking.take(index, record)
  checking.end(records.length)
}

const rowsFrom = (first: number, tool = 'query') =>
  Buffer.concat(records.map((_, n) => (n < first ? Buffer.alloc(0) : columnRows([tool], n))))

test('a log that was begun without a dimension is as it was written, also where brokers of both kinds have written', () => {
  for (const rows of [rowsFrom(0), rowsFrom(2), rowsFrom(4), Buffer.concat([rowsFrom(3)])]) check(rows, ['tool'])
})

test('where the dimension was always there, a row that is missing is a fault', () => {
  expect(() => check(rowsFrom(0), [])).not.toThrow()
  expect(() => check(rowsFrom(2), [])).toThrow('the column of tool is not as its record says')
})

test('a row that is wrong, or of no record, is a fault all the same', () => {
  expect(() => check(rowsFrom(2, 'other'), ['tool'])).toThrow('the column of tool')
  expect(() => check(Buffer.concat([rowsFrom(2), columnRows(['query'], 9)]), ['tool'])).toThrow('has rows of records')
})
