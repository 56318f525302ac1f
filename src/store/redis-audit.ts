/**
 * The audit outboxes in Redis: one stream per shard, so that a commit can append to it in its own script, and one of their
 * own for strangers' refusals.
 */
import { STRANGER_RECORDS_MAX } from '../kernel/store-limits.ts'
import type { Content } from '../model/commit.ts'
import { contentsFullAt, fullAt, type OutboxBounds } from './bounds.ts'
import { checkedContents } from './commit-rules.ts'
import { nameAgain, placedIn, STRANGERS } from './outbox-position.ts'
import type { AuditStore, OutboxEntry, OutboxExtent, OutboxUsage, Pending } from './ports.ts'
import type { AcknowledgedRecord, KnownRecords, RecordWatcher } from './record-watcher.ts'
import type { RedisKeys } from './redis-keys.ts'
import type { RedisLink } from './redis-link.ts'
import { RedisOutboxes } from './redis-outboxes.ts'
import type { RedisShards } from './redis-shards.ts'

const PAGE_MIN = 4

interface Appending {
  readonly key: string
  readonly record: string
  readonly contents: readonly Content[] | undefined
  readonly isEnd: boolean
  /** Of the record: no other has it. */
  readonly name: string
}

interface Reading {
  readonly outbox: string
  readonly shard: number
  from: string
  readonly entries: OutboxEntry[]
  ended: boolean
}

export class RedisAudit implements AuditStore {
  readonly #connection: RedisLink
  readonly #keys: RedisKeys
  readonly #shards: RedisShards
  readonly #bounds: OutboxBounds
  readonly #outboxes: RedisOutboxes

  constructor(connection: RedisLink, keys: RedisKeys, shards: RedisShards, bounds: OutboxBounds) {
    this.#connection = connection
    this.#keys = keys
    this.#shards = shards
    this.#bounds = bounds
    this.#outboxes = new RedisOutboxes(connection, keys, bounds.textsKeptMs, shards.own)
  }

  append(key: string, record: string, contents?: readonly Content[], isEnd = false): Promise<void> {
    return this.#append({ key, record, contents, isEnd, name: this.#shards.nextName() })
  }

  appendStrangers(record: string): Promise<void> {
    return this.#appendStrangers(record, this.#shards.nextName())
  }

