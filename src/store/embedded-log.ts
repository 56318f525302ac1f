/**
 * The log in LMDB: pieces as bytes, beside everything else, changed with the head inside one transaction. A piece is kept in
 * parts, so that what is added to a large one does not write all of it again, and so that every part takes one page: whatever
 * was freed before is room for it. (What takes several needs them side by side: LMDB looks for such a place among all free
 * pages, finds none, and the file grows by as much as is freed.)
 */
import type { EmbeddedDatabase } from './embedded-database.ts'
import { checkedName, checkPieces } from './log-pieces.ts'
import type { LogPiece, LogStore } from './ports.ts'

const HEAD = 'log-head'
/** What a page of 4096 bytes holds of one value, with room for how LMDB heads it. */
const PART_BYTES = 4_064

export class EmbeddedLog implements LogStore {
  readonly #database: EmbeddedDatabase

  constructor(database: EmbeddedDatabase) {
    this.#database = database
  }

  async head(): Promise<string | undefined> {
    return this.#database.read(() => this.#database.get(HEAD))
  }

  async append(expected: string | undefined, head: string, pieces: readonly LogPiece[]): Promise<boolean> {
    checkPieces(head, pieces)
    const database = this.#database
    return database.write(() => {
      if (database.get(HEAD) !== expected) return false
      for (const piece of pieces) this.#apply(piece)
      database.put(HEAD, head)
      return true
    })
  }

  #apply(piece: LogPiece): void {
    if ('put' in piece) {
      this.#remove(piece.name)
      if (piece.put !== undefined) this.#write(piece.name, 0, piece.put)
    } else this.#add(piece.name, piece.add)
  }

  #add(name: string, bytes: Buffer): void {
    const last = this.#lastPart(name)
    const known = this.#database.getBytes(partKey(name, last))
    if (known === undefined) this.#write(name, last, bytes)
    else if (known.length >= PART_BYTES) this.#write(name, last + 1, bytes)
    else this.#write(name, last, Buffer.concat([known, bytes]))
  }

  /** From this part on, which was the last, or is the next. */
  #write(name: string, from: number, bytes: Buffer): void {
    let part = from
    this.#database.putBytes(partKey(name, part), bytes.subarray(0, PART_BYTES))
    for (let start = PART_BYTES; start < bytes.length; start += PART_BYTES) {
      this.#database.putBytes(partKey(name, ++part), bytes.subarray(start, start + PART_BYTES))
    }
    if (part > 0) this.#database.put(lastKey(name), String(part))
  }

  /** Its number: 0 is the only one of most pieces. */
  #lastPart(name: string): number {
    return Number(this.#database.get(lastKey(name)) ?? 0)
  }

  async read(names: readonly string[]): Promise<readonly (Buffer | undefined)[]> {
    for (const name of names) checkedName(name)
    return this.#database.read(() => names.map((name) => this.#read(name)))
  }

  #read(name: string): Buffer | undefined {
    const last = this.#lastPart(name)
    const first = this.#database.getBytes(partKey(name, 0))
    if (first === undefined || last === 0) return first
    const rest = Array.from(
      { length: last },
      (_, n) => this.#database.getBytes(partKey(name, n + 1)) ?? Buffer.alloc(0),
    )
    return Buffer.concat([first, ...rest])
  }

  async remove(names: readonly string[]): Promise<void> {
    for (const name of names) checkedName(name)
    await this.#database.write(() => {
      for (const name of names) this.#remove(name)
    })
  }

  #remove(name: string): void {
    const last = this.#lastPart(name)
    for (let n = 0; n <= last; n++) this.#database.remove(partKey(name, n))
    if (last > 0) this.#database.remove(lastKey(name))
  }
}

function partKey(name: string, part: number): string {
  return part === 0 ? `log:${name}` : `log:${name}+${part}`
}

/** Of the number of its last part, where it has more than one. */
function lastKey(name: string): string {
  return `log-parts:${name}`
}
