/**
 * By what records are found: of each record a few (dimension, value) pairs, and the same ones whoever asks: the columns of the
 * log are written from them, and what a query has found is checked with them on the record itself.
 */
import { hash } from 'node:crypto'
import type { AuditRecord } from '../../model/audit-record.ts'
import { GrowingRows } from './growing-rows.ts'

export const DIMENSIONS = [
  'id',
  'agent',
  'user',
  'session',
  'txn',
  'jti',
  'tool',
  'resource',
  'service',
  'outcome',
  'reason',
  'event',
  'class',
  'origin',
  'by',
  'object',
  /** `decision`: the policy was asked; `shadow_differs`: a draft of it would have answered otherwise. */
  'trait',
] as const

export type Dimension = (typeof DIMENSIONS)[number]

/**
 * Those that are younger than logs there are: that a record has no row in one is no fault, that it has a wrong one is. What a
 * dimension has of a record is for ever; other values of it are another dimension.
 */
export const ADDED_LATER: ReadonlySet<string> = new Set<Dimension>()

/** All values a record is found by. A record without an agent has no row in that column. */
export type ColumnValues = ReadonlyMap<Dimension, readonly string[]>

type Values = string | undefined | readonly (string | undefined)[]

const VALUES: Readonly<Record<Dimension, (record: AuditRecord) => Values>> = {
  id: ({ id }) => id,
  agent: ({ agent, by }) => [agent?.id, named('agent:', by)],
  // By their e-mail address, too: whoever asks about a person may know no more of them.
  user: ({ on_behalf_of: subject, by, user }) => [whole('user:', subject), whole('user:', by), user?.id, user?.email],
  session: ({ session }) => session,
  txn: ({ txn }) => txn,
  jti: ({ jti }) => jti,
  tool: ({ tool }) => tool,
  // By its URL, its id and its name of then.
  resource: ({ resource, authorization_server: issuer, server }) => [resource, issuer, server?.id, server?.name],
  service: ({ service, by }) => [service, named('service:', by)],
  // Of a call: how it ended, too.
  outcome: ({ outcome, call }) => [outcome, call?.ended],
  // Of refusals that are counted: each that was.
  reason: ({ reason, strangers = [] }) => [reason, ...strangers.map(([one]) => one)],
  event: ({ event }) => event,
  class: ({ by_class }) => by_class,
  origin: ({ origin }) => origin,
  by: ({ by }) => by,
  object: ({ change }) => change?.object,
  trait: ({ question, shadow }) => [question && 'decision', shadow && 'shadow_differs'],
}

export function columnsOf(record: AuditRecord): ColumnValues {
  const columns = new Map<Dimension, readonly string[]>()
  for (const dimension of DIMENSIONS) {
    const values = valuesOf(record, dimension)
    if (values.length > 0) columns.set(dimension, values)
  }
  return columns
}

/** Each once. */
function valuesOf(record: AuditRecord, dimension: Dimension): readonly string[] {
  const values = VALUES[dimension](record)
  if (typeof values === 'string') return [values]
  return values === undefined ? [] : eachOnce(values)
}

function eachOnce(values: readonly (string | undefined)[]): readonly string[] {
  return values.filter((value, n) => value !== undefined && values.indexOf(value) === n) as string[]
}

function whole(prefix: string, principal: string | undefined): string | undefined {
  return principal?.startsWith(prefix) === true ? principal : undefined
}

function named(prefix: string, principal: string | undefined): string | undefined {
  return whole(prefix, principal)?.slice(prefix.length)
}

/** Of a few records each: to remember them would push out the others. */
const SELDOM: ReadonlySet<Dimension> = new Set(['id', 'session', 'txn', 'jti'])
/** Most other values come again and again: agents, servers, reasons. Long ones are not kept, and of those that are only so many. */
const KNOWN = new Map<string, number>()
const KNOWN_MAX = 8_192
const KNOWN_LENGTH_MAX = 256

/** One row of a column: u32 fingerprint of the value, u16 place of its record in the chunk, both big-endian. */
export const ROW_BYTES = 6

/** Of 32 bits: of a million values some share one, so what it finds is looked at. */
export function fingerprint(value: string): number {
  const known = KNOWN.get(value)
  if (known !== undefined) return known
  const found = made(value)
  if (value.length > KNOWN_LENGTH_MAX) return found
  if (KNOWN.size >= KNOWN_MAX) KNOWN.clear()
  KNOWN.set(value, found)
  return found
}

/** The first four bytes of its SHA-256, big-endian. One character to a byte: the cheapest that Node gives of a short hash. */
function made(value: string): number {
  const bytes = hash('sha256', value, 'binary')
  let number = 0
  for (let n = 0; n < 4; n++) number = number * 256 + bytes.charCodeAt(n)
  return number
}

/** The rows that one record adds to a column, one for each of its values. @param offset of the record, in its chunk */
export function columnRows(values: readonly string[], offset: number): Buffer {
  const rows = Buffer.allocUnsafe(values.length * ROW_BYTES)
  for (const [n, value] of values.entries()) writeRow(rows, n * ROW_BYTES, fingerprint(value), offset)
  return rows
}

/** The rows that records of one chunk add to all columns: side by side, so that many of them leave little behind. */
export class GrowingColumns {
  readonly #columns = DIMENSIONS.map((dimension) => ({ dimension, rows: new GrowingRows() }))

  /** @param offset of the record, in its chunk */
  add(record: AuditRecord, offset: number): void {
    for (const { dimension, rows } of this.#columns) {
      const values = VALUES[dimension](record)
      // Most are one, and need no array.
      if (typeof values === 'string') rows.add(columnRow(fingerprintIn(dimension, values), offset))
      else if (values !== undefined)
        for (const value of eachOnce(values)) rows.add(columnRow(fingerprintIn(dimension, value), offset))
    }
  }

  /** Of each column that has grown, by how much: as long as nothing else is added. */
  *grown(): Iterable<readonly [Dimension, Buffer]> {
    for (const { dimension, rows } of this.#columns) if (rows.count > 0) yield [dimension, rows.all]
  }

  clear(): void {
    for (const { rows } of this.#columns) rows.clear()
  }
}

const ROW = Buffer.alloc(ROW_BYTES)

/** The same bytes with each call: to be copied before the next. */
function columnRow(hashed: number, offset: number): Uint8Array {
  writeRow(ROW, 0, hashed, offset)
  return ROW
}

function writeRow(bytes: Buffer, at: number, hashed: number, offset: number): void {
  bytes.writeUInt16BE(offset, bytes.writeUInt32BE(hashed, at))
}

function fingerprintIn(dimension: Dimension, value: string): number {
  return SELDOM.has(dimension) ? made(value) : fingerprint(value)
}

/** Offsets of the rows of any of these fingerprints, each once, ascending. Half a row at the end is passed over. */
export function offsetsIn(rows: Buffer, fingerprints: ReadonlySet<number>): readonly number[] {
  const [only] = fingerprints
  const offsets: number[] = []
  const end = rows.length - (rows.length % ROW_BYTES)
  for (let at = 0; at < end; at += ROW_BYTES) {
    const found = rows.readUInt32BE(at)
    if (found !== only && (fingerprints.size === 1 || !fingerprints.has(found))) continue
    const offset = rows.readUInt16BE(at + 4)
    if (offsets.at(-1) !== offset) offsets.push(offset)
  }
  return offsets
}
