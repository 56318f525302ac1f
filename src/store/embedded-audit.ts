/**
 * The audit outbox in LMDB: one machine, so one ordered list in place of 64 shards, and one for strangers' refusals.
 * Appending happens inside the transaction of what is recorded: there is no state in which one is on disk without the other.
 */
import { CONTENTS_MAX, OUTBOX_RECORDS_MAX, STRANGER_RECORDS_MAX } from '../kernel/store-limits.ts'
import type { Content } from '../model/commit.ts'
import { checkedContents } from './commit-rules.ts'
import type { EmbeddedDatabase } from './embedded-database.ts'
import { EmbeddedList, type Listed } from './embedded-list.ts'
import type { AuditStore, OutboxEntry, OutboxExtent, OutboxUsage } from './ports.ts'
import { recordName } from './record-name.ts'
import { segment } from './segment.ts'

export interface AuditBounds {
  readonly recordsMax: number
  readonly strangersMax: number
  readonly contentsMax: number
}

const BOUNDS: AuditBounds = {
  recordsMax: OUTBOX_RECORDS_MAX,
  strangersMax: STRANGER_RECORDS_MAX,
  contentsMax: CONTENTS_MAX,
}

export class EmbeddedAudit implements AuditStore {
  readonly #database: EmbeddedDatabase
  readonly #outbox: EmbeddedList
  readonly #strangers: EmbeddedList
  /** Digests, in order of first arrival. */
  readonly #contents: EmbeddedList
  readonly #recordsMax: number

  constructor(database: EmbeddedDatabase, bounds: Partial<AuditBounds> = {}) {
    const { recordsMax, strangersMax, contentsMax } = { ...BOUNDS, ...bounds }
    this.#database = database
    this.#recordsMax = recordsMax
    this.#outbox = new EmbeddedList(database, 'outbox:', recordsMax, (record) => {
      const id = recordName(record)
      if (id !== undefined) database.remove(recordKey(id))
    })
    this.#strangers = new EmbeddedList(database, 'strangers:', strangersMax)
    this.#contents = new EmbeddedList(database, 'contents-order:', contentsMax, (digest, position) => {
      const key = contentKey(digest)
      // It has come again since, and has a younger place.
      if (database.get(key)?.startsWith(`${position} `) === true) database.remove(key)
    })
  }

  async append(_key: string, record: string, contents?: readonly Content[]): Promise<void> {
    const checked = checkedContents(contents)
    await this.#database.write(() => {
      for (const content of checked) this.keepInside(content)
      this.appendInside(record)
    })
  }

  /**
   * Inside a job only. A full outbox forgets its oldest record: nothing consumes it yet, and a broker that stopped here would
   * stop for good. The sequencer that will (DESIGN §8) must make this a refusal for what it has not read.
   */
  appendInside(record: string): void {
    const id = recordName(record)
    if (id !== undefined) {
      const known = this.#database.get(recordKey(id))
      const position = this.#outbox.nextPosition
      this.#database.put(recordKey(id), known === undefined ? position : `${known} ${position}`)
    }
    this.#outbox.appendInside(record)
  }

  /** With the outbox's next position in front: that is its place among the other records. */
  async appendStrangers(record: string): Promise<void> {
    await this.#database.write(() => this.#strangers.appendInside(`${this.#outbox.nextPosition} ${record}`))
  }

  /**
   * Inside a job only. Kept once; beyond the bound the oldest is forgotten. One that comes again when half of the bound has come
   * behind it is the youngest again: it is not forgotten before that half, and most arrivals write nothing.
   */
  keepInside({ digest, text }: Content): void {
    const key = contentKey(digest)
    const known = this.#database.get(key)
    if (known !== undefined && !this.#contents.isInOlderHalf(known.slice(0, known.indexOf(' ')))) return
    this.#database.put(key, `${this.#contents.nextPosition} ${text}`)
    this.#contents.appendInside(digest)
  }

  async content(digest: string, _key: string): Promise<string | undefined> {
    const kept = this.#database.read(() => this.#database.get(contentKey(digest)))
    return kept?.slice(kept.indexOf(' ') + 1)
  }

  async page(limit: number, after?: string): Promise<readonly OutboxEntry[]> {
    if (limit <= 0) return []
    const listed = this.#database.read(() => this.#outbox.latest(limit, after))
    return listed.map(({ position, value }) => ({ position, record: value }))
  }

  async find(id: string): Promise<readonly string[]> {
    return this.#database.read(() => {
      const positions = this.#database.get(recordKey(id))?.split(' ') ?? []
      return positions.flatMap((position) => this.#outbox.at(position) ?? [])
    })
  }

  async latest(limit: number): Promise<readonly OutboxEntry[]> {
    if (limit <= 0) return []
    return this.#database.read(() => merged(this.#outbox.latest(limit), this.#strangers.latest(limit)).slice(0, limit))
  }

  async extents(): Promise<readonly OutboxExtent[]> {
    return this.#database.read(() => {
      const records = this.#outbox.countInside()
      return [{ records, oldest: this.#outbox.oldestInside(), isFull: records >= this.#recordsMax }]
    })
  }

  async usage(): Promise<OutboxUsage> {
    return this.#database.read(() => ({ records: this.#outbox.countInside(), limit: this.#recordsMax }))
  }
}

/** Newest first. A stranger's record is newer than every record before the position it carries. */
function merged(records: readonly Listed[], strangers: readonly Listed[]): readonly OutboxEntry[] {
  const entries: OutboxEntry[] = []
  let at = 0
  for (const { position, value } of strangers) {
    const space = value.indexOf(' ')
    const before = value.slice(0, space)
    for (let next = records[at]; next !== undefined && next.position >= before; next = records[at]) {
      entries.push({ position: next.position, record: next.value })
      at++
    }
    entries.push({ position, record: value.slice(space + 1) })
  }
  return [...entries, ...records.slice(at).map((next) => ({ position: next.position, record: next.value }))]
}

function recordKey(id: string): string {
  return `record:${segment(id)}`
}

function contentKey(digest: string): string {
  return `content:${segment(digest)}`
}
