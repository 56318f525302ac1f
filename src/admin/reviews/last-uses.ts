/**
 * When each of some names was last used, to a quarter of an hour. Bounded: beyond its bound the longest unused are forgotten,
 * and until when that may have been is remembered, so that nobody takes what was forgotten for what was never used.
 */
import { USAGE_RESOLUTION_S } from '../../kernel/store-limits.ts'

export class LastUses {
  readonly #max: number
  /** Epoch seconds, least recently recorded first. */
  readonly #times = new Map<string, number>()
  #forgottenUntil: number

  constructor(max: number, times: Iterable<readonly [string, number]> = [], forgottenUntil = 0) {
    this.#max = max
    this.#forgottenUntil = forgottenUntil
    for (const [name, at] of [...times].sort((a, b) => a[1] - b[1])) this.#put(name, at)
  }

  /** @returns whether it is news: a use within a quarter of an hour of the one known is none */
  record(name: string, at: number): boolean {
    const last = this.#times.get(name)
    if (last !== undefined && at - last < USAGE_RESOLUTION_S) return false
    this.#put(name, at)
    return true
  }

  /** A use of these names may be missing here, up to this time. */
  forget(until: number): void {
    this.#forgottenUntil = Math.max(this.#forgottenUntil, until)
  }

  /** Epoch seconds; `undefined`: none that is known. */
  at(name: string): number | undefined {
    return this.#times.get(name)
  }

  /** Whether it certainly was not used from `from` on. */
  isUnusedSince(name: string, from: number): boolean {
    return (this.#times.get(name) ?? this.#forgottenUntil) < from
  }

  /** What both know. */
  mergedWith(other: LastUses): LastUses {
    const times = new Map(this.#times)
    for (const [name, at] of other.#times) times.set(name, Math.max(times.get(name) ?? 0, at))
    return new LastUses(this.#max, times, Math.max(this.#forgottenUntil, other.#forgottenUntil))
  }

  get names(): readonly string[] {
    return [...this.#times.keys()]
  }

  toJSON(): { readonly at: readonly (readonly [string, number])[]; readonly forgotten: number } {
    return { at: [...this.#times], forgotten: this.#forgottenUntil }
  }

  #put(name: string, at: number): void {
    this.#times.delete(name)
    this.#times.set(name, at)
    if (this.#times.size <= this.#max) return
    const oldest = this.#times.entries().next().value
    if (oldest === undefined) return
    this.#times.delete(oldest[0])
    this.forget(oldest[1])
  }
}
