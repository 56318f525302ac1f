/** The outboxes in Redis as the log's sequencer sees them: read on from a cursor, and trimmed behind it. */
import { SHARDS } from '../kernel/store-limits.ts'
import { type Placed, placedIn, placeOf, positionOf, STRANGERS, shardOutbox } from './outbox-position.ts'
import type { OutboxEntry, Pending } from './ports.ts'
import type { KnownRecords } from './record-watcher.ts'
import type { RedisKeys } from './redis-keys.ts'
import { type RedisLink, RedisRefusal } from './redis-link.ts'
import { TRIMMED_KEPT_MS } from './redis-shards.ts'

/** One script stays short. */
const TRIMMED_AT_ONCE = 250
/** Texts of one reading: each may be of tens of kilobytes. */
const TEXTS_AT_ONCE = 32

const LOOKED_FOR_AT_ONCE = 128

/** Entries that one script answers of several outboxes: about a millisecond, in which the server does nothing else. */
const READ_AT_ONCE = 256

interface Outbox {
  readonly name: string
  readonly stream: string
  readonly trimmed: string
  readonly contents: string
  readonly age: string
}

interface Asked {
  readonly outbox: Outbox
  /** `undefined`: from the beginning. */
  readonly cursor: Placed | undefined
  readonly limit: number
}

interface Answer {
  readonly entries: readonly (Placed & { readonly text: string | undefined })[]
  /** Id and name of the last record that was trimmed. */
  readonly trimmed: string
}

/** As the script says it. */
type Answered = readonly [entries: readonly (readonly [id: string, name: string, text?: string])[], trimmed: string]

export class RedisOutboxes {
  readonly #connection: RedisLink
  readonly #all: readonly Outbox[]
  readonly #textsKeptMs: number
  readonly #own: string
  #mayAskTogether = true

  /**
   * @param textsKeptMs how much older than the oldest record a text is before it is forgotten
   * @param own how the names begin of all records that this process writes
   */
  constructor(connection: RedisLink, keys: RedisKeys, textsKeptMs: number, own: string) {
    this.#connection = connection
    this.#own = own
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

  async pending(cursors: ReadonlyMap<string, string>, limit: number, known?: KnownRecords): Promise<Pending> {
    if (limit <= 0) return new Map()
    const asked = this.#all.map((outbox): Asked => {
      const cursor = cursors.get(outbox.name)
      return { outbox, cursor: cursor === undefined ? undefined : placeOf(cursor), limit }
    })
    const answers = await this.#read(asked, known === undefined ? '' : this.#own)
    const found = asked.map(async (one, n) => {
      const entries = await this.#entries(one, answers[n] as Answer, known)
      // Nobody builds on what a failover could still take back.
      if (entries.length > 0) await this.#connection.standing(one.outbox.stream)
      return [one.outbox.name, entries] as const
    })
    return new Map((await Promise.all(found)).filter(([, entries]) => entries.length > 0))
  }

  async #entries(asked: Asked, answer: Answer, known?: KnownRecords): Promise<OutboxEntry[]> {
    const { outbox, cursor } = asked
    const left = cursor === undefined ? answer.entries : behind(cursor, answer)?.slice(0, asked.limit)
    if (left === undefined) {
      const all = { ...asked, cursor: undefined }
      return (await this.#whole(all)).map((entry) => ({ ...entry, again: true }))
    }
    const entries: OutboxEntry[] = []
    for (const { id, name, text } of left) {
      const position = positionOf({ id, name })
      const record = text ?? (known === undefined ? '' : known(outbox.name, position))
      if (record === undefined) return this.#whole(asked)
      entries.push({ position, record })
    }
    return entries
  }

  /** Each with its text. */
  async #whole(asked: Asked): Promise<OutboxEntry[]> {
    const [answer] = await this.#read([asked], '')
    return this.#entries(asked, answer as Answer)
  }

  /** So many outboxes at once that no script is long. @param own how names begin of records that are answered without text */
  async #read(asked: readonly Asked[], own: string): Promise<readonly Answer[]> {
    const most = Math.max(1, Math.floor(READ_AT_ONCE / (asked[0]?.limit ?? 1)))
    const groups = Array.from({ length: Math.ceil(asked.length / most) }, (_, n) =>
      asked.slice(n * most, (n + 1) * most),
    )
    return (await Promise.all(groups.map((group) => this.#readGroup(group, own)))).flat()
  }

  async #readGroup(asked: readonly Asked[], own: string): Promise<readonly Answer[]> {
    const keys = asked.map(({ outbox: { stream, trimmed } }) => [stream, trimmed])
    const from = asked.map(({ cursor, limit }) => (cursor === undefined ? ['-', limit] : [cursor.id, limit + 1]))
    const script = 'errandOutboxPending'
    const together = await this.#together(script, keys.flat(), [own, ...from.flat()])
    if (together !== undefined) return (together as readonly Answered[]).map(answerOf)
    const each = keys.map(async (of, n) => {
      const [answer] = (await this.#connection.script(script, of, [own, ...(from[n] ?? [])])) as [Answered]
      return answerOf(answer)
    })
    return Promise.all(each)
  }

  /** One server in cluster mode refuses keys of several slots, also where it has them all: it is asked once. */
  async #together(...asked: Parameters<RedisLink['script']>): Promise<unknown> {
    if (!this.#mayAskTogether) return undefined
    try {
      return await this.#connection.together?.(...asked)
    } catch (error) {
      if (!(error instanceof RedisRefusal) || error.code !== 'CROSSSLOT') throw error
      this.#mayAskTogether = false
      return undefined
    }
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

/** What comes behind the cursor; `undefined`: the outbox is not as the cursor left it. */
function behind({ id, name }: Placed, { entries, trimmed }: Answer): Answer['entries'] | undefined {
  const [first] = entries
  if (first?.id === id && first.name === name) return entries.slice(1)
  // The stream begins behind it: nothing else of this id can be there.
  return trimmed === `${id} ${name}` ? entries : undefined
}

function answerOf([entries, trimmed]: Answered): Answer {
  return { entries: entries.map(([id, name, text]) => ({ id, name, text })), trimmed }
}
