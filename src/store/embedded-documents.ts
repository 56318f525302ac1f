/** Shared documents in LMDB: compared and replaced inside one transaction. */
import type { EmbeddedDatabase } from './embedded-database.ts'
import type { DocumentStore } from './ports.ts'
import { segment } from './segment.ts'

export class EmbeddedDocuments implements DocumentStore {
  readonly #database: EmbeddedDatabase

  constructor(database: EmbeddedDatabase) {
    this.#database = database
  }

  async read(name: string): Promise<string | undefined> {
    return this.#database.read(() => this.#database.get(documentKey(name)))
  }

  replace(name: string, expected: string | undefined, text: string): Promise<boolean> {
    const key = documentKey(name)
    return this.#database.write(() => {
      if (this.#database.get(key) !== expected) return false
      this.#database.put(key, text)
      return true
    })
  }
}

function documentKey(name: string): string {
  return `document:${segment(name)}`
}
