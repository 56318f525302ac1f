/**
 * A bounded list in LMDB, oldest first: numbered one by one, so that its length is known without counting, also after a
 * restart. It may be trimmed up to any position, and goes on behind it: no number is ever given out twice. Where the list ends is remembered between two transactions, and looked up again where another process, or a
 * transaction that failed, may have made that untrue: two processes must never give out one position.
 */
import type { EmbeddedDatabase } from './embedded-database.ts'
import { ordered } from './embedded-keys.ts'

export interface Listed {
  readonly position: string
  readonly value: string
}

export class EmbeddedList {
  readonly #database: EmbeddedDatabase
  readonly #prefix: string
  readonly #max: number
  #next = 1
  #oldest = 1

  /** @param max beyond which it forgets its oldest value for another */
  constructor(database: EmbeddedDatabase, prefix: string, max = Number.POSITIVE_INFINITY) {
    this.#database = database
    this.#prefix = prefix
    this.#max = max
    database.read(() => this.#refresh())
    database.onForeignWrites(() => this.#refresh())
  }

  /**
   * Inside a read only. What is remembered stays as it is: while a transaction is on its way to disk a read sees what was there
   * before it, and the next one would give out its positions once more, over records that were acknowledged.
   */
  countInside(): number {
    const { oldest, next } = this.#endsOnDisk()
    return next - oldest
  }

  /** Inside a read only. */
  oldestInside(): string | undefined {
    return this.earliest(1)[0]?.value
  }

  #refresh(): void {
    const { oldest, next } = this.#endsOnDisk()
    this.#oldest = oldest
    this.#next = next
  }

  #endsOnDisk(): { readonly oldest: number; readonly next: number } {
    const position = (reverse: boolean): number | undefined => {
      for (const { key } of this.#database.range(this.#prefix, { reverse, limit: 1 })) {
        return Number(key.slice(this.#prefix.length))
      }
      return undefined
    }
    const next = (position(true) ?? Number(this.#database.get(this.#trimmedKey) ?? 0)) + 1
    return { oldest: position(false) ?? next, next }
  }

  get #trimmedKey(): string {
    return `trimmed:${this.#prefix}`
  }

  get length(): number {
    return this.#next - this.#oldest
  }

  /** The position of the next value, as text that sorts. */
  get nextPosition(): string {
    return ordered(this.#next)
  }

  /** The positions of the next value, and of the oldest that is there: the next, where none is. */
  get ends(): { readonly oldest: number; readonly next: number } {
    return { oldest: this.#oldest, next: this.#next }
  }

  /** Inside a job only. A full list forgets its oldest value. */
  appendInside(value: string): void {
    this.#database.put(this.#prefix + this.nextPosition, value)
    this.#next++
    // At most two at once: a smaller bound than before is reached in steps, not in one long transaction.
    for (let removed = 0; removed < 2 && this.length > this.#max; removed++) this.#forgetOldest()
  }

  /** Inside a job only: up to and with the position, so many at once; whether there are more. */
  trimInside(upTo: string, most: number): boolean {
    const end = Math.min(Number(upTo), this.#next - 1)
    const last = Math.min(end, this.#oldest + most - 1)
    if (last < this.#oldest) return false
    for (let removed = 0; removed < most && this.#oldest <= end; removed++) this.#forgetOldest()
    this.#database.put(this.#trimmedKey, ordered(last))
    return this.#oldest <= end
  }

  #forgetOldest(): void {
    this.#database.remove(this.#prefix + ordered(this.#oldest))
    this.#oldest++
  }

  at(position: string): string | undefined {
    return this.#database.get(this.#prefix + position)
  }

  /** Oldest first. @param after the position to go on from; absent: the beginning */
  earliest(limit: number, after?: string): readonly Listed[] {
    const from = after === undefined ? {} : { from: this.#prefix + ordered(Number(after) + 1) }
    return Array.from(this.#database.range(this.#prefix, { limit, ...from }), ({ key, value }) => ({
      position: key.slice(this.#prefix.length),
      value,
    }))
  }

  /** Newest first. @param before the position to go on from; absent: the end */
  latest(limit: number, before?: string): readonly Listed[] {
    const end = before === undefined ? {} : { end: this.#prefix + before }
    // A range read backwards begins with its end.
    const extra = before === undefined ? 0 : 1
    const found = Array.from(
      this.#database.range(this.#prefix, { reverse: true, limit: limit + extra, ...end }),
      ({ key, value }) => ({ position: key.slice(this.#prefix.length), value }),
    )
    return found.filter(({ position }) => position !== before).slice(0, limit)
  }
}
