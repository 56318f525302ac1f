/**
 * The columns of one chunk against its records: a row more would find a record for what it does not say, a row less would hide
 * one from every question.
 *
 * Columns are not under the tree: they are made anew from the records, which are.
 */
import type { AuditRecord } from '../../../model/audit-record.ts'
import { ADDED_LATER, columnRows, columnsOf, DIMENSIONS, ROW_BYTES } from '../columns.ts'
import { CHUNK_RECORDS, TIME_BYTES } from '../layout.ts'
import { timeBytes, timeOf } from '../record-time.ts'
import { AT } from './chunk-pieces.ts'
import { LogFault } from './log-source.ts'

export class ColumnCheck {
  readonly #columns: ReadonlyMap<string, Buffer>
  readonly #addedLater: ReadonlySet<string>
  /** How far each column was read. */
  readonly #ends = new Map<string, number>()

  constructor(columns: ReadonlyMap<string, Buffer>, addedLater: ReadonlySet<string> = ADDED_LATER) {
    this.#columns = columns
    this.#addedLater = addedLater
  }

  /** The next record of the chunk. @throws LogFault */
  take(index: number, record: AuditRecord | undefined): void {
    this.#expect(AT, timeBytes(timeOf(record)), index)
    const values = record === undefined ? new Map() : columnsOf(record)
    for (const dimension of DIMENSIONS) {
      const rows = columnRows(values.get(dimension) ?? [], index % CHUNK_RECORDS)
      this.#expect(dimension, rows, index)
    }
  }

  /** Rows of a record that is pruned: they are compared with nothing, and nobody finds more by them than that it is gone. */
  pass(index: number): void {
    this.#ends.set(AT, (this.#ends.get(AT) ?? 0) + TIME_BYTES)
    for (const dimension of DIMENSIONS) {
      let end = this.#ends.get(dimension) ?? 0
      while (this.#hasRow(dimension, end, index)) end += ROW_BYTES
      this.#ends.set(dimension, end)
    }
  }

  /** Behind the last record of a log that did not grow meanwhile. @throws LogFault */
  end(index: number): void {
    for (const [dimension, rows] of this.#columns) {
      if (rows.length > (this.#ends.get(dimension) ?? 0)) {
        throw new LogFault(index, `the column of ${dimension} has rows of records that the log has not`)
      }
    }
  }

  #expect(dimension: string, rows: Buffer, index: number): void {
    const from = this.#ends.get(dimension) ?? 0
    if (this.#addedLater.has(dimension) && !this.#hasRow(dimension, from, index)) return
    const end = from + rows.length
    this.#ends.set(dimension, end)
    if (this.#columns.get(dimension)?.subarray(from, end).equals(rows) !== true) {
      throw new LogFault(
        index,
        `the column of ${dimension} is not as its record says: searches pass it by, or find it wrongly`,
      )
    }
  }

  /** Whether the next row is of this record. */
  #hasRow(dimension: string, from: number, index: number): boolean {
    const rows = this.#columns.get(dimension) ?? Buffer.alloc(0)
    return from + ROW_BYTES <= rows.length && rows.readUInt16BE(from + ROW_BYTES - 2) === index % CHUNK_RECORDS
  }
}
