/**
 * Which records of the log could be what is asked for: found in its columns, newest first, without reading a record. What is
 * asked for by fewest records is looked up first, and only where it is there, the next.
 */
import { setImmediate as turn } from 'node:timers/promises'
import type { LogStore } from '../../store/ports.ts'
import { DIMENSIONS, type Dimension, fingerprint, offsetsIn } from '../log/columns.ts'
import { CHUNK_RECORDS, chunkOf, columnPiece, SPAN_PIECE, TIME_BYTES } from '../log/layout.ts'
import type { TrailFilter } from './audit-trail.ts'

/** Those that tell most records apart, first. */
const MOST_TELLING: readonly Dimension[] = ['id', 'jti', 'session', 'txn', 'object', 'user', 'agent', 'tool', 'reason']
const IN_ORDER = [...MOST_TELLING, ...DIMENSIONS.filter((dimension) => !MOST_TELLING.includes(dimension))]
/** Earliest and latest of a chunk. */
const SPAN_BYTES = 2 * TIME_BYTES
/** Chunks that are looked at at once: few at first, for most of what is asked is near the end. */
const CHUNKS_FIRST = 2
const CHUNKS_AT_ONCE_MAX = 32

/** Of some chunks, all that was looked at. */
export interface Looked {
  /** Descending. */
  readonly indexes: readonly number[]
  /** Everything from this index on has been looked at. */
  readonly from: number
}

/** Ascending offsets of a chunk's records; `undefined`: all of them. */
type Offsets = readonly number[] | undefined
type Left = ReadonlyMap<number, Offsets>

export class ColumnSearch {
  readonly #log: Pick<LogStore, 'read'>
  readonly #wanted: readonly (readonly [Dimension, ReadonlySet<number>])[]
  readonly #filter: TrailFilter

  constructor(log: Pick<LogStore, 'read'>, filter: TrailFilter) {
    this.#log = log
    this.#filter = filter
    this.#wanted = IN_ORDER.flatMap((dimension) => {
      const values = filter[dimension]
      return values === undefined ? [] : [[dimension, fingerprintsOf(values)] as const]
    })
  }

  /** Newest first, from below an index down to the first chunk asked for. */
  async *below(before: number, firstChunk: number): AsyncGenerator<Looked> {
    const spans = await this.#spans()
    let width = CHUNKS_FIRST
    for (let next = chunkOf(before - 1); before > 0 && next >= firstChunk; ) {
      const last = Math.max(firstChunk, next - width + 1)
      const chunks = Array.from({ length: next - last + 1 }, (_, n) => next - n)
      const found = await this.#lookAt(chunks, spans)
      const indexes = [...found].flatMap(([chunk, offsets]) => descending(chunk, offsets, before))
      yield { indexes, from: last * CHUNK_RECORDS }
      next = last - 1
      width = Math.min(2 * width, CHUNKS_AT_ONCE_MAX)
      // The embedded store answers at once: other requests come in between.
      await turn()
    }
  }

  /** Of the chunks before this one: how many records could be of the time asked for. */
  async inTime(firstChunk: number): Promise<number> {
    if (firstChunk === 0) return 0
    const spans = await this.#spans()
    const chunks = Array.from({ length: firstChunk }, (_, chunk) => chunk)
    return chunks.filter((chunk) => spans.overlap(chunk)).length * CHUNK_RECORDS
  }

  async #lookAt(chunks: readonly number[], spans: Spans): Promise<Left> {
    let left: Left = new Map(chunks.flatMap((chunk) => (spans.overlap(chunk) ? [[chunk, undefined]] : [])))
    for (const [dimension, fingerprints] of this.#wanted) {
      left = await this.#narrowed(dimension, left, (rows) => offsetsIn(rows, fingerprints))
    }
    const timed = new Map([...left].filter(([chunk]) => !spans.isInside(chunk)))
    if (timed.size === 0) return left
    const inTime = await this.#narrowed('at', timed, (times) => this.#inTime(times))
    return new Map([...left].flatMap(([chunk, all]) => (timed.has(chunk) ? timedOf(chunk, inTime) : [[chunk, all]])))
  }

  /** Chunks where something is left, with what is. */
  async #narrowed(dimension: Dimension | 'at', left: Left, read: (piece: Buffer) => readonly number[]): Promise<Left> {
    if (left.size === 0) return left
    const chunks = [...left.keys()]
    const pieces = await this.#log.read(chunks.map((chunk) => columnPiece(dimension, chunk)))
    return new Map(
      chunks.flatMap((chunk, n) => {
        const piece = pieces[n]
        const found = piece === undefined ? [] : inBoth(left.get(chunk), read(piece))
        return found.length === 0 ? [] : [[chunk, found] as const]
      }),
    )
  }

  #inTime(times: Buffer): readonly number[] {
    const { sinceMs = 0, untilMs = Number.POSITIVE_INFINITY } = this.#filter
    const offsets: number[] = []
    for (let at = 0; at + TIME_BYTES <= times.length; at += TIME_BYTES) {
      const ms = times.readUIntBE(at, TIME_BYTES)
      if (ms >= sinceMs && ms < untilMs) offsets.push(at / TIME_BYTES)
    }
    return offsets
  }

  async #spans(): Promise<Spans> {
    const { sinceMs, untilMs } = this.#filter
    if (sinceMs === undefined && untilMs === undefined) return new Spans(undefined, 0, Number.POSITIVE_INFINITY)
    const [piece] = await this.#log.read([SPAN_PIECE])
    return new Spans(piece ?? Buffer.alloc(0), sinceMs ?? 0, untilMs ?? Number.POSITIVE_INFINITY)
  }
}

