/**
 * Tiles (C2SP tlog-tiles): the hashes of every eighth height of the tree, 256 side by side, and the entries in bundles of as
 * many. Names, widths and the bundles' framing; whoever keeps them is behind `TileReader`.
 */
import { HASH_BYTES, nodeHash } from './hashes.ts'

export const TILE_WIDTH = 256
/** Each level of tiles spans this many heights of the tree. */
export const TILE_HEIGHT = 8
const LEVEL_MAX = 63

export interface TileReader {
  /**
   * The first `width` hashes of a tile, or more of them. The width is always what the tree has that is asked about.
   * @throws when it has no such tile: there is no proof then.
   */
  tile(level: number, index: number, width: number): Promise<Buffer>
}

export interface TileName {
  /** `entries`: the bundle of the entries whose hashes are the tile of level 0. */
  readonly level: number | 'entries'
  readonly index: number
  /** 256, or fewer at the right edge. */
  readonly width: number
}

/** How many hashes the tile has in a tree of this size: 0 to 256. */
export function tileWidth(level: number, index: number, size: number): number {
  const hashes = Math.floor(size / TILE_WIDTH ** level)
  return Math.max(0, Math.min(TILE_WIDTH, hashes - index * TILE_WIDTH))
}

/** `tile/<L>/<N>[.p/<W>]`: thousands of the index, each in a path element of its own. */
export function formatTilePath({ level, index, width }: TileName): string {
  const groups = []
  for (let rest = index; groups.length === 0 || rest > 0; rest = Math.floor(rest / 1000)) {
    groups.unshift(`${groups.length === 0 ? '' : 'x'}${String(rest % 1000).padStart(3, '0')}`)
  }
  return `tile/${level}/${groups.join('/')}${width === TILE_WIDTH ? '' : `.p/${width}`}`
}

const PATH = /^tile\/(entries|0|[1-9]\d?)\/((?:x\d{3}\/){0,5}\d{3})(?:\.p\/([1-9]\d{0,2}))?$/

/** `undefined`: not the one spelling of a tile's name. */
export function parseTilePath(path: string): TileName | undefined {
  const [, level = '', groups = '', width] = PATH.exec(path) ?? []
  const index = Number(groups.replaceAll(/[x/]/g, ''))
  const name: TileName = {
    level: level === 'entries' ? level : Number(level),
    index,
    width: width === undefined ? TILE_WIDTH : Number(width),
  }
  const known = name.level === 'entries' || name.level <= LEVEL_MAX
  const possible = known && Number.isSafeInteger(index) && name.width <= TILE_WIDTH
  return possible && formatTilePath(name) === path ? name : undefined
}

/** Entries one after another, each behind its length as uint16. @throws RangeError for an entry of 64 KB and more */
export function formatEntries(entries: readonly Uint8Array[]): Buffer {
  const bundle = Buffer.alloc(entries.reduce((sum, { length }) => sum + 2 + length, 0))
  let at = 0
  for (const entry of entries) {
    if (entry.length > 0xffff) throw new RangeError('an entry is shorter than 65 536 bytes')
    bundle.set(entry, bundle.writeUInt16BE(entry.length, at))
    at += 2 + entry.length
  }
  return bundle
}

/** Those that are there in whole, and whether nothing but they is. */
export function parseEntries(bundle: Buffer): { readonly entries: readonly Buffer[]; readonly whole: boolean } {
  const entries: Buffer[] = []
  let at = 0
  while (at + 2 <= bundle.length) {
    const end = at + 2 + bundle.readUInt16BE(at)
    if (end > bundle.length) break
    entries.push(bundle.subarray(at + 2, end))
    at = end
  }
  return { entries, whole: at === bundle.length }
}

/** The root of a complete subtree, of its hashes side by side: their number is a power of two. */
export function foldHashes(hashes: Buffer): Buffer {
  let row = hashes
  while (row.length > HASH_BYTES) {
    const above: Buffer[] = []
    for (let at = 0; at < row.length; at += 2 * HASH_BYTES) {
      above.push(nodeHash(row.subarray(at, at + HASH_BYTES), row.subarray(at + HASH_BYTES, at + 2 * HASH_BYTES)))
    }
    row = Buffer.concat(above)
  }
  return row
}
