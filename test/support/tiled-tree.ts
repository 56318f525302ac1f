/** A tree as its tiles, in memory, grown through a frontier as a writer does; and the same by the RFC's own recursion. */
import { Frontier } from '../../src/tlog/frontier.ts'
import { EMPTY_ROOT, leafHash, nodeHash, splitPoint } from '../../src/tlog/hashes.ts'
import { TILE_HEIGHT, TILE_WIDTH, type TileReader } from '../../src/tlog/tiles.ts'

export class TilesInMemory implements TileReader {
  readonly frontier: Frontier = Frontier.empty()
  readonly tiles = new Map<string, Buffer>()
  reads = 0

  add(leaf: Buffer): void {
    this.frontier.add(leaf, (height, index, hash) => {
      if (height % TILE_HEIGHT !== 0) return
      const name = `${height / TILE_HEIGHT}/${Math.floor(index / TILE_WIDTH)}`
      this.tiles.set(name, Buffer.concat([this.tiles.get(name) ?? Buffer.alloc(0), hash]))
    })
  }

  async tile(level: number, index: number): Promise<Buffer> {
    this.reads += 1
    const tile = this.tiles.get(`${level}/${index}`)
    if (tile === undefined) throw new RangeError('no such tile')
    return tile
  }
}

export function leaves(count: number, prefix = 'entry '): Buffer[] {
  return Array.from({ length: count }, (_, index) => leafHash(Buffer.from(`${prefix}${index}`)))
}

/** MTH (RFC 6962 §2.1) over leaf hashes, word for word. */
export function naiveRoot(hashes: readonly Buffer[]): Buffer {
  const [only] = hashes
  if (only === undefined) return EMPTY_ROOT
  if (hashes.length === 1) return only
  const k = splitPoint(hashes.length)
  return nodeHash(naiveRoot(hashes.slice(0, k)), naiveRoot(hashes.slice(k)))
}

/** PATH (RFC 6962 §2.1.1), word for word. */
export function naivePath(index: number, hashes: readonly Buffer[]): Buffer[] {
  if (hashes.length <= 1) return []
  const k = splitPoint(hashes.length)
  return index < k
    ? [...naivePath(index, hashes.slice(0, k)), naiveRoot(hashes.slice(k))]
    : [...naivePath(index - k, hashes.slice(k)), naiveRoot(hashes.slice(0, k))]
}

/** SUBPROOF (RFC 6962 §2.1.2), word for word. */
export function naiveSubproof(m: number, hashes: readonly Buffer[], known: boolean): Buffer[] {
  if (m === hashes.length) return known ? [] : [naiveRoot(hashes)]
  const k = splitPoint(hashes.length)
  return m <= k
    ? [...naiveSubproof(m, hashes.slice(0, k), known), naiveRoot(hashes.slice(k))]
    : [...naiveSubproof(m - k, hashes.slice(k), false), naiveRoot(hashes.slice(0, k))]
}
