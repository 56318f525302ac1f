/**
 * The end of the log, as far as whoever appends must know it: the tree's right edge, and the bundle that is being filled. Makes
 * of records the pieces and the head of one append, and writes nothing itself.
 *
 * It runs ahead of the store: where an append did not happen, or nobody knows, it is dropped and opened anew.
 */
import { getOrInsertComputed } from '../../kernel/maps.ts'
import { inTurns, type Sliced } from '../../kernel/slices.ts'
import type { AuditRecord } from '../../model/audit-record.ts'
import type { LogPiece, LogStore } from '../../store/ports.ts'
import { Frontier } from '../../tlog/frontier.ts'
import { HASH_BYTES, leafHash } from '../../tlog/hashes.ts'
import { ENTRY_BYTES, newSalts, saltedEntry } from '../../tlog/salted-entry.ts'
import { formatEntries, parseEntries, TILE_HEIGHT } from '../../tlog/tiles.ts'
import { addRecordRow, compressedFrame, contentRow, decodeContents, decodeRecords, plainFrame } from './bodies.ts'
import { GrowingColumns } from './columns.ts'
import { DamagedLog } from './damaged-log.ts'
import { GrowingRows } from './growing-rows.ts'
import type { LogHead } from './head.ts'
import {
  BUNDLE_RECORDS,
  bundleOf,
  CHUNK_RECORDS,
  chunkOf,
  columnPiece,
  contentsPiece,
  recordsPiece,
  SPAN_PIECE,
  TIME_BYTES,
  tilePiece,
} from './layout.ts'
import { TIME_MS_MAX, timeBytes, timeOf } from './record-time.ts'

/** A record on its way into the log. */
export interface Incoming {
  readonly outbox: string
  readonly position: string
  readonly text: string
  /** `undefined`: the text is no record that anybody could find. */
  readonly record: AuditRecord | undefined
}

/** One append, and the head behind it. */
export interface Prepared {
  readonly head: LogHead
  readonly pieces: readonly LogPiece[]
}

/** What a batch adds to pieces that only grow. All of it is in one bundle, and so in one chunk. */
interface Growing {
  readonly add: (name: string, bytes: Buffer) => void
  readonly times: Buffer
}

/** Of a bundle's texts: one with more stays in the frames it was written in, so that closing it holds nobody up. */
const COMPACTED_BYTES_MAX = 1024 * 1024

export class LogTail {
  readonly #frontier: Frontier
  #head: LogHead
  /** Of the bundle being filled. */
  readonly #rows = new GrowingRows()
  /** Of the batch. */
  readonly #columns = new GrowingColumns()
  readonly #kept = new Set<string>()
  readonly #keptRows = new GrowingRows()
  #keptBytes = 0
  /** Times in the chunk being filled. */
  #earliestMs = TIME_MS_MAX
  #latestMs = 0

  private constructor(head: LogHead) {
    this.#head = head
    this.#frontier = Frontier.of(head.size, head.frontier)
  }

  /** @throws DamagedLog where the pieces at its end are not those of this head */
  static async open(head: LogHead, log: Pick<LogStore, 'read'>): Promise<LogTail> {
    const tail = new LogTail(head)
    const bundle = bundleOf(head.size)
    const [records, contents, hashes, entries, times] = await log.read([
      recordsPiece(bundle),
      contentsPiece(bundle),
      tilePiece(0, bundle),
      tilePiece('entries', bundle),
      columnPiece('at', chunkOf(head.size)),
    ])
    tail.#checkTiles(hashes, entries)
    tail.#takeRecords(records)
    tail.#takeContents(contents)
    tail.#takeTimes(times)
    return tail
  }

  get head(): LogHead {
    return this.#head
  }

