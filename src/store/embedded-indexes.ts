/**
 * Lists for people in LMDB: keys in order of expiry. A member added again with another expiry is in the list twice until the
 * earlier one is over, and shown once: it is added hundreds of times a second and listed when somebody looks.
 */
import type { IndexBackend, ListedMembers } from './batched-indexes.ts'
import type { EmbeddedDatabase } from './embedded-database.ts'
import { after, ordered, parseExpiring } from './embedded-keys.ts'
import { segment } from './segment.ts'

export class EmbeddedIndexes implements IndexBackend {
  readonly #database: EmbeddedDatabase

  constructor(database: EmbeddedDatabase) {
    this.#database = database
  }

  async addAll(lists: ListedMembers): Promise<void> {
    const database = this.#database
    await database.write(() => {
      const nowMs = database.clock.nowMs()
      for (const [index, members] of lists) {
        const list = `index:${segment(index)}:`
        for (const [member, expiry] of members) {
          if (expiry > nowMs) database.putExpiring(`${list}${ordered(expiry)}:${segment(member)}`, expiry, member)
        }
      }
    })
  }

  async list(index: string, nowMs: number, limit: number): Promise<readonly string[]> {
    return this.#database.read(() => {
      const members = new Set<string>()
      for (const { value } of this.#database.range(`index:${segment(index)}:`, { reverse: true })) {
        const entry = parseExpiring(value)
        if (entry.expiresAtMs <= nowMs || members.size === limit) break
        members.add(entry.text)
      }
      return [...members]
    })
  }

  async count(index: string, nowMs: number, limit: number): Promise<number> {
    const list = `index:${segment(index)}:`
    return this.#database.read(() => {
      let count = 0
      const alive = { from: `${list}${ordered(nowMs + 1)}`, end: after(list), limit }
      for (const _entry of this.#database.range(list, alive)) count += 1
      return count
    })
  }
}
