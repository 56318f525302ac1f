/** Calls of tools in Redis: one hash for each, and in its shard a list of those that have not ended, by when their time is up. */
import { checkedExpiry, contentsFullAt, fullAt, type OutboxBounds } from './bounds.ts'
import type { CallEnd, CallStore, KeptCall } from './call-ports.ts'
import { checkedContents } from './commit-rules.ts'
import type { RedisKeys } from './redis-keys.ts'
import type { RedisLink } from './redis-link.ts'
import type { RedisShards } from './redis-shards.ts'

export class RedisCalls implements CallStore {
  readonly #connection: RedisLink
  readonly #keys: RedisKeys
  readonly #shards: RedisShards
  readonly #bounds: OutboxBounds

  constructor(connection: RedisLink, keys: RedisKeys, shards: RedisShards, bounds: OutboxBounds) {
    this.#connection = connection
    this.#keys = keys
    this.#shards = shards
    this.#bounds = bounds
  }

  async begin(key: string, text: string, dueAtMs: number): Promise<KeptCall> {
    const keys = [this.#keys.call(key), this.#keys.callsDue(key), this.#keys.outbox(key)]
    const args = [text, checkedExpiry(dueAtMs), key, fullAt(this.#bounds)]
    const known = await this.#connection.durably('errandCallBegin', keys, args)
    return keptCall(known as readonly (string | null)[])
  }

  async read(key: string): Promise<KeptCall | undefined> {
    const known = await this.#connection.command(['HMGET', this.#keys.call(key), 'text', 'end'])
    const [text, ended] = known as readonly (string | null)[]
    return typeof text === 'string' ? keptCall([text, ended ?? null]) : undefined
  }

  async end(key: string, { over, ended, expiresAtMs, audit, contents }: CallEnd) {
    const checked = checkedContents(contents)
    const shard = this.#shards.of(key)
    const name = this.#shards.nextName()
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
      fullAt(this.#bounds, true),
      contentsFullAt(this.#bounds, true),
      name,
      ...checked.flatMap(({ digest, text }) => [digest, text]),
    ])
    if (answer === null) return undefined
    const [text = null, now = null, written, position] = answer as readonly (string | null)[]
    if (typeof position === 'string' && position !== '') {
      shard.recorded(position, name)
      this.#shards.acknowledged({ outbox: shard.outbox, key, id: position, name }, audit ?? '', checked)
    }
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
