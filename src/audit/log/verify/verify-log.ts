/**
 * Verifies the whole log: every record against its entry, every entry against the tree, the tree against every checkpoint that
 * is known, and the columns against the records.
 *
 * Guarantees: returns only if no byte of it differs from what the newest of the checkpoints stands for, and each older one is
 * of its beginning; what is wrong is told with the first index it is, or may be, wrong at. What whoever altered the log has made
 * consistent in itself is told from the last checkpoint that still fits on.
 * Does not guarantee: that the newest checkpoint is the newest there ever was. Who keeps one elsewhere, or has a witness, knows.
 */
import { Frontier } from '../../../tlog/frontier.ts'
import { HASH_BYTES } from '../../../tlog/hashes.ts'
import { DamagedLog } from '../damaged-log.ts'
import { type LogHead, parseHead } from '../head.ts'
import { BUNDLE_RECORDS, bundleOf, CHUNK_RECORDS, SPAN_PIECE, tilePiece } from '../layout.ts'
import { parsedRecord, TIME_MS_MAX, timeBytes, timeOf } from '../record-time.ts'
import { checkedEntries } from './bundle-check.ts'
import { type ChunkPieces, readChunk } from './chunk-pieces.ts'
import { ColumnCheck } from './column-check.ts'
import { type Anchor, LogFault, type LogSource, type VerifiedLog, type VerifyOptions } from './log-source.ts'
import { type DifferingTile, TileCheck } from './tile-check.ts'

/** @throws LogFault; StoreUnavailable, or whatever else keeps the source from being read */
export async function verifyLog(options: VerifyOptions): Promise<VerifiedLog> {
  const { source, progress } = options
  const text = await source.head()
  const head = readHead(text)
  const walk = new LogWalk(options, head)
  await walk.meetAnchors()
  let next = head.size > 0 ? readChunk(0, head.size, source) : undefined
  for (let chunk = 0; next !== undefined; chunk++) {
    const pieces = await next
    const isLast = (chunk + 1) * CHUNK_RECORDS >= head.size
    next = isLast ? undefined : readChunk(chunk + 1, head.size, source)
    // Told where it is awaited.
    next?.catch(() => undefined)
    const columns = await walk.chunk(chunk, pieces)
    progress?.(Math.min(head.size, (chunk + 1) * CHUNK_RECORDS), head.size)
    // Only of a log that stood still is nothing to be found behind its end.
    if (isLast) {
      walk.assertWhole()
      if ((await source.head()) === text) walk.assertEnd(pieces, columns)
    }
  }
  if (head.size % BUNDLE_RECORDS === 0) await assertNothingBehind(head.size, text, source)
  walk.assertWhole()
  walk.end()
  return { size: head.size, pruned: Math.min(head.size, options.prunedBefore) }
}

function readHead(text: string | undefined): LogHead {
  try {
    return parseHead(text)
  } catch (error) {
    if (error instanceof DamagedLog) throw new LogFault(0, `the head of the log is not one: ${error.message}`)
    throw error
  }
}

/** Where the log ends with a bundle, the next one shows that the head was put back. @throws LogFault */
async function assertNothingBehind(size: number, head: string | undefined, source: LogSource): Promise<void> {
  const [next] = await source.read([tilePiece(0, bundleOf(size))])
  if (next === undefined || (await source.head()) !== head) return
  throw new LogFault(size, `the tree goes on behind the ${size} records that the head of the log has`)
}

class LogWalk {
  readonly #options: VerifyOptions
  readonly #head: LogHead
  readonly #frontier = Frontier.empty()
  readonly #anchors: Anchor[]
  readonly #tiles: TileCheck
  #met: Pick<Anchor, 'size' | 'name'> = { size: 0, name: 'the beginning' }
  #differing: DifferingTile | undefined

  constructor(options: VerifyOptions, head: LogHead) {
    this.#options = options
    this.#head = head
    this.#anchors = [...options.anchors].sort((a, b) => a.size - b.size)
    this.#tiles = new TileCheck(options.source)
  }

