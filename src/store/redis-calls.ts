/** Calls of tools in Redis: one hash for each, and in its shard a list of those that have not ended, by when their time is up. */
import { CONTENTS_MAX, OUTBOX_RECORDS_MAX } from '../kernel/store-limits.ts'
import { checkedExpiry } from './bounds.ts'
import type { CallEnd, CallStore, KeptCall } from './ports.ts'
import type { RedisKeys } from './redis-keys.ts'
import type { RedisLink } from './redis-link.ts'
import type { RedisShards } from './redis-shards.ts'

export class RedisCalls implements CallStore {
  readonly #connection: RedisLink
  readonly #keys: RedisKeys
  readonly #shards: RedisShards
  readonly #contentsMax: number

  constructor(connection: RedisLink, keys: RedisKeys, shards: RedisShards, contentsMax: number = CONTENTS_MAX) {
    this.#connection = connection
    this.#keys = keys
    this.#shards = shards
    this.#contentsMax = contentsMax
  }

  async begin(key: string, text: string, dueAtMs: number): Promise<KeptCall> {
    const keys = [this.#keys.call(key), this.#keys.callsDue(key)]
    const known = await this.#connection.durably('errandCallBegin', keys, [text, checkedExpiry(dueAtMs), key])
    return keptCall(known as readonly (string | null)[])
  }

  async read(key: string): Promise<KeptCall | undefined> {
    const known = await this.#connection.command(['HMGET', this.#keys.call(key), 'text', 'end'])
    const [text, ended] = known as readonly (string | null)[]
    return typeof text === 'string' ? keptCall([text, ended ?? null]) : undefined
  }

  async end(key: string, { over, ended, expiresAtMs, audit }: CallEnd) {
    const shard = this.#shards.of(key)
    const keys = [
      this.#keys.call(key),
      this.#keys.callsDue(key),
      this.#keys.outbox(key),
      this.#keys.contents(key),
      this.#keys.contentsAge(key),
    ]
    const answer = await this.#connection.durably('errandCallEnd', keys, [
      over === undefined ? '-' : `+${over}`,
      ended,
      checkedExpiry(expiresAtMs),
      key,
      audit === undefined ? '0' : '1',
      audit ?? '',
      OUTBOX_RECORDS_MAX,
      this.#contentsMax,
    ])
    if (answer === null) return undefined
    const [text = null, now = null, written, position] = answer as readonly (string | null)[]
    if (typeof position === 'string' && position !== '') shard.recorded(position)
    return { ...keptCall([text, now]), written: written === '1' }
  }

  async due(nowMs: number, limit: number): Promise<readonly string[]> {
    const range = ['-inf', Math.floor(nowMs), 'LIMIT', 0, limit] as const
    const lists = this.#keys.allCallsDue().map((key) => this.#connection.command(['ZRANGEBYSCORE', key, ...range]))
    return ((await Promise.all(lists)) as (readonly string[])[]).flat()
  }
}

function keptCall([text, ended]: readonly (string | null)[]): KeptCall {
  return { text: text ?? '', ended: ended ?? undefined }
}