  /** How many records the next append can have: it ends with its bundle. */
  get room(): number {
    return BUNDLE_RECORDS - (this.#head.size % BUNDLE_RECORDS)
  }

  /** Whether the bundle being filled has this text already. */
  has(digest: string): boolean {
    return this.#kept.has(digest)
  }

  /**
   * @param batch `room` records at most; none: nothing but the head changes
   * @param contents texts that they name, by digest
   * @param from where the outboxes were read on from
   */
  async prepare(
    batch: readonly Incoming[],
    contents: ReadonlyMap<string, string>,
    { cursors: from, ...written }: Pick<LogHead, 'by' | 'at' | 'floor' | 'cursors'>,
  ): Promise<Prepared> {
    const first = this.#head.size
    const begun = this.#rows.length
    const grown = await inTurns(this.#grow(batch))
    const kept = this.#keep(contents)
    const cursors = new Map(from)
    for (const { outbox, position } of batch) cursors.set(outbox, position)
    const { size, hashes: frontier } = this.#frontier
    this.#head = { size, root: this.#frontier.root(), frontier, cursors, turn: this.#head.turn + 1, ...written }
    const bodies = batch.length === 0 ? [] : await this.#bodies(bundleOf(first), begun, kept)
    return { head: this.#head, pieces: [...grown, ...bodies] }
  }

  /** Everything that only grows: tiles, entries, columns. */
  *#grow(batch: readonly Incoming[]): Sliced<readonly LogPiece[]> {
    const first = this.#head.size
    const salts = newSalts(batch.length)
    const entries: Buffer[] = []
    const parts = new Map<string, Buffer[]>()
    const add = (name: string, bytes: Buffer) => getOrInsertComputed(parts, name, () => []).push(bytes)
    const growing = { add, times: Buffer.alloc(batch.length * TIME_BYTES) }
    this.#columns.clear()
    for (const [n, { outbox, position, text, record }] of batch.entries()) {
      const salt = salts[n] as Buffer
      const entry = saltedEntry(salt, addRecordRow(this.#rows, { salt, outbox, position, text }))
      entries.push(entry)
      this.#frontier.add(leafHash(entry), (height, index, hash) => {
        if (height % TILE_HEIGHT === 0) add(tilePiece(height / TILE_HEIGHT, bundleOf(index)), hash)
      })
      this.#addColumns(first, n, record, growing)
      yield
    }
    if (entries.length > 0) {
      add(tilePiece('entries', bundleOf(first)), formatEntries(entries))
      add(columnPiece('at', chunkOf(first)), growing.times)
    }
    for (const [dimension, rows] of this.#columns.grown()) add(columnPiece(dimension, chunkOf(first)), rows)
    return Array.from(parts, ([name, bytes]): LogPiece => ({ name, add: Buffer.concat(bytes) }))
  }

  /** @param n of the batch that begins at `first` */
  #addColumns(first: number, n: number, record: AuditRecord | undefined, { add, times }: Growing): void {
    const offset = (first + n) % CHUNK_RECORDS
    const atMs = timeOf(record)
    this.#seeTime(atMs)
    times.writeUIntBE(atMs, n * TIME_BYTES, TIME_BYTES)
    if (offset === CHUNK_RECORDS - 1) {
      add(SPAN_PIECE, Buffer.concat([timeBytes(this.#earliestMs), timeBytes(this.#latestMs)]))
      this.#earliestMs = TIME_MS_MAX
      this.#latestMs = 0
    }
    if (record !== undefined) this.#columns.add(record, offset)
  }

  #seeTime(atMs: number): void {
    this.#earliestMs = Math.min(this.#earliestMs, atMs)
    this.#latestMs = Math.max(this.#latestMs, atMs)
  }

  /** Rows of the texts that the bundle does not have yet. */
  #keep(contents: ReadonlyMap<string, string>): readonly Buffer[] {
    const rows: Buffer[] = []
    for (const [digest, text] of contents) {
      if (this.#kept.has(digest)) continue
      this.#kept.add(digest)
      const row = contentRow(digest, text)
      rows.push(row)
      this.#keptBytes += row.length
    }
    if (this.#keptBytes > COMPACTED_BYTES_MAX) this.#keptRows.clear()
    else for (const row of rows) this.#keptRows.add(row)
    return rows
  }

  /** The bundle's records and texts: grown by a frame, or, where it is full, written anew. @param begun where the new rows begin */
  async #bodies(bundle: number, begun: number, kept: readonly Buffer[]): Promise<readonly LogPiece[]> {
    const [records, contents] = [recordsPiece(bundle), contentsPiece(bundle)]
    // Compressed once, when the bundle is closed; where it will not be, at once.
    const added = this.#keptBytes > COMPACTED_BYTES_MAX ? await compressedFrame(kept) : plainFrame(kept)
    const grown: LogPiece[] = kept.length === 0 ? [] : [{ name: contents, add: added }]
    if (this.#rows.count < BUNDLE_RECORDS)
      return [{ name: records, add: plainFrame([this.#rows.from(begun)]) }, ...grown]
    const whole = await compressedFrame([this.#rows.all])
    const all =
      this.#keptRows.count === 0 ? grown : [{ name: contents, put: await compressedFrame([this.#keptRows.all]) }]
    this.#rows.clear()
    this.#kept.clear()
    this.#keptRows.clear()
    this.#keptBytes = 0
    return [{ name: records, put: whole }, ...all]
  }

  /** The tile's hashes are those of the entries, and fold to the right edge. */
  #checkTiles(hashes: Buffer = Buffer.alloc(0), entries: Buffer = Buffer.alloc(0)): void {
    const { size, frontier } = this.#head
    const count = size % BUNDLE_RECORDS
    const found = parseEntries(entries)
    const edge = Frontier.empty()
    for (const entry of found.entries) edge.add(leafHash(entry))
    const isWhole = found.whole && found.entries.length === count && hashes.length === count * HASH_BYTES
    const isSame = edge.hashes.every((hash, n) => frontier.at(n - edge.hashes.length)?.equals(hash))
    const leaves = found.entries.every((entry, n) => leafHash(entry).equals(hashAt(hashes, n)))
    if (!isWhole || !isSame || !leaves || found.entries.some(({ length }) => length !== ENTRY_BYTES)) {
      throw new DamagedLog('the tiles at the end of the audit log are not those of its head')
    }
  }

  #takeRecords(piece: Buffer | undefined): void {
    const records = piece === undefined ? [] : decodeRecords(piece)
    if (records.length !== this.#head.size % BUNDLE_RECORDS) {
      throw new DamagedLog('the last records of the audit log are not as many as its head says')
    }
    for (const record of records) addRecordRow(this.#rows, record)
  }

  #takeContents(piece: Buffer | undefined): void {
    if (piece !== undefined) this.#keep(decodeContents(piece))
  }

  #takeTimes(times: Buffer = Buffer.alloc(0)): void {
    if (times.length !== (this.#head.size % CHUNK_RECORDS) * TIME_BYTES) {
      throw new DamagedLog('the times at the end of the audit log are not as many as its records')
    }
    for (let at = 0; at < times.length; at += TIME_BYTES) this.#seeTime(times.readUIntBE(at, TIME_BYTES))
  }
}

function hashAt(hashes: Buffer, n: number): Buffer {
  return hashes.subarray(n * HASH_BYTES, (n + 1) * HASH_BYTES)
}
