/**
 * Revocations that nobody could be told are safe: the server did not answer, or not every replica has them. They are written
 * again, and asked about again, until they are; whoever ordered them has been told to try again all the same.
 *
 * Cut-offs and blocks only, which can be written twice: a lift or a publication that comes late would undo what was ordered since.
 * In memory, and bounded: what a process takes with it is known to whoever ordered it as not acknowledged.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { OWED_WRITES_MAX, OWED_WRITES_RETRY_MS } from '../kernel/store-limits.ts'
import { type ControlWrite, NotReplicated } from './ports.ts'
import { outsideBudget } from './time-budget.ts'

export interface Owing {
  /** Throws `NotReplicated` where it is written, and not everywhere. */
  write(writes: readonly ControlWrite[], floor: number): Promise<unknown>
  /** Throws where not every replica has what is written by now. */
  standing(): Promise<void>
}

interface Owed {
  readonly writes: readonly ControlWrite[]
  readonly floor: number
  isWritten: boolean
}

export class OwedWrites {
  readonly #owing: Owing
  readonly #waiting: Owed[] = []
  #running = false
  #stopped = false

  constructor(owing: Owing) {
    this.#owing = owing
  }

  get count(): number {
    return this.#waiting.length
  }

  /** @param error what the attempt has ended with */
  add(writes: readonly ControlWrite[], floor: number, error: unknown): void {
    const kills = writes.filter(({ entry }) => entry === 'cutoff' || entry === 'block')
    if (kills.length === 0 || this.#waiting.length >= OWED_WRITES_MAX) return
    this.#waiting.push({ writes: kills, floor, isWritten: error instanceof NotReplicated })
    if (!this.#running) void outsideBudget(() => this.#run())
  }

  /** Another server answers from now on, and may not have what was written to the one before. */
  startOver(): void {
    for (const owed of this.#waiting) owed.isWritten = false
  }

  stop(): void {
    this.#stopped = true
  }

  async #run(): Promise<void> {
    this.#running = true
    while (this.#waiting.length > 0 && !this.#stopped) {
      await sleep(OWED_WRITES_RETRY_MS, undefined, { ref: false })
      const [first] = this.#waiting
      if (first !== undefined && (await this.#settled(first))) this.#waiting.shift()
    }
    this.#running = false
  }

  async #settled(owed: Owed): Promise<boolean> {
    try {
      if (owed.isWritten) await this.#owing.standing()
      else await this.#owing.write(owed.writes, owed.floor)
      return true
    } catch (error) {
      if (error instanceof NotReplicated) owed.isWritten = true
      return false
    }
  }
}
