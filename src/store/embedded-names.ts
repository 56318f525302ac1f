/**
 * Which record of the outbox has which id, in LMDB: of each transaction the ids of its records in their order, in one entry or a
 * few. An entry for each would cost an exchange as much as the record itself; and whoever looks for an id reads through entries of
 * a minute, some sixty ids to each.
 */
import type { EmbeddedDatabase } from './embedded-database.ts'
import type { TransactionPart } from './embedded-jobs.ts'
import { ordered } from './embedded-keys.ts'
import { segment } from './segment.ts'

const NAMES = 'names:'
/** Brokers before this one wrote an entry for each id, with the positions of its records: read until they are removed with the first that are trimmed. */
const BEFORE = 'record:'
/** In LMDB it lies among others on a page, not on one of its own. */
const NAMES_CHARS_MAX = 1_900
/** A record that nobody looks up. */
const NAMELESS = '-'

interface Named {
  /** Of the first; the others follow it one by one. */
  readonly first: number
  readonly ids: string[]
  chars: number
}

export class EmbeddedNames implements TransactionPart {
  readonly #database: EmbeddedDatabase
  #written: Named[] = []

  constructor(database: EmbeddedDatabase) {
    this.#database = database
    database.withEachTransaction(this)
  }

  begin(): void {
    this.#written = []
  }

  /** Inside a job only. @param position behind that of the last one named */
  name(position: number, id: string = NAMELESS): void {
    const last = this.#written.at(-1)
    const goesOn = last !== undefined && last.first + last.ids.length === position
    if (goesOn && last.chars + id.length < NAMES_CHARS_MAX) {
      last.ids.push(id)
      last.chars += id.length + 1
    } else this.#written.push({ first: position, ids: [id], chars: id.length + 1 })
  }

  end(): void {
    for (const { first, ids } of this.#written) this.#database.put(NAMES + ordered(first), ids.join(' '))
    this.#written = []
  }

  /** Inside a read: positions of the records of this id, oldest first. */
  positionsOf(id: string): readonly string[] {
    if (id === NAMELESS) return []
    const found = this.#database.get(BEFORE + segment(id))?.split(' ') ?? []
    for (const { key, value } of this.#database.range(NAMES)) {
      if (!value.includes(id)) continue
      const first = Number(key.slice(NAMES.length))
      for (const [n, name] of value.split(' ').entries()) if (name === id) found.push(ordered(first + n))
    }
    return found
  }

  /** Inside a job only: so many entries at once; whether there may be more. @param oldest position of the oldest record that is left */
  forgetInside(oldest: number, most: number): boolean {
    const gone: string[] = []
    for (const { key, value } of this.#database.range(NAMES, { limit: most })) {
      if (Number(key.slice(NAMES.length)) + value.split(' ').length > oldest) break
      gone.push(key)
    }
    for (const { key } of this.#database.range(BEFORE, { limit: most })) gone.push(key)
    for (const key of gone) this.#database.remove(key)
    return gone.length >= most
  }
}
