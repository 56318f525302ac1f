/** One document with compare-and-set, in memory. */
import type { RingDocument } from '../../src/keys/shared-ring.ts'

export class MemoryDocument implements RingDocument {
  text: string | undefined

  async read(): Promise<string | undefined> {
    return this.text
  }

  async replace(expected: string | undefined, text: string): Promise<boolean> {
    if (this.text !== expected) return false
    this.text = text
    return true
  }
}
