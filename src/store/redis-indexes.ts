/**
 * Lists for people in Redis: one list per name, an entry its expiry (ms, base 36), a space and the member. Not a sorted set: that
 * takes four times the memory, three times for each session. A member added again is in it twice until the earlier entry is over,
 * and shown once.
 */
import type { IndexBackend } from './batched-indexes.ts'
import type { RedisKeys } from './redis-keys.ts'
import type { RedisLink } from './redis-link.ts'

/** One script stays short. */
const ENTRIES_PER_CALL_MAX = 500
/** Of a longer list, those are looked at that came last: more than anybody is shown. */
const LISTED_OF_MAX = 2_000

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
      const entries = part.map(([member, expiry]) => `${expiry.toString(36)} ${member}`)
      await this.#connection.script('errandIndexAdd', [this.#keys.index(index)], entries)
    }
  }

  async list(index: string, nowMs: number, limit: number): Promise<readonly string[]> {
    const latest = [...(await this.#living(index, nowMs))].sort(([, one], [, other]) => other - one)
    return latest.slice(0, limit).map(([member]) => member)
  }

  async count(index: string, nowMs: number, limit: number): Promise<number> {
    return Math.min((await this.#living(index, nowMs)).size, limit)
  }

  /** Members with their expiry. */
  async #living(index: string, nowMs: number): Promise<ReadonlyMap<string, number>> {
    const key = this.#keys.index(index)
    const newest = (await this.#connection.command(['LRANGE', key, -LISTED_OF_MAX, -1])) as readonly string[]
    const members = new Map<string, number>()
    for (const entry of newest) {
      const space = entry.indexOf(' ')
      const expiry = Number.parseInt(entry.slice(0, space), 36)
      const member = entry.slice(space + 1)
      if (expiry > nowMs) members.set(member, Math.max(expiry, members.get(member) ?? 0))
    }
    return members
  }
}
