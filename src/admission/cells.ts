/**
 * Rate limits in arrays of numbers (GCRA, the leaky bucket as a time): a cell holds the moment at which its bucket will be full
 * again, and how many requests in work may still take from it. A key has one cell or several, and is admitted where any of
 * them can pay.
 *
 * Guarantees, for any key, whoever shares its cells: of what is admitted and in the end counted, never more than `burst` +
 * `perSecond` × t within any time t. What is released costs nothing, but until then nobody else is given its place. A cell
 * shared with others is only ever emptier than the key's own would be. Constant time, constant memory, nothing to evict.
 */
export interface Rate {
  readonly perSecond: number
  /** How many may come at once. */
  readonly burst: number
}

export class Cells {
  readonly #intervalMs: number
  readonly #depthMs: number
  /** When a cell is full again; in the past: it is full. */
  readonly #fullAt: Float64Array
  readonly #inWork: Uint32Array

  constructor(rate: Rate, count: number) {
    this.#intervalMs = 1000 / rate.perSecond
    this.#depthMs = rate.burst * this.#intervalMs
    this.#fullAt = new Float64Array(count)
    this.#inWork = new Uint32Array(count)
  }

  /** Whether the request may go on; then it must be counted or released. Knocking does not prolong a wait. */
  reserve(cells: readonly number[], nowMs: number): boolean {
    if (this.waitMs(cells, nowMs) > 0) return false
    for (const cell of cells) this.#inWork[cell] = (this.#inWork[cell] ?? 0) + 1
    return true
  }

  release(cells: readonly number[]): void {
    for (const cell of cells) this.#inWork[cell] = Math.max((this.#inWork[cell] ?? 0) - 1, 0)
  }

  count(cells: readonly number[], nowMs: number): void {
    this.release(cells)
    for (const cell of cells) {
      const from = Math.max(this.#fullAt[cell] ?? 0, nowMs)
      // Never below empty: a neighbour's debt would otherwise outlive the flood that made it.
      this.#fullAt[cell] = Math.min(from + this.#intervalMs, nowMs + this.#depthMs)
    }
  }

  /** Milliseconds until one of the cells can pay, if those in work are all counted; 0: now. */
  waitMs(cells: readonly number[], nowMs: number): number {
    let least = Number.POSITIVE_INFINITY
    for (const cell of cells) {
      const fullAt = Math.max(this.#fullAt[cell] ?? 0, nowMs) + this.#intervalMs * (this.#inWork[cell] ?? 0)
      least = Math.min(least, fullAt + this.#intervalMs - this.#depthMs - nowMs)
    }
    // What is due within the precision of the sums is due.
    return least > ROUNDING_MS ? least : 0
  }
}

const ROUNDING_MS = 1e-6
