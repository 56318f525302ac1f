/**
 * The right edge of a growing Merkle tree: the complete subtrees it is made of, largest first, as in the binary digits of its
 * size. All that is needed to append and to know the root (RFC 6962 §2.1); nothing is read again.
 *
 * Mutable: `add` changes it. A writer that may lose the race for the head makes one of the head it read, and drops it.
 */
import { EMPTY_ROOT, HASH_BYTES, nodeHash } from './hashes.ts'

/** Told of each complete subtree: of 2^height leaves, the `index`th of that height. Height 0 is the leaf itself. */
export type Completed = (height: number, index: number, hash: Buffer) => void

export class Frontier {
  #size: number
  readonly #hashes: Buffer[]

  private constructor(size: number, hashes: readonly Buffer[]) {
    this.#size = size
    this.#hashes = [...hashes]
  }

  static empty(): Frontier {
    return new Frontier(0, [])
  }

  /** @throws RangeError where these cannot be the subtrees of a tree of this size. */
  static of(size: number, hashes: readonly Buffer[]): Frontier {
    const fits = Number.isSafeInteger(size) && size >= 0 && hashes.length === subtreesIn(size)
    if (!fits || hashes.some(({ length }) => length !== HASH_BYTES)) {
      throw new RangeError('not the right edge of a tree of this size')
    }
    return new Frontier(size, hashes)
  }

  get size(): number {
    return this.#size
  }

  /** Largest subtree first: what `of` takes. */
  get hashes(): readonly Buffer[] {
    return [...this.#hashes]
  }

  add(leaf: Buffer, completed?: Completed): void {
    let hash = leaf
    let index = this.#size
    completed?.(0, index, hash)
    for (let height = 1; index % 2 === 1; height++) {
      hash = nodeHash(this.#hashes.pop() as Buffer, hash)
      index = (index - 1) / 2
      completed?.(height, index, hash)
    }
    this.#hashes.push(hash)
    this.#size += 1
  }

  root(): Buffer {
    const [last, ...larger] = [...this.#hashes].reverse()
    return last === undefined ? EMPTY_ROOT : larger.reduce((right, left) => nodeHash(left, right), last)
  }
}

/** The number of ones among the binary digits. */
function subtreesIn(size: number): number {
  let count = 0
  for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) count += rest % 2
  return count
}