/** Which chunks have records of the time asked for. */
export class Spans {
  readonly #piece: Buffer | undefined
  readonly #sinceMs: number
  readonly #untilMs: number

  /** @param piece `undefined`: no time is asked for */
  constructor(piece: Buffer | undefined, sinceMs: number, untilMs: number) {
    this.#piece = piece
    this.#sinceMs = sinceMs
    this.#untilMs = untilMs
  }

  /** Whether it may have some: a chunk that is not full has no span yet. */
  overlap(chunk: number): boolean {
    const span = this.#of(chunk)
    return span === undefined || (span.latest >= this.#sinceMs && span.earliest < this.#untilMs)
  }

  /** Whether all that it has are. */
  isInside(chunk: number): boolean {
    if (this.#piece === undefined) return true
    const span = this.#of(chunk)
    return span !== undefined && span.earliest >= this.#sinceMs && span.latest < this.#untilMs
  }

  #of(chunk: number) {
    const at = chunk * SPAN_BYTES
    if (this.#piece === undefined || at + SPAN_BYTES > this.#piece.length) return undefined
    return {
      earliest: this.#piece.readUIntBE(at, TIME_BYTES),
      latest: this.#piece.readUIntBE(at + TIME_BYTES, TIME_BYTES),
    }
  }
}

function fingerprintsOf(values: string | readonly string[]): ReadonlySet<number> {
  return new Set((typeof values === 'string' ? [values] : values).map(fingerprint))
}

function timedOf(chunk: number, inTime: Left): readonly (readonly [number, Offsets])[] {
  return inTime.has(chunk) ? [[chunk, inTime.get(chunk)]] : []
}

/** Indexes below a bound. */
function descending(chunk: number, offsets: Offsets, before: number): readonly number[] {
  const first = chunk * CHUNK_RECORDS
  const end = Math.min(CHUNK_RECORDS, before - first)
  if (offsets === undefined) return Array.from({ length: end }, (_, n) => first + end - 1 - n)
  return offsets.flatMap((offset) => (offset < end ? [first + offset] : [])).reverse()
}

/** Both ascend. */
function inBoth(a: Offsets, b: readonly number[]): readonly number[] {
  if (a === undefined) return b
  const both: number[] = []
  for (let n = 0, m = 0; n < a.length && m < b.length; ) {
    const [x = 0, y = 0] = [a[n], b[m]]
    if (x === y) both.push(x)
    if (x <= y) n++
    if (y <= x) m++
  }
  return both
}
