/** The outboxes in Redis as the log's sequencer sees them: read on from a cursor, and trimmed behind it. */
import { SHARDS } from '../kernel/store-limits.ts'
import { type PlacedRecord, placedIn, placeOf, positionOf, STRANGERS, shardOutbox } from './outbox-position.ts'
import type { OutboxEntry } from './ports.ts'
import type { RedisKeys } from './redis-keys.ts'
import type { RedisLink } from './redis-link.ts'
import { TRIMMED_KEPT_MS } from './redis-shards.ts'

/** One script stays short. */
const TRIMMED_AT_ONCE = 250
/** Texts of one reading: each may be of tens of kilobytes. */
const TEXTS_AT_ONCE = 32

const LOOKED_FOR_AT_ONCE = 128

interface Outbox {
  readonly name: string
  readonly stream: string
  readonly trimmed: string
  readonly contents: string
  readonly age: string
}

export class RedisOutboxes {
  readonly #connection: RedisLink
  readonly #all: readonly Outbox[]
  readonly #textsKeptMs: number

  /** @param textsKeptMs how much older than the oldest record a text is before it is forgotten */
  constructor(connection: RedisLink, keys: RedisKeys, textsKeptMs: number) {
    this.#connection = connection
    this.#textsKeptMs = textsKeptMs
    const [streams, trimmed, contents, ages] = [
      keys.outboxes(),
      keys.allTrimmed(),
      keys.allContents(),
      keys.allContentsAges(),
    ]
    const shards = Array.from({ length: SHARDS }, (_, n) => ({
      name: shardOutbox(n),
      stream: streams[n] ?? '',
      trimmed: trimmed[n] ?? '',
      contents: contents[n] ?? '',
      age: ages[n] ?? '',
    }))
    const strangers = {
      name: STRANGERS,
      stream: keys.strangers(),
      trimmed: keys.ofStrangers('trimmed'),
      contents: keys.ofStrangers('contents'),
      age: keys.ofStrangers('contents-age'),
    }
    this.#all = [...shards, strangers]
  }

  get names(): readonly string[] {
    return this.#all.map(({ name }) => name)
  }

  async pending(cursors: ReadonlyMap<string, string>, limit: number): Promise<ReadonlyMap<string, OutboxEntry[]>> {
    if (limit <= 0) return new Map()
    const read = this.#all.map(async (outbox) => {
      const entries = await this.#behind(outbox, cursors.get(outbox.name), limit)
      // Nobody builds on what a failover could still take back.
      if (entries.length > 0) await this.#connection.standing(outbox.stream)
      return [outbox.name, entries] as const
    })
    return new Map((await Promise.all(read)).filter(([, entries]) => entries.length > 0))
  }

  async #behind(outbox: Outbox, cursor: string | undefined, limit: number): Promise<OutboxEntry[]> {
    if (cursor === undefined) return (await this.#read(outbox, '-', limit)).entries.map((entry) => entryOf(entry))
    const place = placeOf(cursor)
    const { entries, trimmed } = await this.#read(outbox, place.id, limit + 1)
    const [first, ...others] = entries
    if (first?.id === place.id && first.name === place.name) return others.map((entry) => entryOf(entry))
    // The stream begins behind it: nothing else of this id can be there.
    if (trimmed === `${place.id} ${place.name}`) return entries.slice(0, limit).map((entry) => entryOf(entry))
    return (await this.#read(outbox, '-', limit)).entries.map((entry) => ({ ...entryOf(entry), again: true }))
  }

  async #read({ stream, trimmed: mark }: Outbox, from: string, limit: number) {
    const answer = await this.#connection.script('errandOutboxPending', [stream, mark], [from, limit])
    const [found, trimmed] = answer as [unknown, string]
    return { entries: placedIn(found), trimmed }
  }

  async trim(name: string, upTo: string): Promise<boolean> {
    const { stream, trimmed, contents, age } = this.#named(name)
    const place = placeOf(upTo)
    const args = [place.id, place.name, TRIMMED_AT_ONCE, TRIMMED_KEPT_MS, this.#textsKeptMs]
    const keys = [stream, trimmed, contents, age]
    for (;;) {
      const answer = await this.#connection.script('errandOutboxTrim', keys, args)
      if (answer !== 0) return answer === 1
    }
  }

  async contentsIn(name: string, digests: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const { contents } = this.#named(name)
    const found = new Map<string, string>()
    for (let at = 0; at < digests.length; at += TEXTS_AT_ONCE) {
      const some = digests.slice(at, at + TEXTS_AT_ONCE)
      const texts = (await this.#connection.command(['HMGET', contents, ...some])) as readonly (string | null)[]
      for (const [n, text] of texts.entries()) if (text !== null) found.set(some[n] ?? '', text)
    }
    return found
  }

  async holds(name: string, positions: readonly string[]): Promise<ReadonlySet<string>> {
    const { stream } = this.#named(name)
    const held = new Set<string>()
    for (let at = 0; at < positions.length; at += LOOKED_FOR_AT_ONCE) {
      const looks = positions.slice(at, at + LOOKED_FOR_AT_ONCE).map(async (position) => {
        const { id, name: wanted } = placeOf(position)
        const [found] = placedIn(await this.#connection.command(['XRANGE', stream, id, id]))
        if (found?.name === wanted) held.add(position)
      })
      await Promise.all(looks)
    }
    return held
  }

  #named(name: string): Outbox {
    const outbox = this.#all.find((one) => one.name === name)
    if (outbox === undefined) throw new TypeError('there is no such outbox')
    return outbox
  }
}

function entryOf(placed: PlacedRecord): OutboxEntry {
  return { position: positionOf(placed), record: placed.record }
}
