/** Lists for people in Redis: one sorted set per list, scored by expiry. */
import type { IndexBackend } from './batched-indexes.ts'
import type { RedisKeys } from './redis-keys.ts'
import type { RedisLink } from './redis-link.ts'

/** One script stays short. */
const ENTRIES_PER_CALL_MAX = 500

export class RedisIndexes implements IndexBackend {
  readonly #connection: RedisLink
  readonly #keys: RedisKeys

  constructor(connection: RedisLink, keys: RedisKeys) {
    this.#connection = connection
    this.#keys = keys
  }

  async addAll(index: string, members: ReadonlyMap<string, number>): Promise<void> {
    const all = [...members]
    for (let at = 0; at < all.length; at += ENTRIES_PER_CALL_MAX) {
      const part = all.slice(at, at + ENTRIES_PER_CALL_MAX)
      await this.#connection.script('errandIndexAdd', [this.#keys.index(index)], part.flat())
    }
  }

  async list(index: string, nowMs: number, limit: number): Promise<readonly string[]> {
    const range = ['+inf', `(${nowMs}`, 'LIMIT', 0, limit] as const
    return (await this.#connection.command(['ZREVRANGEBYSCORE', this.#keys.index(index), ...range])) as string[]
  }
}
