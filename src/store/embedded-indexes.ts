/** Lists for people in LMDB: keys in order of expiry, and beside them each member's present expiry. */
import { checkedExpiry } from './bounds.ts'
import type { EmbeddedDatabase } from './embedded-database.ts'
import { ordered, parseExpiring } from './embedded-keys.ts'
import type { IndexStore } from './ports.ts'
import { segment } from './segment.ts'

export class EmbeddedIndexes implements IndexStore {
  readonly #database: EmbeddedDatabase

  constructor(database: EmbeddedDatabase) {
    this.#database = database
  }

  async add(index: string, member: string, expiresAtMs: number): Promise<void> {
    const expiry = checkedExpiry(expiresAtMs)
    const database = this.#database
    const memberKey = `member:${segment(index)}:${segment(member)}`
    const listKey = (at: number): string => `index:${segment(index)}:${ordered(at)}:${segment(member)}`
    await database.write(() => {
      const old = database.getExpiring(memberKey)
      if (old !== undefined && old.expiresAtMs >= expiry) return
      if (old !== undefined) database.removeExpiring(listKey(old.expiresAtMs))
      database.putExpiring(listKey(expiry), expiry, member)
      database.putExpiring(memberKey, expiry, '')
    })
  }

  async list(index: string, nowMs: number, limit: number): Promise<readonly string[]> {
    if (limit <= 0) return []
    return this.#database.read(() => {
      const members: string[] = []
      for (const { value } of this.#database.range(`index:${segment(index)}:`, { reverse: true, limit })) {
        const entry = parseExpiring(value)
        if (entry.expiresAtMs <= nowMs) break
        members.push(entry.text)
      }
      return members
    })
  }
}
