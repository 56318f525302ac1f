/**
 * What records name by digest, in LMDB: each text once, for as long as a record that is in the outbox may name it.
 *
 * A text has an age: the position of a record that named it. It is told anew only when so many records have come since, because
 * the text has to be written with it; so it is never more than that behind the last record that named it. What is forgotten is
 * older than the oldest record that is left by more than that: nothing that is left names it.
 */
import type { Content } from '../model/commit.ts'
import { contentsFullAt, type OutboxBounds } from './bounds.ts'
import type { EmbeddedDatabase } from './embedded-database.ts'
import { EmbeddedList } from './embedded-list.ts'
import { segment } from './segment.ts'

/** Of the records that an outbox takes: how far an age may be behind. */
const AGE_PERCENT = 1
/** Texts whose age is in memory as well: most records name what those before them have named. More are forgotten together. */
const AGES_REMEMBERED_MAX = 4_096

export class EmbeddedContents {
  readonly #database: EmbeddedDatabase
  /** Ages and digests, in order of age; of a digest that was told anew only the last counts. */
  readonly #ages: EmbeddedList
  readonly #bounds: OutboxBounds
  readonly #behindMax: number
  /** By digest: the age that is on disk. */
  readonly #remembered = new Map<string, number>()

  constructor(database: EmbeddedDatabase, bounds: OutboxBounds) {
    this.#database = database
    this.#bounds = bounds
    this.#ages = new EmbeddedList(database, 'contents-order:')
    this.#behindMax = Math.ceil((bounds.recordsMax * AGE_PERCENT) / 100)
    database.onForeignWrites(() => this.#remembered.clear())
  }

  /** Inside a job only. */
  isFull(isEnd: boolean): boolean {
    return this.#ages.length >= contentsFullAt(this.#bounds, isEnd)
  }

  /** Inside a job only. @param at position of the record that names it */
  keepInside({ digest, text }: Content, at: number): void {
    const age = this.#remembered.get(digest) ?? this.#ageOf(digest)
    const isRecent = age !== undefined && at - age <= this.#behindMax
    if (!isRecent) {
      this.#database.put(contentKey(digest), `${this.#ages.nextPosition} ${text}`)
      this.#ages.appendInside(`${at} ${digest}`)
    }
    this.#remember(digest, isRecent ? age : at)
  }

  #ageOf(digest: string): number | undefined {
    const known = this.#database.get(contentKey(digest))
    const age = known === undefined ? undefined : this.#ages.at(known.slice(0, known.indexOf(' ')))
    return age === undefined ? undefined : parseAge(age).at
  }

  #remember(digest: string, age: number): void {
    if (this.#remembered.size >= AGES_REMEMBERED_MAX) this.#remembered.clear()
    this.#remembered.set(digest, age)
  }

  /** Inside a job only: so many at once; whether there may be more. @param oldest position of the oldest record that is left */
  forgetInside(oldest: number, most: number): boolean {
    const ages = this.#ages.earliest(most)
    const old = ages.filter(({ value }) => parseAge(value).at < oldest - this.#behindMax)
    for (const { position, value } of old) {
      const { digest } = parseAge(value)
      const key = contentKey(digest)
      if (this.#database.get(key)?.startsWith(`${position} `) !== true) continue
      this.#database.remove(key)
      this.#remembered.delete(digest)
    }
    const last = old.at(-1)
    if (last !== undefined) this.#ages.trimInside(last.position, most)
    return old.length === most
  }

  /** Inside a read or a job. */
  textOf(digest: string): string | undefined {
    const kept = this.#database.get(contentKey(digest))
    return kept?.slice(kept.indexOf(' ') + 1)
  }
}

function parseAge(value: string): { readonly at: number; readonly digest: string } {
  const space = value.indexOf(' ')
  return { at: Number(value.slice(0, space)), digest: value.slice(space + 1) }
}

function contentKey(digest: string): string {
  return `content:${segment(digest)}`
}
