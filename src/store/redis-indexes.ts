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
/** Entries looked at together, from the end; and at most: a session that is in a list again and again must not hide the others. */
const ENTRIES_PER_PAGE = 2_000
const ENTRIES_LOOKED_AT_MAX = 100_000

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
    const latest = [...(await this.#living(index, nowMs, limit))].sort(([, one], [, other]) => other - one)
    return latest.slice(0, limit).map(([member]) => member)
  }

  async count(index: string, nowMs: number, limit: number): Promise<number> {
    return Math.min((await this.#living(index, nowMs, limit)).size, limit)
  }

  /** So many members with their expiry, or a few more. */
  async #living(index: string, nowMs: number, limit: number): Promise<ReadonlyMap<string, number>> {
    const key = this.#keys.index(index)
    const members = new Map<string, number>()
    for (let at = 0; at < ENTRIES_LOOKED_AT_MAX && members.size < limit; at += ENTRIES_PER_PAGE) {
      const page = (await this.#connection.command(['LRANGE', key, -at - ENTRIES_PER_PAGE, -at - 1])) as string[]
      for (const entry of page) {
        const space = entry.indexOf(' ')
        const expiry = Number.parseInt(entry.slice(0, space), 36)
        const member = entry.slice(space + 1)
        if (expiry > nowMs) members.set(member, Math.max(expiry, members.get(member) ?? 0))
      }
      if (page.length < ENTRIES_PER_PAGE) break
    }
    return members
  }
}
