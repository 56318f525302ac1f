/**
 * A bounded memory, by digest. What has been asked for again is kept apart from what was seen once, each within half of the room,
 * the longest unused going first: a flood of things that come once pushes out others that came once, and nothing that is in use.
 */
export class SeenTokens<T> {
  readonly #once: Ordered<T>
  readonly #again: Ordered<T>

  /** @param most at least 2 */
  constructor(most: number) {
    this.#once = new Ordered(Math.floor(most / 2))
    this.#again = new Ordered(Math.floor(most / 2))
  }

  get(digest: string): T | undefined {
    const known = this.#again.take(digest) ?? this.#once.take(digest)
    if (known !== undefined) this.#again.put(digest, known)
    return known
  }

  /** In the place of what was known under the digest. */
  add(digest: string, seen: T): void {
    if (this.#again.has(digest)) this.#again.put(digest, seen)
    else this.#once.put(digest, seen)
  }
}

/** What was put last is last; the first goes when there is one too many. */
class Ordered<T> {
  readonly #most: number
  readonly #entries = new Map<string, T>()
  /** Stands at the first: to begin anew each time would be to walk over every place that has become empty. */
  readonly #first = this.#entries.keys()

  constructor(most: number) {
    this.#most = most
  }

  has(digest: string): boolean {
    return this.#entries.has(digest)
  }

  take(digest: string): T | undefined {
    const known = this.#entries.get(digest)
    if (known !== undefined) this.#entries.delete(digest)
    return known
  }

  put(digest: string, seen: T): void {
    this.#entries.set(digest, seen)
    if (this.#entries.size <= this.#most) return
    const { value: first } = this.#first.next()
    if (first !== undefined) this.#entries.delete(first)
  }
}
