/** Sessions, their commits and single-use ids in Redis: a session is one hash, a commit one script in its slot. */
import type { SessionId } from '../kernel/ids.ts'
import { unreachable } from '../kernel/rejection.ts'
import type { Check, Commit, CommitOutcome, Operation } from '../model/commit.ts'
import { COMMIT_REPEAT_MS, checkedExpiry, contentsFullAt, fullAt, type OutboxBounds } from './bounds.ts'
import { checkBounds, checkedContents, notAnInteger } from './commit-rules.ts'
import { type ClaimStore, type SessionStore, StoreUnavailable } from './ports.ts'
import type { RedisGate } from './redis-gate.ts'
import type { RedisKeys } from './redis-keys.ts'
import type { RedisLink } from './redis-link.ts'
import type { RedisShards } from './redis-shards.ts'

export class RedisSessions implements SessionStore {
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

  async read(session: SessionId, fields: readonly string[]): Promise<ReadonlyMap<string, string> | undefined> {
    const values = await this.#read(session, ['0', ...fields])
    if (values === null) return undefined
    const found = new Map<string, string>()
    for (const [index, value] of values.entries()) if (value !== null) found.set(fields[index] ?? '', value)
    return found
  }

  async readAll(session: SessionId): Promise<ReadonlyMap<string, string> | undefined> {
    const flat = await this.#read(session, ['1'])
    if (flat === null) return undefined
    const record = new Map<string, string>()
    for (let index = 0; index + 1 < flat.length; index += 2) record.set(flat[index] ?? '', flat[index + 1] ?? '')
    return record
  }

  /** `null`: no such session, which is another answer than none of these fields. */
  async #read(session: SessionId, args: readonly string[]): Promise<readonly (string | null)[] | null> {
    const answer = await this.#connection.script('errandRead', [this.#keys.session(session)], args)
    return answer as readonly (string | null)[] | null
  }

  async commit(commit: Commit): Promise<CommitOutcome> {
    const { session, checks, operations, audit } = commit
    checkBounds(checks, operations)
    const contents = checkedContents(commit.contents)
    const shard = this.#shards.of(session)
    const name = this.#shards.nextName()
    const keys = [
      this.#keys.session(session),
      this.#keys.repeat(session, commit.id),
      this.#keys.outbox(session),
      this.#keys.contents(session),
      this.#keys.contentsAge(session),
    ]
    const [status, at] = (await this.#connection.durably('errandCommit', keys, [
      COMMIT_REPEAT_MS,
      checkedExpiry(commit.expiresAtMs),
      fullAt(this.#bounds, commit.isEnd),
      audit === undefined ? '0' : '1',
      audit ?? '',
      checks.length,
      contentsFullAt(this.#bounds, commit.isEnd),
      contents.length,
      commit.id,
      name,
      ...contents.flatMap(({ digest, text }) => [digest, text]),
      ...checks.flatMap(checkArguments),
      ...operations.flatMap(operationArguments),
    ])) as [string, number | string]
    switch (status) {
      case 'committed':
        if (at !== '') {
          shard.recorded(String(at), name)
          const written = { outbox: shard.outbox, key: session, id: String(at), name }
          this.#shards.acknowledged(written, audit ?? '', contents)
        }
        return { committed: true, repeated: false }
      case 'repeated':
        return { committed: true, repeated: true }
      case 'failed':
        return { committed: false, failed: Number(at) }
      case 'integer':
        throw notAnInteger(operations[Number(at)]?.field ?? '')
      default:
        throw new StoreUnavailable('the commit script gave an unknown answer')
    }
  }
}

export class RedisClaims implements ClaimStore {
  readonly #connection: RedisLink
  readonly #keys: RedisKeys
  readonly #shards: RedisShards
  readonly #gate: RedisGate

  constructor(connection: RedisLink, keys: RedisKeys, shards: RedisShards, gate: RedisGate) {
    this.#connection = connection
    this.#keys = keys
    this.#shards = shards
    this.#gate = gate
  }

  async claim(key: string, nonce: string, expiresAtMs: number): Promise<boolean> {
    const shard = this.#shards.of(key)
    const args = [nonce, checkedExpiry(expiresAtMs), shard.mark ?? '']
    const claim = this.#keys.claim(key)
    const answer = await this.#connection.durably('errandClaim', [claim, this.#keys.markFor(key)], args)
    if (answer === -1) {
      this.#gate.doubt()
      throw new StoreUnavailable('this Redis is not as it was left: it may have forgotten what was used')
    }
    if (answer === 1) shard.claim = { key: claim, nonce, expiresAtMs }
    return answer === 1
  }
}

function checkArguments(check: Check): (string | number)[] {
  switch (check.check) {
    case 'absent':
    case 'present':
      return [check.check, check.field, 0]
    case 'oneOf':
      return [check.check, check.field, check.values.length, ...check.values]
    case 'above':
    case 'below':
      return [check.check, check.field, 1, check.value]
    default:
      return unreachable(check)
  }
}

function operationArguments(operation: Operation): (string | number)[] {
  return operation.operation === 'set'
    ? [operation.operation, operation.field, operation.value]
    : [operation.operation, operation.field, operation.by]
}
