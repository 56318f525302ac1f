/**
 * The tiles above the entries' own against the tree that the entries make. One that differs is not yet the fault: where the tree
 * is what was signed, the tile was altered; where it is not, records were, and the tile still says which.
 */
import { HASH_BYTES } from '../../../tlog/hashes.ts'
import { TILE_HEIGHT, TILE_WIDTH } from '../../../tlog/tiles.ts'
import { tilePiece } from '../layout.ts'
import type { LogSource } from './log-source.ts'

export interface DifferingTile {
  readonly name: string
  /** The records below the hash that differs. */
  readonly from: number
  readonly to: number
}

export class TileCheck {
  readonly #source: LogSource
  readonly #tiles = new Map<string, Promise<Buffer>>()
  /** Complete subtrees that wait to be compared. */
  readonly #waiting: { readonly level: number; readonly index: number; readonly hash: Buffer }[] = []

  constructor(source: LogSource) {
    this.#source = source
  }

  /** As `Frontier.add` tells it. */
  take(height: number, index: number, hash: Buffer): void {
    if (height > 0 && height % TILE_HEIGHT === 0) this.#waiting.push({ level: height / TILE_HEIGHT, index, hash })
  }

  /** Of what came since the last look, the first that the tiles have otherwise. */
  async firstDiffering(): Promise<DifferingTile | undefined> {
    for (const { level, index, hash } of this.#waiting.splice(0)) {
      const tile = await this.#tile(level, Math.floor(index / TILE_WIDTH))
      const at = (index % TILE_WIDTH) * HASH_BYTES
      if (tile.subarray(at, at + HASH_BYTES).equals(hash)) continue
      const span = TILE_WIDTH ** level
      return { name: tilePiece(level, Math.floor(index / TILE_WIDTH)), from: index * span, to: (index + 1) * span - 1 }
    }
    return undefined
  }

  #tile(level: number, n: number): Promise<Buffer> {
    const name = tilePiece(level, n)
    const known = this.#tiles.get(name) ?? this.#read(name)
    this.#tiles.set(name, known)
    return known
  }

  async #read(name: string): Promise<Buffer> {
    const [tile] = await this.#source.read([name])
    return tile ?? Buffer.alloc(0)
  }
}
