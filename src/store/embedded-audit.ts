/**
 * The audit outbox in LMDB: one machine, so one ordered list in place of 64 shards, and one for strangers' refusals.
 * Appending happens inside the transaction of what is recorded: there is no state in which one is on disk without the other.
 */
import { STRANGER_RECORDS_MAX } from '../kernel/store-limits.ts'
import type { Content } from '../model/commit.ts'
import { fullAt, type OutboxBounds, outboxBounds } from './bounds.ts'
import { checkedContents } from './commit-rules.ts'
import { EmbeddedContents } from './embedded-contents.ts'
import type { EmbeddedDatabase } from './embedded-database.ts'
import { EmbeddedList, type Listed } from './embedded-list.ts'
import { EmbeddedNames } from './embedded-names.ts'
import { type AuditStore, type OutboxEntry, type OutboxExtent, OutboxFull, type OutboxUsage } from './ports.ts'
import { recordName } from './record-name.ts'
import type { AcknowledgedRecord } from './record-watcher.ts'

export type AuditBounds = OutboxBounds & { readonly strangersMax: number }

/** Names of the outboxes. */
const RECORDS = 'records'
const STRANGERS = 'strangers'
/** One transaction stays short. */
const TRIMMED_AT_ONCE = 250

export class EmbeddedAudit implements AuditStore {
  readonly outboxes = [RECORDS, STRANGERS]
  readonly #database: EmbeddedDatabase
  readonly #outbox: EmbeddedList
  readonly #strangers: EmbeddedList
  readonly #names: EmbeddedNames
  readonly #contents: EmbeddedContents
  readonly #bounds: AuditBounds

  constructor(database: EmbeddedDatabase, bounds: Partial<AuditBounds> = {}) {
    this.#bounds = { ...outboxBounds({}), strangersMax: STRANGER_RECORDS_MAX, ...bounds }
    this.#database = database
    this.#outbox = new EmbeddedList(database, 'outbox:')
    this.#names = new EmbeddedNames(database)
    this.#strangers = new EmbeddedList(database, 'strangers:', this.#bounds.strangersMax)
    this.#contents = new EmbeddedContents(database, this.#bounds)
  }