  async chunk(chunk: number, pieces: ChunkPieces): Promise<ColumnCheck> {
    const columns = new ColumnCheck(pieces.columns)
    let [earliestMs, latestMs] = [TIME_MS_MAX, 0]
    let isWhole = true
    for (const [n, bundlePieces] of pieces.bundles.entries()) {
      const first = chunk * CHUNK_RECORDS + n * BUNDLE_RECORDS
      const count = Math.min(BUNDLE_RECORDS, this.#head.size - first)
      const place = { bundle: bundleOf(first), first, count, prunedBefore: this.#options.prunedBefore }
      for (const { index, leaf, text } of checkedEntries(bundlePieces, place)) {
        const record = text === undefined ? undefined : parsedRecord(text)
        if (text === undefined) {
          isWhole = false
          columns.pass(index)
        } else columns.take(index, record)
        const atMs = timeOf(record)
        ;[earliestMs, latestMs] = [Math.min(earliestMs, atMs), Math.max(latestMs, atMs)]
        this.#frontier.add(leaf, (height, at, hash) => this.#tiles.take(height, at, hash))
        if (this.#frontier.size === this.#anchors[0]?.size) await this.meetAnchors()
      }
      this.#differing ??= await this.#tiles.firstDiffering()
    }
    if (isWhole && this.#frontier.size === (chunk + 1) * CHUNK_RECORDS) await this.#span(chunk, earliestMs, latestMs)
    return columns
  }

  /** Those of the size that the walk has come to. @throws LogFault */
  async meetAnchors(): Promise<void> {
    for (let anchor = this.#anchors[0]; anchor?.size === this.#frontier.size; anchor = this.#anchors[0]) {
      this.#anchors.shift()
      if (!this.#frontier.root().equals(anchor.root)) throw this.#unlike(anchor)
      this.#met = anchor
    }
  }

  #unlike(anchor: Anchor): LogFault {
    const before = this.#differing
    if (before !== undefined && before.from < anchor.size) {
      const range = `of the records ${before.from} to ${before.to} some are not those that ${anchor.name} stands for`
      return new LogFault(before.from, `${range}, and ${before.name} still has the hash of what they were`)
    }
    const since = `the records from here to ${anchor.size - 1} are not all those that ${anchor.name} stands for`
    return new LogFault(this.#met.size, `${since}; up to here ${this.#met.name} fits`)
  }

  async #span(chunk: number, earliestMs: number, latestMs: number): Promise<void> {
    const [span = Buffer.alloc(0)] = await this.#options.source.read([SPAN_PIECE])
    const expected = Buffer.concat([timeBytes(earliestMs), timeBytes(latestMs)])
    if (!span.subarray(chunk * expected.length, (chunk + 1) * expected.length).equals(expected)) {
      throw new LogFault(chunk * CHUNK_RECORDS, 'the times that its chunk is found by are not those of its records')
    }
  }

  /** @throws LogFault where there is more than the head says: it was put back */
  assertEnd({ bundles }: ChunkPieces, columns: ColumnCheck): void {
    const { size } = this.#head
    const count = size % BUNDLE_RECORDS || BUNDLE_RECORDS
    const hashes = bundles.at(-1)?.hashes ?? Buffer.alloc(0)
    if (hashes.length !== count * HASH_BYTES) {
      throw new LogFault(size, `the tree goes on behind the ${size} records that the head of the log has`)
    }
    columns.end(size)
  }

  /** @throws LogFault where a checkpoint stands for more than there is */
  assertWhole(): void {
    const [missing] = this.#anchors
    if (missing === undefined) return
    const found = `the log ends here, and ${missing.name} stands for ${missing.size} records: its tail is gone`
    throw new LogFault(this.#head.size, found)
  }

  /** @throws LogFault */
  end(): void {
    const { root } = this.#head
    if (this.#differing !== undefined) {
      const { name, from, to } = this.#differing
      throw new LogFault(from, `${name} is not the tree of the records ${from} to ${to}, which are as they were signed`)
    }
    if (!this.#frontier.root().equals(root)) {
      throw new LogFault(this.#met.size, 'the head of the log has another root than its records')
    }
  }
}
