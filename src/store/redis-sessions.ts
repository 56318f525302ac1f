/** Sessions, their commits and single-use ids in Redis: a session is one hash, a commit one script in its slot. */
import type { SessionId } from '../kernel/ids.ts'
import { unreachable } from '../kernel/rejection.ts'
import { CONTENTS_MAX, OUTBOX_RECORDS_MAX } from '../kernel/store-limits.ts'
import type { Check, Commit, CommitOutcome, Operation } from '../model/commit.ts'
import { COMMIT_REPEAT_MS, checkedExpiry } from './bounds.ts'
import { checkBounds, checkedContents, notAnInteger } from './commit-rules.ts'
import { type ClaimStore, type SessionStore, StoreUnavailable } from './ports.ts'
import type { RedisKeys } from './redis-keys.ts'
import type { RedisLink } from './redis-link.ts'

export class RedisSessions implements SessionStore {
  readonly #connection: RedisLink
  readonly #keys: RedisKeys
  readonly #contentsMax: number

  constructor(connection: RedisLink, keys: RedisKeys, contentsMax: number = CONTENTS_MAX) {
    this.#connection = connection
    this.#keys = keys
    this.#contentsMax = contentsMax
  }

  async read(session: SessionId, fields: readonly string[]): Promise<ReadonlyMap<string, string> | undefined> {
    const found = await this.#fields(session, fields)
    if (found.size > 0) return found
    // None of these fields: of a session that lives, or of none? The two answers are not the same.
    if ((await this.#connection.command(['EXISTS', this.#keys.session(session)])) !== 1) return undefined
    // It may have begun between the two reads.
    return this.#fields(session, fields)
  }

  async readAll(session: SessionId): Promise<ReadonlyMap<string, string> | undefined> {
    const flat = (await this.#connection.command(['HGETALL', this.#keys.session(session)])) as string[]
    const record = new Map<string, string>()
    for (let index = 0; index + 1 < flat.length; index += 2) record.set(flat[index] ?? '', flat[index + 1] ?? '')
    return record.size === 0 ? undefined : record
  }

  async #fields(session: SessionId, fields: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const found = new Map<string, string>()
    if (fields.length === 0) return found
    const answer = await this.#connection.command(['HMGET', this.#keys.session(session), ...fields])
    for (const [index, value] of (answer as (string | null)[]).entries()) {
      if (value !== null) found.set(fields[index] ?? '', value)
    }
    return found
  }

  async commit(commit: Commit): Promise<CommitOutcome> {
    const { session, checks, operations, audit } = commit
    checkBounds(checks, operations)
    const contents = checkedContents(commit.contents)
    const keys = [
      this.#keys.session(session),
      this.#keys.repeat(session, commit.id),
      this.#keys.outbox(session),
      this.#keys.contents(session),
      this.#keys.contentsAge(session),
    ]
    const [status, index] = (await this.#connection.durably('errandCommit', keys, [
      COMMIT_REPEAT_MS,
      checkedExpiry(commit.expiresAtMs),
      OUTBOX_RECORDS_MAX,
      audit === undefined ? '0' : '1',
      audit ?? '',
      checks.length,
      this.#contentsMax,
      contents.length,
      ...contents.flatMap(({ digest, text }) => [digest, text]),
      ...checks.flatMap(checkArguments),
      ...operations.flatMap(operationArguments),
    ])) as [string, number]
    switch (status) {
      case 'committed':
        return { committed: true, repeated: false }
      case 'repeated':
        return { committed: true, repeated: true }
      case 'failed':
        return { committed: false, failed: index }
      case 'integer':
        throw notAnInteger(operations[index]?.field ?? '')
      default:
        throw new StoreUnavailable('the commit script gave an unknown answer')
    }
  }
}

export class RedisClaims implements ClaimStore {
  readonly #connection: RedisLink
  readonly #keys: RedisKeys

  constructor(connection: RedisLink, keys: RedisKeys) {
    this.#connection = connection
    this.#keys = keys
  }

  async claim(key: string, nonce: string, expiresAtMs: number): Promise<boolean> {
    const args = [nonce, checkedExpiry(expiresAtMs)]
    return (await this.#connection.durably('errandClaim', [this.#keys.claim(key)], args)) === 1
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