  async append(_key: string, record: string, contents?: readonly Content[], isEnd = false): Promise<void> {
    const checked = checkedContents(contents)
    await this.#database.write(() => {
      this.assertRoomInside(isEnd)
      this.appendInside(record, checked)
    })
  }

  /** Inside a job only, before its first put. @throws OutboxFull */
  assertRoomInside(isEnd = false): void {
    const isFull = this.#outbox.length >= fullAt(this.#bounds, isEnd) || this.#contents.isFull(isEnd)
    if (isFull) throw new OutboxFull()
  }

  /** Inside a job only, where there is room. What it names is kept before it. */
  appendInside(record: string | undefined, contents: readonly Content[] = []): void {
    for (const content of contents) this.#contents.keepInside(content, this.#outbox.ends.next)
    if (record === undefined) return
    this.#names.name(this.#outbox.ends.next, recordName(record))
    this.#outbox.appendInside(record)
  }

  /** With the outbox's next position in front: that is its place among the other records. */
  async appendStrangers(record: string): Promise<void> {
    await this.#database.write(() => this.#strangers.appendInside(`${this.#outbox.nextPosition} ${record}`))
  }

  /** Where nothing is lost, nobody asks for it. */
  async appendAgain({ key, record, contents }: AcknowledgedRecord): Promise<void> {
    await (key === undefined ? this.appendStrangers(record) : this.append(key, record, contents, true))
  }

  async content(digest: string, _key: string): Promise<string | undefined> {
    return this.#database.read(() => this.#contents.textOf(digest))
  }

  async page(limit: number, after?: string): Promise<readonly OutboxEntry[]> {
    if (limit <= 0) return []
    const listed = this.#database.read(() => this.#outbox.latest(limit, after))
    return listed.map(entryOf)
  }

  async find(id: string): Promise<readonly string[]> {
    return this.#database.read(() => {
      return this.#names.positionsOf(id).flatMap((position) => this.#outbox.at(position) ?? [])
    })
  }

  async latest(limit: number): Promise<readonly OutboxEntry[]> {
    if (limit <= 0) return []
    return this.#database.read(() => merged(this.#outbox.latest(limit), this.#strangers.latest(limit)).slice(0, limit))
  }

  async pending(cursors: ReadonlyMap<string, string>, limit: number) {
    const found = new Map<string, readonly OutboxEntry[]>()
    if (limit <= 0) return found
    this.#database.read(() => {
      const records = this.#outbox.earliest(limit, cursors.get(RECORDS))
      const strangers = this.#strangers.earliest(limit, cursors.get(STRANGERS))
      if (records.length > 0) found.set(RECORDS, records.map(entryOf))
      if (strangers.length > 0)
        found.set(
          STRANGERS,
          strangers.map((listed) => entryOf(unplaced(listed))),
        )
    })
    return found
  }

  async trim(outbox: string, upTo: string): Promise<boolean> {
    if (!/^[0-9]{16}$/.test(upTo)) throw new TypeError('a position is one that `pending` has answered')
    const list = this.#named(outbox)
    const trim = () => {
      const isMore = list.trimInside(upTo, TRIMMED_AT_ONCE)
      const { oldest } = this.#outbox.ends
      const more = [
        this.#names.forgetInside(oldest, TRIMMED_AT_ONCE),
        this.#contents.forgetInside(oldest, TRIMMED_AT_ONCE),
      ]
      return isMore || more.includes(true)
    }
    if (await this.#database.write(() => Number(upTo) >= list.ends.next)) return false
    while (await this.#database.write(trim));
    return true
  }

  async contentsIn(outbox: string, digests: readonly string[]): Promise<ReadonlyMap<string, string>> {
    if (this.#named(outbox) === this.#strangers) return new Map()
    const found = new Map<string, string>()
    this.#database.read(() => {
      for (const digest of digests) {
        const text = this.#contents.textOf(digest)
        if (text !== undefined) found.set(digest, text)
      }
    })
    return found
  }

  async holds(outbox: string, positions: readonly string[]): Promise<ReadonlySet<string>> {
    const list = this.#named(outbox)
    return this.#database.read(() => new Set(positions.filter((position) => list.at(position) !== undefined)))
  }

  /** What was acknowledged is on this machine's disk: as long as that is there, so is the record. */
  watch(): void {}

  #named(outbox: string): EmbeddedList {
    if (outbox === RECORDS) return this.#outbox
    if (outbox === STRANGERS) return this.#strangers
    throw new TypeError('there is no such outbox')
  }

  async extents(): Promise<readonly OutboxExtent[]> {
    return this.#database.read(() => {
      const records = this.#outbox.countInside()
      return [{ records, oldest: this.#outbox.oldestInside() }]
    })
  }

  async usage(): Promise<OutboxUsage> {
    return this.#database.read(() => ({ records: this.#outbox.countInside(), limit: this.#bounds.recordsMax }))
  }
}

/** Newest first. A stranger's record is newer than every record before the position it carries. */
function merged(records: readonly Listed[], strangers: readonly Listed[]): readonly OutboxEntry[] {
  const entries: OutboxEntry[] = []
  let at = 0
  for (const { position, value } of strangers) {
    const before = value.slice(0, value.indexOf(' '))
    for (let next = records[at]; next !== undefined && next.position >= before; next = records[at]) {
      entries.push(entryOf(next))
      at++
    }
    entries.push(entryOf(unplaced({ position, value })))
  }
  return [...entries, ...records.slice(at).map(entryOf)]
}

function entryOf({ position, value }: Listed): OutboxEntry {
  return { position, record: value }
}

/** A stranger's record without its place among the others. */
function unplaced({ position, value }: Listed): Listed {
  return { position, value: value.slice(value.indexOf(' ') + 1) }
}
