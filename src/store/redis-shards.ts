/**
 * What a broker remembers of each shard, to recognise it by: the last record and the last claim that were acknowledged to it, and
 * the mark that it, or another broker, has left there.
 *
 * A server hands its writes on in their order, and comes back with a beginning of them. So if what was acknowledged last is there,
 * everything is; and if it is not, nobody can say what else is missing. The mark tells what has been made good already from what
 * nobody has looked at: whoever makes good a loss leaves a new one.
 */

import { newNonce, newSalt } from '../kernel/ids.ts'
import { SHARDS } from '../kernel/store-limits.ts'
import type { Content } from '../model/commit.ts'
import { compareIds, type Placed, placedIn, positionOf, shardOutbox } from './outbox-position.ts'
import type { AcknowledgedRecord, RecordWatcher } from './record-watcher.ts'
import type { RedisKeys } from './redis-keys.ts'
import type { RedisLink } from './redis-link.ts'

/** A claim this close to its end may have gone by itself. */
const CLAIM_LEFT_MS = 10_000
/** After this time it is forgotten again that a broker's last record was trimmed: nobody asks about one that is older. */
export const TRIMMED_KEPT_MS = 7 * 24 * 3600 * 1000
/** Each has 6 bits: no two processes have the same. */
const BROKER_CHARACTERS = 12

interface Claim {
  readonly key: string
  readonly nonce: string
  readonly expiresAtMs: number
}

/** Of one shard, as long as it is not known to have lost anything: what is acknowledged later belongs to what was lost. */
class ShardMemory {
  /** Its name. */
  readonly outbox: string
  /** What must stand there: without it, claims have been lost. */
  readonly mark: string | undefined
  /** The mark that stood there when it was looked at last. */
  seen: string
  /** Of the outbox. */
  last: Placed | undefined
  claim: Claim | undefined

  constructor(shard: number, mark?: string) {
    this.outbox = shardOutbox(shard)
    this.mark = mark
    this.seen = mark ?? ''
  }

  /** A record of this name has been acknowledged at this place in the outbox. */
  recorded(id: string, name: string): void {
    if (this.last === undefined || compareIds(id, this.last.id) > 0) this.last = { id, name }
  }
}

/** Where a record was written. */
type Written = Placed & Pick<AcknowledgedRecord, 'outbox' | 'key'>

/** `other`: what was lost has been made good by another broker. */
export type ShardState = 'whole' | 'lost' | 'other'

/** How the mark begins that is left in a store in which nothing has been written yet. */
const FIRST = 'first:'

export class RedisShards {
  readonly #keys: RedisKeys
  readonly #memories = Array.from({ length: SHARDS }, (_, shard) => new ShardMemory(shard))

  /** Of this process: no other names its records by it. */
  readonly #broker = newSalt().slice(0, BROKER_CHARACTERS)
  #named = 0
  #watcher: RecordWatcher | undefined

  constructor(keys: RedisKeys) {
    this.#keys = keys
  }

  /** How the names begin of all records that this process writes, and of no others. */
  get own(): string {
    return `${this.#broker}.`
  }

  /** Of a record that is to be written: no other ever has it. */
  nextName(): string {
    this.#named += 1
    return `${this.own}${this.#named.toString(36)}`
  }

  /** Whoever is to remember them. */
  watch(watcher: RecordWatcher): void {
    this.#watcher = watcher
  }

  acknowledged(written: Written, record: string, contents: readonly Content[]): void {
    const { outbox, key } = written
    this.#watcher?.acknowledged({ outbox, position: positionOf(written), key, record, contents })
  }

  /** A server is to be looked at: it may lack what was acknowledged. */
  doubted(): void {
    this.#watcher?.doubted()
  }

  /** Of the key's shard, taken before it is asked: what is answered is remembered there. */
  of(key: string): ShardMemory {
    const memory = this.#memories[this.#keys.shard(key)]
    if (memory === undefined) throw new Error('a key lies in one of the shards')
    return memory
  }

  /** @param isNew nothing has ever been written to this store */
  async look(shard: number, link: RedisLink, isNew: boolean): Promise<ShardState> {
    const memory = this.#memories[shard]
    const mark = await link.command(['GET', this.#keys.mark(shard)])
    if (memory === undefined) return 'lost'
    memory.seen = typeof mark === 'string' ? mark : ''
    if (typeof mark !== 'string') return isNew && memory.mark === undefined ? 'whole' : 'lost'
    if (mark !== memory.mark) {
      const wasKnown = memory.mark !== undefined
      // Left by a broker that knew of nothing before: it has made nothing good.
      if (wasKnown && mark.startsWith(FIRST)) return 'lost'
      this.#forget(shard, mark)
      return wasKnown ? 'other' : 'whole'
    }
    const [records, holder, nowMs] = await Promise.all([
      memory.last === undefined || this.#has(shard, memory.last, link),
      memory.claim === undefined || link.command(['GET', memory.claim.key]),
      timeOf(link),
    ])
    const { claim } = memory
    const holds = claim === undefined || claim.expiresAtMs < nowMs + CLAIM_LEFT_MS || holder === claim.nonce
    return records && holds ? 'whole' : 'lost'
  }

  /** Whether it is in the outbox, or was the last of this broker that has been trimmed from it. */
  async #has(shard: number, { id, name }: Placed, link: RedisLink): Promise<boolean> {
    const [outbox = '', trimmed = ''] = [this.#keys.outboxes()[shard], this.#keys.allTrimmed()[shard]]
    const [found] = placedIn(await link.command(['XRANGE', outbox, id, id]))
    if (found !== undefined) return found.name === name
    const [gone, nowMs] = await Promise.all([link.command(['HGET', trimmed, `by:${this.#broker}`]), timeOf(link)])
    if (typeof gone === 'string' && gone.endsWith(` ${id} ${name}`)) return true
    return Number(id.split('-')[0]) < nowMs - TRIMMED_KEPT_MS
  }

  /**
   * Leaves a mark in place of the one that was seen, unless another has: the one that stands there then is known from now on.
   * @param isNew nothing has been made good: there was nothing
   */
  async mark(shard: number, isNew: boolean, link: RedisLink): Promise<void> {
    const mark = `${isNew ? FIRST : ''}${newNonce()}`
    const seen = this.#memories[shard]?.seen ?? ''
    const now = await link.durably('errandMark', [this.#keys.mark(shard)], [seen, mark])
    this.#forget(shard, String(now))
  }

  /** Whether it has a mark yet. */
  isMarked(shard: number): boolean {
    return this.#memories[shard]?.mark !== undefined
  }

  #forget(shard: number, mark: string): void {
    this.#memories[shard] = new ShardMemory(shard, mark)
  }
}

export async function timeOf(link: RedisLink): Promise<number> {
  const [seconds, microseconds] = (await link.command(['TIME'])) as [string, string]
  return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000)
}
