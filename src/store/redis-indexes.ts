/**
 * Lists for people in Redis: one list per name, an entry its expiry (ms, base 36), a space and the member. Not a sorted set: that
 * takes four times the memory, three times for each session. A member added again is in it twice until the earlier entry is over,
 * and shown once.
 */
import type { IndexBackend, ListedMembers } from './batched-indexes.ts'
import type { RedisKeys } from './redis-keys.ts'
import { type Argument, type RedisLink, tagIn } from './redis-link.ts'

/** One script stays short. */
const ENTRIES_PER_CALL_MAX = 500
/** Entries looked at together, from the end; and at most: a session that is in a list again and again must not hide the others. */
const ENTRIES_PER_PAGE = 2_000
const ENTRIES_LOOKED_AT_MAX = 100_000

interface KeyedMembers {
  readonly key: string
  readonly members: ReadonlyMap<string, number>
}

export class RedisIndexes implements IndexBackend {
  readonly #connection: RedisLink
  readonly #keys: RedisKeys

  constructor(connection: RedisLink, keys: RedisKeys) {
    this.#connection = connection
    this.#keys = keys
  }

  /** Lists of one shard in one script. */
  async addAll(lists: ListedMembers): Promise<void> {
    const named = Array.from(lists, ([index, members]) => ({ key: this.#keys.index(index), members }))
    const byShard = Map.groupBy(named, ({ key }) => tagIn(key))
    await Promise.all([...byShard.values()].map((ofShard) => this.#addTogether(ofShard)))
  }

  async #addTogether(lists: readonly KeyedMembers[]): Promise<void> {
    let keys: string[] = []
    let args: Argument[] = []
    const write = async () => {
      await this.#connection.script('errandIndexAdd', keys, args)
      keys = []
      args = []
    }
    for (const { key, members } of lists) {
      const entries = Array.from(members, ([member, expiry]) => `${expiry.toString(36)} ${member}`)
      for (let at = 0; at < entries.length; at += ENTRIES_PER_CALL_MAX) {
        const part = entries.slice(at, at + ENTRIES_PER_CALL_MAX)
        if (args.length + part.length > ENTRIES_PER_CALL_MAX) await write()
        keys.push(key)
        args.push(part.length, ...part)
      }
    }
    await write()
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
