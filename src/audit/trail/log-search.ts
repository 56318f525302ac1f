/** Records of the log that are what is asked for, newest first: found in its columns, and looked at one by one. */
import { setImmediate as turn } from 'node:timers/promises'
import { TRAIL_CHUNKS_MAX, TRAIL_LOOKED_AT_MAX } from '../../kernel/store-limits.ts'
import type { LogStore } from '../../store/ports.ts'
import { BUNDLE_RECORDS, bundleOf, CHUNK_RECORDS, chunkOf, columnPiece } from '../log/layout.ts'
import type { TrailFilter, TrailGap } from './audit-trail.ts'
import { ColumnSearch } from './column-search.ts'
import type { LogBodies, LoggedEntry } from './log-bodies.ts'
import { matches } from './matching.ts'

/** Of what is read at once. */
const BUNDLES_AT_ONCE = 8

export interface Searched {
  /** Newest first. */
  readonly before: number
  /** Of the log, as it was read. */
  readonly size: number
  readonly limit: number
}

export interface Found {
  readonly entries: readonly LoggedEntry[]
  /** Everything from this index on has been looked at; `undefined`: everything has. */
  readonly from: number | undefined
  readonly gaps: readonly TrailGap[]
  readonly lookedAt: number
}

export class LogSearch {
  readonly #log: Pick<LogStore, 'read'>
  readonly #bodies: LogBodies
  /** Chunks before it are pruned, with their columns. */
  #firstChunk = 0

  constructor(log: Pick<LogStore, 'read'>, bodies: LogBodies) {
    this.#log = log
    this.#bodies = bodies
  }

  /** Looks at so many chunks and records, and no more. */
  async find(filter: TrailFilter, { before, size, limit }: Searched): Promise<Found> {
    const columns = new ColumnSearch(this.#log, filter)
    const firstChunk = await this.#unpruned(size)
    const looking = new Looking(filter, limit)
    const lastChunk = chunkOf(before - 1) - TRAIL_CHUNKS_MAX
    for await (const { indexes, from } of columns.below(before, firstChunk)) {
      for (const some of ofFewBundles(indexes)) {
        looking.at(some, await this.#bodies.at(some))
        if (looking.isDone) return { ...looking.found, from: looking.from }
        await turn()
      }
      if (from > firstChunk * CHUNK_RECORDS && chunkOf(from) <= lastChunk) return { ...looking.found, from }
    }
    const lost = await columns.inTime(firstChunk)
    if (lost > 0) looking.miss('pruned', 0, lost)
    return { ...looking.found, from: undefined }
  }

  /** Places of what could be asked for, newest first, each bundle once. */
  async *bundles(filter: TrailFilter, size: number): AsyncGenerator<number> {
    let last = -1
    const firstChunk = await this.#unpruned(size)
    for await (const { indexes } of new ColumnSearch(this.#log, filter).below(size, firstChunk)) {
      for (const bundle of indexes.map(bundleOf)) {
        if (bundle !== last) yield bundle
        last = bundle
      }
    }
  }

  /** Index of the first record that is kept; the size, where none is. */
  async firstKept(size: number): Promise<number> {
    let first = (await this.#unpruned(size)) * (CHUNK_RECORDS / BUNDLE_RECORDS)
    let end = Math.ceil(size / BUNDLE_RECORDS)
    while (first < end) {
      const middle = Math.floor((first + end) / 2)
      const [body] = await this.#bodies.at([middle * BUNDLE_RECORDS])
      if (body === 'pruned') first = middle + 1
      else end = middle
    }
    return Math.min(size, first * BUNDLE_RECORDS)
  }

  /** The first chunk that has columns. What is pruned is pruned from the beginning on. */
  async #unpruned(size: number): Promise<number> {
    let first = this.#firstChunk
    if (await this.#isThere(first)) return first
    let end = Math.floor(size / CHUNK_RECORDS)
    if (end <= first) return first
    while (first < end) {
      const middle = Math.floor((first + end) / 2)
      if (await this.#isThere(middle)) end = middle
      else first = middle + 1
    }
    this.#firstChunk = first
    return first
  }

  async #isThere(chunk: number): Promise<boolean> {
    const [piece] = await this.#log.read([columnPiece('at', chunk)])
    return piece !== undefined
  }
}

/** What one search has found so far. */
class Looking {
  readonly #filter: TrailFilter
  readonly #limit: number
  readonly #entries: LoggedEntry[] = []
  readonly #gaps = new Map<TrailGap['why'], { first: number; records: number }>()
  #lookedAt = 0
  #from = 0

  constructor(filter: TrailFilter, limit: number) {
    this.#filter = filter
    this.#limit = limit
  }

  /** In their order, until there are enough. */
  at(indexes: readonly number[], bodies: Awaited<ReturnType<LogBodies['at']>>): void {
    for (const [n, index] of indexes.entries()) {
      if (this.isDone) return
      this.#from = index
      this.#lookedAt += 1
      const body = bodies[n] ?? 'damaged'
      if (typeof body === 'string') this.miss(body, index, 1)
      else if (matches(body.record, this.#filter)) this.#entries.push(body)
    }
  }

  miss(why: TrailGap['why'], index: number, records: number): void {
    const known = this.#gaps.get(why) ?? { first: index, records: 0 }
    this.#gaps.set(why, { first: Math.min(index, known.first), records: known.records + records })
  }

  get isDone(): boolean {
    return this.#entries.length >= this.#limit || this.#lookedAt >= TRAIL_LOOKED_AT_MAX
  }

  get from(): number {
    return this.#from
  }

  get found(): Omit<Found, 'from'> {
    const gaps = [...this.#gaps].map(([why, gap]) => ({ why, ...gap }))
    return { entries: this.#entries, gaps, lookedAt: this.#lookedAt }
  }
}

/** In their order; each part is of few bundles. */
function* ofFewBundles(indexes: readonly number[]): Generator<readonly number[]> {
  let some: number[] = []
  const bundles = new Set<number>()
  for (const index of indexes) {
    const bundle = bundleOf(index)
    if (!bundles.has(bundle) && bundles.size === BUNDLES_AT_ONCE) {
      yield some
      some = []
      bundles.clear()
    }
    bundles.add(bundle)
    some.push(index)
  }
  if (some.length > 0) yield some
}
