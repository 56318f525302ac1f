/**
 * A bounded memory, by digest. What has been asked for again is kept apart from what was seen once, each within half of the room,
 * the longest unused going first: a flood of things that come once pushes out others that came once, and nothing that is in use.
 */
export class SeenTokens<T> {
  readonly #most: number
  readonly #once = new Map<string, T>()
  readonly #again = new Map<string, T>()

  /** @param most at least 2 */
  constructor(most: number) {
    this.#most = Math.floor(most / 2)
  }

  get(digest: string): T | undefined {
    const inUse = this.#again.get(digest)
    if (inUse !== undefined) {
      // To the end of the order: the longest unused goes first.
      this.#again.delete(digest)
      this.#again.set(digest, inUse)
      return inUse
    }
    const known = this.#once.get(digest)
    if (known === undefined) return undefined
    this.#once.delete(digest)
    keep(this.#again, digest, known, this.#most)
    return known
  }

  /** In the place of what was known under the digest. */
  add(digest: string, seen: T): void {
    if (this.#again.has(digest)) this.#again.set(digest, seen)
    else keep(this.#once, digest, seen, this.#most)
  }
}

function keep<T>(among: Map<string, T>, digest: string, seen: T, most: number): void {
  among.set(digest, seen)
  if (among.size <= most) return
  for (const oldest of among.keys()) {
    among.delete(oldest)
    return
  }
}
