/** Lists for people in LMDB: keys in order of expiry, and beside them each member's present expiry. */
import type { IndexBackend } from './batched-indexes.ts'
import type { EmbeddedDatabase } from './embedded-database.ts'
import { ordered, parseExpiring } from './embedded-keys.ts'
import { segment } from './segment.ts'

export class EmbeddedIndexes implements IndexBackend {
  readonly #database: EmbeddedDatabase

  constructor(database: EmbeddedDatabase) {
    this.#database = database
  }

  async addAll(index: string, members: ReadonlyMap<string, number>): Promise<void> {
    const list = `index:${segment(index)}:`
    await this.#database.write(() => {
      for (const [member, expiry] of members)
        this.#add(list, `member:${segment(index)}:${segment(member)}`, member, expiry)
    })
  }

  #add(list: string, memberKey: string, member: string, expiry: number): void {
    const database = this.#database
    const listKey = (at: number): string => `${list}${ordered(at)}:${segment(member)}`
    const old = database.getExpiring(memberKey)
    if (old !== undefined && old.expiresAtMs >= expiry) return
    if (old !== undefined) database.removeExpiring(listKey(old.expiresAtMs))
    database.putExpiring(listKey(expiry), expiry, member)
    database.putExpiring(memberKey, expiry, '')
  }

  async list(index: string, nowMs: number, limit: number): Promise<readonly string[]> {
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
