/** The hashes of any part of a tree, made of its tiles: at most 256 hashes are put together for each. */
import { EMPTY_ROOT, HASH_BYTES, nodeHash, splitPoint } from './hashes.ts'
import { foldHashes, TILE_HEIGHT, TILE_WIDTH, type TileReader, tileWidth } from './tiles.ts'

/** A tree of one size, as its tiles have it; each tile is read once. */
export class TiledTree {
  readonly size: number
  readonly #reader: TileReader
  readonly #tiles = new Map<string, Promise<Buffer>>()

  constructor(size: number, reader: TileReader) {
    this.size = size
    this.#reader = reader
  }

  /** MTH of the whole (RFC 6962 §2.1). */
  async root(): Promise<Buffer> {
    return this.size === 0 ? EMPTY_ROOT : this.range(0, this.size)
  }

  /** MTH(D[start:end]). `start` is a multiple of the power of two that `end - start` rounds up to, as in every proof. */
  async range(start: number, end: number): Promise<Buffer> {
    const length = end - start
    const height = Math.log2(length)
    if (Number.isInteger(height)) return this.#complete(height, start / length)
    const middle = start + splitPoint(length)
    const [left, right] = await Promise.all([this.range(start, middle), this.range(middle, end)])
    return nodeHash(left, right)
  }

  async #complete(height: number, index: number): Promise<Buffer> {
    const level = Math.floor(height / TILE_HEIGHT)
    const width = 2 ** (height % TILE_HEIGHT)
    const first = index * width
    const tile = await this.#tile(level, Math.floor(first / TILE_WIDTH))
    const offset = first % TILE_WIDTH
    return foldHashes(tile.subarray(offset * HASH_BYTES, (offset + width) * HASH_BYTES))
  }

  #tile(level: number, index: number): Promise<Buffer> {
    const name = `${level}/${index}`
    const known = this.#tiles.get(name) ?? this.#read(level, index)
    this.#tiles.set(name, known)
    return known
  }

  async #read(level: number, index: number): Promise<Buffer> {
    const width = tileWidth(level, index, this.size)
    const tile = await this.#reader.tile(level, index, width)
    // A short tile would make a hash of too little, and of it a proof of nothing.
    if (tile.length < width * HASH_BYTES) throw new RangeError(`tile ${level}/${index} is cut short`)
    return tile
  }
}
