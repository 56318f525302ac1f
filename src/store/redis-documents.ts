/** Shared documents in Redis, in the control slot: compared and replaced by one script. */
import type { DocumentStore } from './ports.ts'
import type { RedisKeys } from './redis-keys.ts'
import type { RedisLink } from './redis-link.ts'

export class RedisDocuments implements DocumentStore {
  readonly #connection: RedisLink
  readonly #keys: RedisKeys

  constructor(connection: RedisLink, keys: RedisKeys) {
    this.#connection = connection
    this.#keys = keys
  }

  async read(name: string): Promise<string | undefined> {
    const found = await this.#connection.command(['GET', this.#keys.document(name)])
    return typeof found === 'string' ? found : undefined
  }

  async replace(name: string, expected: string | undefined, text: string): Promise<boolean> {
    const args = expected === undefined ? [text] : [text, expected]
    return (await this.#connection.durably('errandDocumentReplace', [this.#keys.document(name)], args)) === 1
  }
}
