/** Lists for people in Redis: one sorted set per list, scored by expiry. */
import { checkedExpiry } from './bounds.ts'
import type { IndexStore } from './ports.ts'
import type { RedisConnection } from './redis-connection.ts'
import type { RedisKeys } from './redis-keys.ts'

export class RedisIndexes implements IndexStore {
  readonly #connection: RedisConnection
  readonly #keys: RedisKeys

  constructor(connection: RedisConnection, keys: RedisKeys) {
    this.#connection = connection
    this.#keys = keys
  }

  async add(index: string, member: string, expiresAtMs: number): Promise<void> {
    await this.#connection.script('errandIndexAdd', [this.#keys.index(index)], [member, checkedExpiry(expiresAtMs)])
  }

  async list(index: string, nowMs: number, limit: number): Promise<readonly string[]> {
    if (limit <= 0) return []
    const range = ['+inf', `(${nowMs}`, 'LIMIT', 0, limit] as const
    return (await this.#connection.command(['ZREVRANGEBYSCORE', this.#keys.index(index), ...range])) as string[]
  }
}
