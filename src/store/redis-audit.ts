/**
 * The audit outboxes in Redis: one stream per shard, so that a commit can append to it in its own script, and one of their
 * own for strangers' refusals.
 */
import type { SessionId } from '../kernel/ids.ts'
import { OUTBOX_RECORDS_MAX, STRANGER_RECORDS_MAX } from '../kernel/store-limits.ts'
import type { AuditStore, OutboxEntry, OutboxUsage } from './ports.ts'
import type { RedisConnection } from './redis-connection.ts'
import type { RedisKeys } from './redis-keys.ts'

const PAGE_MIN = 4

interface Reading {
  readonly outbox: string
  readonly entries: OutboxEntry[]
  ended: boolean
}

export class RedisAudit implements AuditStore {
  readonly #connection: RedisConnection
  readonly #keys: RedisKeys

  constructor(connection: RedisConnection, keys: RedisKeys) {
    this.#connection = connection
    this.#keys = keys
  }

  /**
   * A full outbox forgets its oldest records (about: `~` trims whole nodes): nothing consumes them yet, and a broker that
   * stopped here would stop for good. The sequencer that will (DESIGN §8) must make this a refusal for what it has not read.
   */
  append(key: string, record: string): Promise<void> {
    return this.#append(this.#keys.outbox(key), record, OUTBOX_RECORDS_MAX)
  }

  appendStrangers(record: string): Promise<void> {
    return this.#append(this.#keys.strangers(), record, STRANGER_RECORDS_MAX)
  }

  async #append(outbox: string, record: string, recordsMax: number): Promise<void> {
    await this.#connection.command(['XADD', outbox, 'MAXLEN', '~', recordsMax, '*', 'record', record])
  }

  async content(digest: string, session: SessionId): Promise<string | undefined> {
    const text = await this.#connection.command(['HGET', this.#keys.contents(session), digest])
    return typeof text === 'string' ? text : undefined
  }

  async usage(): Promise<OutboxUsage> {
    const lengths = this.#keys.outboxes().map((outbox) => this.#connection.command(['XLEN', outbox]))
    return { records: Math.max(...((await Promise.all(lengths)) as number[])), limit: OUTBOX_RECORDS_MAX }
  }

  /** Pages through every stream, going on only in those that may still hold something newer than what is already known. */
  async latest(limit: number): Promise<readonly OutboxEntry[]> {
    if (limit <= 0) return []
    const page = Math.max(PAGE_MIN, Math.ceil(limit / 16))
    const outboxes = [...this.#keys.outboxes(), this.#keys.strangers()]
    const readings = outboxes.map((outbox): Reading => ({ outbox, entries: [], ended: false }))
    let open: readonly Reading[] = readings
    while (open.length > 0) {
      await Promise.all(open.map((reading) => this.#readOn(reading, page)))
      const known = readings.flatMap((reading) => reading.entries).sort(newestFirst)
      const oldestWanted = known[limit - 1]
      open = readings.filter((reading) => {
        const last = reading.entries.at(-1)
        if (reading.ended || last === undefined) return false
        return oldestWanted === undefined || newestFirst(last, oldestWanted) < 0
      })
      if (open.length === 0) return known.slice(0, limit)
    }
    return []
  }

  async #readOn(reading: Reading, page: number): Promise<void> {
    const last = reading.entries.at(-1)
    const from = last === undefined ? '+' : `(${last.position}`
    const answer = await this.#connection.command(['XREVRANGE', reading.outbox, from, '-', 'COUNT', page])
    const entries = answer as [string, string[]][]
    for (const [position, fields] of entries) reading.entries.push({ position, record: fields[1] ?? '' })
    reading.ended = entries.length < page
  }
}

/** Positions are `<ms>-<n>`, from the server's clock. */
function newestFirst(a: OutboxEntry, b: OutboxEntry): number {
  const [aMs = '', aN = ''] = a.position.split('-')
  const [bMs = '', bN = ''] = b.position.split('-')
  return Number(bMs) - Number(aMs) || Number(bN) - Number(aN)
}
