/**
 * A rate limit for any number of keys in a fixed table (a count-min sketch of buckets). Every key has one cell in each row, at
 * places that depend on a secret of this process, and is refused only where all of them are empty.
 *
 * What attacks on a table of keys would try, and why it fails here: filling it (there is nothing to fill), pushing one's own
 * empty bucket out by a flood of other names (nothing is ever pushed out), emptying a neighbour's bucket by choosing names
 * that share its cells (the places cannot be computed from outside, and all rows would have to be hit).
 */
import { hash, randomBytes } from 'node:crypto'
import { detached } from '../kernel/detached.ts'
import { SKETCH_CELLS, SKETCH_ROWS } from '../kernel/limits.ts'
import { Cells, type Rate } from './cells.ts'

/** Keys whose places are remembered: a source at a door is short. */
const KNOWN_MAX = 1_024
const KNOWN_CHARS_MAX = 64

export class RateSketch {
  readonly #secret = randomBytes(32).toString('hex')
  readonly #cells: Cells
  readonly #perRow: number
  /** Of the keys that were asked for lately: most requests come from few sources. */
  readonly #known = new Map<string, readonly number[]>()

  /** @param perRow a power of two: a digest's words are reduced to it */
  constructor(rate: Rate, perRow = SKETCH_CELLS) {
    this.#perRow = perRow
    this.#cells = new Cells(rate, perRow * SKETCH_ROWS)
  }

  /** What to count or to release when the request has ended; `undefined`: refused. */
  reserve(key: string, nowMs: number): readonly number[] | undefined {
    const places = this.#places(key)
    return this.#cells.reserve(places, nowMs) ? places : undefined
  }

  release(places: readonly number[]): void {
    this.#cells.release(places)
  }

  count(places: readonly number[], nowMs: number): void {
    this.#cells.count(places, nowMs)
  }

  waitMs(key: string, nowMs: number): number {
    return this.#cells.waitMs(this.#places(key), nowMs)
  }

  #places(key: string): readonly number[] {
    const known = this.#known.get(key)
    if (known !== undefined) return known
    const places = this.#placesOf(key)
    if (key.length > KNOWN_CHARS_MAX) return places
    // Forgotten together: a flood of names costs each of them what it would without.
    if (this.#known.size >= KNOWN_MAX) this.#known.clear()
    this.#known.set(detached(key), places)
    return places
  }

  #placesOf(key: string): readonly number[] {
    // In one call: it is made several times for each request that arrives.
    const digest = hash('sha256', this.#secret + key, 'buffer')
    const places: number[] = []
    for (let row = 0; row < SKETCH_ROWS; row += 1) {
      places.push(row * this.#perRow + (digest.readUInt32LE(4 * row) % this.#perRow))
    }
    return places
  }
}
