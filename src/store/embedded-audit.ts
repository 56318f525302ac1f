/**
 * The audit outbox in LMDB: one machine, so one ordered list in place of 64 shards, and one for strangers' refusals.
 * Appending happens inside the transaction of what is recorded: there is no state in which one is on disk without the other.
 */
import type { SessionId } from '../kernel/ids.ts'
import { CONTENTS_MAX, OUTBOX_RECORDS_MAX, STRANGER_RECORDS_MAX } from '../kernel/store-limits.ts'
import type { Content } from '../model/commit.ts'
import type { EmbeddedDatabase } from './embedded-database.ts'
import { EmbeddedList, type Listed } from './embedded-list.ts'
import type { AuditStore, OutboxEntry, OutboxUsage } from './ports.ts'
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
    this.#outbox = new EmbeddedList(database, 'outbox:', recordsMax)
    this.#strangers = new EmbeddedList(database, 'strangers:', strangersMax)
    this.#contents = new EmbeddedList(database, 'contents-order:', contentsMax, (digest) => {
      database.remove(contentKey(digest))
    })
  }

  async append(_key: string, record: string): Promise<void> {
    await this.#database.write(() => this.appendInside(record))
  }

  /**
   * Inside a job only. A full outbox forgets its oldest record: nothing consumes it yet, and a broker that stopped here would
   * stop for good. The sequencer that will (DESIGN §8) must make this a refusal for what it has not read.
   */
  appendInside(record: string): void {
    this.#outbox.appendInside(record)
  }

  /** With the outbox's next position in front: that is its place among the other records. */
  async appendStrangers(record: string): Promise<void> {
    await this.#database.write(() => this.#strangers.appendInside(`${this.#outbox.nextPosition} ${record}`))
  }

  /** Inside a job only. Kept once, in the place of its first arrival; beyond the bound the oldest is forgotten. */
  keepInside(content: Content): void {
    const key = contentKey(content.digest)
    if (this.#database.get(key) !== undefined) return
    this.#database.put(key, content.text)
    this.#contents.appendInside(content.digest)
  }

  async content(digest: string, _session: SessionId): Promise<string | undefined> {
    return this.#database.read(() => this.#database.get(contentKey(digest)))
  }

  async latest(limit: number): Promise<readonly OutboxEntry[]> {
    if (limit <= 0) return []
    return this.#database.read(() => merged(this.#outbox.latest(limit), this.#strangers.latest(limit)).slice(0, limit))
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

function contentKey(digest: string): string {
  return `content:${segment(digest)}`
}
