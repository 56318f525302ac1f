/**
 * What a broker remembers of each shard, to recognise it by: the last record and the last claim that were acknowledged to it, and
 * the mark that it, or another broker, has left there.
 *
 * A server hands its writes on in their order, and comes back with a beginning of them. So if what was acknowledged last is there,
 * everything is; and if it is not, nobody can say what else is missing. The mark tells what has been made good already from what
 * nobody has looked at: whoever makes good a loss leaves a new one.
 */

import { newNonce } from '../kernel/ids.ts'
import { SHARDS } from '../kernel/store-limits.ts'
import type { RedisKeys } from './redis-keys.ts'
import type { RedisLink } from './redis-link.ts'

/** A claim this close to its end may have gone by itself. */
const CLAIM_LEFT_MS = 10_000

interface Claim {
  readonly key: string
  readonly nonce: string
  readonly expiresAtMs: number
}

/** Of one shard, as long as it is not known to have lost anything: what is acknowledged later belongs to what was lost. */
class ShardMemory {
  /** What must stand there: without it, claims have been lost. */
  readonly mark: string | undefined
  /** The mark that stood there when it was looked at last. */
  seen: string
  /** Of the outbox. */
  position: string | undefined
  claim: Claim | undefined

  constructor(mark: string | undefined) {
    this.mark = mark
    this.seen = mark ?? ''
  }

  /** A record has been acknowledged at this place in the outbox. */
  recorded(position: string): void {
    if (!isBefore(position, this.position)) this.position = position
  }
}

/** `other`: what was lost has been made good by another broker. */
export type ShardState = 'whole' | 'lost' | 'other'

/** How the mark begins that is left in a store in which nothing has been written yet. */
const FIRST = 'first:'

export class RedisShards {
  readonly #keys: RedisKeys
  readonly #memories = Array.from({ length: SHARDS }, () => new ShardMemory(undefined))

  constructor(keys: RedisKeys) {
    this.#keys = keys
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
      memory.position === undefined || this.#recordAt(shard, memory.position, link),
      memory.claim === undefined || link.command(['GET', memory.claim.key]),
      timeOf(link),
    ])
    const { claim } = memory
    const holds = claim === undefined || claim.expiresAtMs < nowMs + CLAIM_LEFT_MS || holder === claim.nonce
    return records && holds ? 'whole' : 'lost'
  }

  async #recordAt(shard: number, position: string, link: RedisLink): Promise<boolean> {
    const found = await link.command(['XRANGE', this.#keys.outboxes()[shard] ?? '', position, position])
    return Array.isArray(found) && found.length === 1
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
    this.#memories[shard] = new ShardMemory(mark)
  }
}

/** `<ms>-<n>`. */
function isBefore(position: string, other: string | undefined): boolean {
  if (other === undefined) return false
  if (position.length === other.length) return position < other
  const [ms = '', n = ''] = position.split('-')
  const [otherMs = '', otherN = ''] = other.split('-')
  return Number(ms) < Number(otherMs) || (ms === otherMs && Number(n) < Number(otherN))
}

export async function timeOf(link: RedisLink): Promise<number> {
  const [seconds, microseconds] = (await link.command(['TIME'])) as [string, string]
  return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000)
}