  appendAgain({ key, record, contents, position }: AcknowledgedRecord): Promise<void> {
    const name = nameAgain(this.#shards.nextName(), position)
    if (key === undefined) return this.#appendStrangers(record, name)
    return this.#append({ key, record, contents, isEnd: true, name })
  }

  async #append({ key, record, contents, isEnd, name }: Appending): Promise<void> {
    const checked = checkedContents(contents)
    const shard = this.#shards.of(key)
    const position = await this.#connection.durably(
      'errandRecord',
      [this.#keys.outbox(key), this.#keys.contents(key), this.#keys.contentsAge(key)],
      [
        fullAt(this.#bounds, isEnd),
        record,
        contentsFullAt(this.#bounds, isEnd),
        name,
        ...checked.flatMap(({ digest, text }) => [digest, text]),
      ],
    )
    shard.recorded(String(position), name)
    this.#shards.acknowledged({ outbox: shard.outbox, key, id: String(position), name }, record, checked)
  }

  async #appendStrangers(record: string, name: string): Promise<void> {
    const bound = ['MAXLEN', '~', STRANGER_RECORDS_MAX] as const
    const fields = ['record', record, 'name', name]
    const id = await this.#connection.command(['XADD', this.#keys.strangers(), ...bound, '*', ...fields])
    await this.#connection.standing(this.#keys.strangers())
    this.#shards.acknowledged({ outbox: STRANGERS, key: undefined, id: String(id), name }, record, [])
  }

  async content(digest: string, key: string): Promise<string | undefined> {
    const text = await this.#connection.command(['HGET', this.#keys.contents(key), digest])
    return typeof text === 'string' ? text : undefined
  }

  /** One look into each shard: an id does not say which is its own. */
  async find(id: string): Promise<readonly string[]> {
    const outboxes = this.#keys.outboxes()
    const shards = this.#keys.allContents().map(async (contents, shard) => {
      const positions = await this.#connection.command(['HGET', contents, `at:${id}`])
      if (typeof positions !== 'string') return []
      return Promise.all(positions.split(' ').map((position) => this.#at(outboxes[shard] ?? '', position)))
    })
    const found = (await Promise.all(shards)).flat(2)
    return found.sort((a, b) => newestFirst(b, a)).map(({ record }) => record)
  }

  async #at(outbox: string, position: string): Promise<readonly OutboxEntry[]> {
    return entriesIn(await this.#connection.command(['XRANGE', outbox, position, position]))
  }

  get outboxes(): readonly string[] {
    return this.#outboxes.names
  }

  pending(cursors: ReadonlyMap<string, string>, limit: number, known?: KnownRecords): Promise<Pending> {
    return this.#outboxes.pending(cursors, limit, known)
  }

  trim(outbox: string, upTo: string): Promise<boolean> {
    return this.#outboxes.trim(outbox, upTo)
  }

  contentsIn(outbox: string, digests: readonly string[]): Promise<ReadonlyMap<string, string>> {
    return this.#outboxes.contentsIn(outbox, digests)
  }

  holds(outbox: string, positions: readonly string[]): Promise<ReadonlySet<string>> {
    return this.#outboxes.holds(outbox, positions)
  }

  watch(watcher: RecordWatcher): void {
    this.#shards.watch(watcher)
  }

  extents(): Promise<readonly OutboxExtent[]> {
    return Promise.all(this.#keys.outboxes().map((outbox) => this.#extent(outbox)))
  }

  async #extent(outbox: string): Promise<OutboxExtent> {
    const [length, first] = await Promise.all([
      this.#connection.command(['XLEN', outbox]),
      this.#connection.command(['XRANGE', outbox, '-', '+', 'COUNT', 1]),
    ])
    return { records: Number(length), oldest: entriesIn(first)[0]?.record }
  }

  async usage(): Promise<OutboxUsage> {
    const lengths = this.#keys.outboxes().map((outbox) => this.#connection.command(['XLEN', outbox]))
    return { records: Math.max(...((await Promise.all(lengths)) as number[])), limit: this.#bounds.recordsMax }
  }

  async latest(limit: number): Promise<readonly OutboxEntry[]> {
    return this.#merged([...this.#keys.outboxes(), this.#keys.strangers()], limit, undefined)
  }

  async page(limit: number, after?: string): Promise<readonly OutboxEntry[]> {
    return this.#merged(this.#keys.outboxes(), limit, after)
  }

  /** Pages through every stream, going on only in those that may still hold something newer than what is already known. */
  async #merged(outboxes: readonly string[], limit: number, after: string | undefined) {
    if (limit <= 0) return []
    const page = Math.max(PAGE_MIN, Math.ceil(limit / 16))
    const readings = outboxes.map((outbox, shard): Reading => {
      return { outbox, shard, from: startOf(after, shard), entries: [], ended: false }
    })
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
    const { outbox, from, shard } = reading
    const entries = entriesIn(await this.#connection.command(['XREVRANGE', outbox, from, '-', 'COUNT', page]))
    const last = entries.at(-1)
    if (last !== undefined) reading.from = `(${last.position}`
    // Of two shards, two may be of one millisecond and number: with its shard each has a place of its own.
    for (const { position, record } of entries) reading.entries.push({ position: `${position}-${shard}`, record })
    reading.ended = entries.length < page
  }
}

function entriesIn(answer: unknown): readonly OutboxEntry[] {
  return placedIn(answer).map(({ id, record }) => ({ position: id, record }))
}

/** Where a shard's reading goes on behind an entry of any shard. */
function startOf(after: string | undefined, shard: number): string {
  if (after === undefined) return '+'
  const [ms = '', n = '', of = ''] = after.split('-')
  return shard < Number(of) ? `${ms}-${n}` : `(${ms}-${n}`
}

/** Positions are `<ms>-<n>-<shard>`, from the server's clock. */
function newestFirst(a: OutboxEntry, b: OutboxEntry): number {
  const [aMs = '', aN = '', aShard = '0'] = a.position.split('-')
  const [bMs = '', bN = '', bShard = '0'] = b.position.split('-')
  return Number(bMs) - Number(aMs) || Number(bN) - Number(aN) || Number(bShard) - Number(aShard)
}
