/**
 * When which keys of the embedded store are looked at, to be removed if they have expired: beside each key that expires stands
 * its name in a list of those that do so about when it does. A list is written once per transaction, not once per key.
 *
 * A name in a list says when to look, and no more: the entry itself says when it expires. Where that has moved, the key is in
 * another list as well. So nothing has to be taken out of a list, and no list removes what lives on.
 */
import { newNonce } from '../kernel/ids.ts'
import { SWEEP_ENTRIES_MAX } from './bounds.ts'
import type { TransactionPart } from './embedded-jobs.ts'
import { NEVER_MS, ordered, parseExpiring, type Range } from './embedded-keys.ts'

const LISTS = 'expiries:'
/** Of brokers before this one, each of one name. They removed whatever such an entry names, and so must not find these lists. */
const SINGLE = 'expiry:'
/** What is in one list expires within this: a key stays at most so much longer than it has to. */
const SPREAD_MS = 1_000
/** Of the names in one list: in LMDB it lies among others on a page, not on one of its own; and a few are swept at once. */
const LIST_CHARS_MAX = 1_900

interface Noted {
  readonly key: string
  readonly expiresAtMs: number
}

/** Of the database, inside a transaction. */
interface Entries {
  get(key: string): string | undefined
  put(key: string, value: string): void
  remove(key: string): void
  range(prefix: string, options: Range): Iterable<{ readonly key: string; readonly value: string }>
}

export class EmbeddedExpiry implements TransactionPart {
  readonly #database: Entries
  /** No list ever takes the place of another of the same moment, whoever wrote it. */
  readonly #own = newNonce()
  #lists = 0
  #noted: Noted[] = []

  constructor(database: Entries) {
    this.#database = database
  }

  begin(): void {
    this.#noted = []
  }

  /** Inside a job only. */
  note(key: string, expiresAtMs: number): void {
    if (expiresAtMs < NEVER_MS) this.#noted.push({ key, expiresAtMs })
  }

  end(): void {
    const noted = this.#noted.sort((one, other) => one.expiresAtMs - other.expiresAtMs)
    for (let at = 0; at < noted.length; ) at = this.#writeList(noted, at)
    this.#noted = []
  }

  /** @returns where the next list begins */
  #writeList(noted: readonly Noted[], from: number): number {
    const [first, names] = [noted[from], [] as string[]]
    if (first === undefined) return noted.length
    let [chars, until, at] = [0, first.expiresAtMs, from]
    for (let next = noted[at]; next !== undefined; next = noted[++at]) {
      if (names.length > 0 && next.expiresAtMs > first.expiresAtMs + SPREAD_MS) break
      if (names.length > 0 && chars + next.key.length > LIST_CHARS_MAX) break
      names.push(next.key)
      chars += next.key.length + 1
      until = next.expiresAtMs
    }
    this.#lists += 1
    this.#database.put(`${LISTS}${ordered(until)}:${this.#own}.${this.#lists}`, names.join('\n'))
    return at
  }

  /** Inside a transaction: about {@link SWEEP_ENTRIES_MAX} keys. @returns whether there are more */
  sweep(nowMs: number): boolean {
    const lists = [...this.#due(nowMs)]
    for (const { key: list, names } of lists) {
      for (const name of names) {
        const value = this.#database.get(name)
        if (value !== undefined && parseExpiring(value).expiresAtMs <= nowMs) this.#database.remove(name)
      }
      this.#database.remove(list)
    }
    return lists.reduce((sum, { names }) => sum + names.length, 0) >= SWEEP_ENTRIES_MAX
  }

  *#due(nowMs: number) {
    let names = 0
    for (const lists of [SINGLE, LISTS]) {
      for (const { key, value } of this.#database.range(lists, { end: `${lists}${ordered(nowMs + 1)}` })) {
        const list = { key, names: value.split('\n') }
        yield list
        names += list.names.length
        if (names >= SWEEP_ENTRIES_MAX) return
      }
    }
  }
}
