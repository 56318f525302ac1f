/**
 * The audit outbox in LMDB: one process, so one ordered list in place of 64 shards. Appending happens inside the transaction
 * of what is recorded: there is no state in which one is on disk without the other.
 */
import { OUTBOX_RECORDS_MAX } from '../kernel/limits.ts'
import type { EmbeddedDatabase } from './embedded-database.ts'
import { ordered } from './embedded-keys.ts'
import type { AuditStore, OutboxEntry } from './ports.ts'

const PREFIX = 'outbox:'

export class EmbeddedAudit implements AuditStore {
  readonly #database: EmbeddedDatabase
  readonly #recordsMax: number
  #next: number
  #oldest: number

  constructor(database: EmbeddedDatabase, recordsMax = OUTBOX_RECORDS_MAX) {
    this.#database = database
    this.#recordsMax = recordsMax
    const position = (reverse: boolean): number | undefined => {
      for (const { key } of database.range(PREFIX, { reverse, limit: 1 })) return Number(key.slice(PREFIX.length))
      return undefined
    }
    this.#oldest = database.read(() => position(false)) ?? 1
    this.#next = (database.read(() => position(true)) ?? 0) + 1
  }

  async append(_key: string, record: string): Promise<void> {
    await this.#database.write(() => this.appendInside(record))
  }

  /**
   * Inside a job only. A full outbox forgets its oldest record: nothing consumes it yet, and a broker that stopped here would
   * stop for good. The sequencer that will (DESIGN §8) must make this a refusal for what it has not read.
   */
  appendInside(record: string): void {
    this.#database.put(PREFIX + ordered(this.#next), record)
    this.#next++
    // At most two at once: a smaller bound than before is reached in steps, not in one long transaction.
    for (let removed = 0; removed < 2 && this.#next - this.#oldest > this.#recordsMax; removed++) {
      this.#database.remove(PREFIX + ordered(this.#oldest))
      this.#oldest++
    }
  }

  async latest(limit: number): Promise<readonly OutboxEntry[]> {
    if (limit <= 0) return []
    return this.#database.read(() =>
      Array.from(this.#database.range(PREFIX, { reverse: true, limit }), ({ key, value }) => ({
        position: key.slice(PREFIX.length),
        record: value,
      })),
    )
  }
}
