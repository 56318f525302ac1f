/**
 * Bytes and texts that are kept for seconds and forgotten about in the order in which they came. As objects of their own they
 * would outlive the collections of young ones, be moved by each, and be left to those of old ones: pauses for everybody. Here they
 * lie side by side in a few blocks, which are used again.
 */

import { utf8BytesMax } from './utf8.ts'

const BLOCK_BYTES = 256 * 1024
const LENGTH_BYTES = 4
/** Blocks in which nothing lies any more, and which are not given back. */
const SPARE_MAX = 8

class Block {
  readonly bytes: Buffer
  used = 0
  kept = 0

  constructor(size: number) {
    this.bytes = Buffer.allocUnsafeSlow(size)
  }
}

/** Where they lie. */
export class Kept {
  readonly #owner: KeptBytes
  readonly #start: number
  readonly length: number
  /** `undefined`: forgotten, and other bytes may lie there. */
  #block: Block | undefined

  constructor(owner: KeptBytes, block: Block, start: number, length: number) {
    this.#owner = owner
    this.#block = block
    this.#start = start
    this.length = length
  }

  /** A copy. */
  get bytes(): Buffer {
    return Buffer.from(this.#bytes())
  }

  /** Of those that `keepTexts` was given, the one at this place. */
  textAt(place: number): string {
    const bytes = this.#all()
    let at = this.#start
    for (let passed = 0; passed < place; passed++) at += LENGTH_BYTES + bytes.readUInt32BE(at)
    return bytes.toString('utf8', at + LENGTH_BYTES, at + LENGTH_BYTES + bytes.readUInt32BE(at))
  }

  forget(): void {
    if (this.#block !== undefined) this.#owner.forgotten(this.#block)
    this.#block = undefined
  }

  #bytes(): Buffer {
    return this.#all().subarray(this.#start, this.#start + this.length)
  }

  #all(): Buffer {
    if (this.#block === undefined) throw new Error('these bytes were forgotten')
    return this.#block.bytes
  }
}

export class KeptBytes {
  #filling = new Block(0)
  readonly #spare: Block[] = []

  /** As UTF-8, each behind its length: what that cannot say comes back as U+FFFD, as it does from a store. */
  keepTexts(texts: readonly string[]): Kept {
    const block = this.#blockFor(this.#lengthOf(texts))
    let at = block.used
    for (const text of texts) {
      const written = block.bytes.write(text, at + LENGTH_BYTES)
      at = block.bytes.writeUInt32BE(written, at) + written
    }
    return this.#kept(block, at - block.used)
  }

  /** A bound; counted exactly only where the bound does not fit. */
  #lengthOf(texts: readonly string[]): number {
    let longest = 0
    for (const text of texts) longest += LENGTH_BYTES + utf8BytesMax(text)
    if (this.#filling.used + longest <= this.#filling.bytes.length) return longest
    return texts.reduce((length, text) => length + LENGTH_BYTES + Buffer.byteLength(text), 0)
  }

  /** A copy of them. */
  keepBytes(bytes: Uint8Array): Kept {
    const block = this.#blockFor(bytes.length)
    block.bytes.set(bytes, block.used)
    return this.#kept(block, bytes.length)
  }

  /** By `Kept.forget` alone. */
  forgotten(block: Block): void {
    block.kept -= 1
    if (block.kept > 0) return
    block.used = 0
    const isSpare = block !== this.#filling && block.bytes.length === BLOCK_BYTES
    if (isSpare && this.#spare.length < SPARE_MAX) this.#spare.push(block)
  }

  #blockFor(length: number): Block {
    if (length > BLOCK_BYTES) return new Block(length)
    if (this.#filling.used + length > this.#filling.bytes.length)
      this.#filling = this.#spare.pop() ?? new Block(BLOCK_BYTES)
    return this.#filling
  }

  #kept(block: Block, length: number): Kept {
    const kept = new Kept(this, block, block.used, length)
    block.used += length
    block.kept += 1
    return kept
  }
}
