/**
 * Rows of the bundle that is being filled, or of the columns of a batch, side by side in memory that is used again for the next
 * one: each by itself would live as long as the bundle is open, which is long enough to be left to a collection of old objects.
 */

/** Beyond it memory is given back: bundles of large records are rare. */
const REUSED_BYTES_MAX = 1024 * 1024

export class GrowingRows {
  #bytes = Buffer.alloc(0)
  #length = 0
  #count = 0

  /** How many there are. */
  get count(): number {
    return this.#count
  }

  /** Their bytes. */
  get length(): number {
    return this.#length
  }

  add(row: Uint8Array): void {
    this.#grow(row.length)
    this.#bytes.set(row, this.#length)
    this.#length += row.length
    this.#count += 1
  }

  /**
   * A row that is written where it will lie.
   * @param bytesMax of it. @param write begins at this place, and answers where it ended
   * @returns it, as long as nothing else is added
   */
  addWritten(bytesMax: number, write: (bytes: Buffer, at: number) => number): Buffer {
    this.#grow(bytesMax)
    const begun = this.#length
    this.#length = write(this.#bytes, begun)
    this.#count += 1
    return this.from(begun)
  }

  #grow(by: number): void {
    const length = this.#length + by
    if (length <= this.#bytes.length) return
    const grown = Buffer.allocUnsafeSlow(Math.max(2 * this.#bytes.length, length))
    this.#bytes.copy(grown, 0, 0, this.#length)
    this.#bytes = grown
  }

  /** All of them: as long as nothing else is added. */
  get all(): Buffer {
    return this.from(0)
  }

  /** Those behind the first so many bytes, likewise. */
  from(length: number): Buffer {
    return this.#bytes.subarray(length, this.#length)
  }

  clear(): void {
    this.#length = 0
    this.#count = 0
    if (this.#bytes.length > REUSED_BYTES_MAX) this.#bytes = Buffer.alloc(0)
  }
}
