/**
 * Where records go that no session's commit carries. Fail-closed for everything that issues or reads; a revoke is never in
 * its way: what could not be written then is kept here and written as soon as the store answers again.
 */

import { Rejection } from '../kernel/rejection.ts'
import { DEFERRED_RECORDS_MAX } from '../kernel/store-limits.ts'
import type { Content } from '../model/commit.ts'
import type { AuditStore } from '../store/ports.ts'

/** `deferred`: the record waits in memory; `lost`: too many already do. */
export type AuditOutcome = 'recorded' | 'deferred' | 'lost'

export class AuditLog {
  readonly #store: AuditStore
  readonly #deferred: { key: string; record: string; contents: readonly Content[] }[] = []
  #flushing: Promise<void> | undefined

  constructor(store: AuditStore) {
    this.#store = store
  }

  /**
   * @param contents what the record names by digest: kept beside it, or neither is
   * @throws Rejection `audit_unavailable`
   */
  async append(key: string, record: string, contents: readonly Content[] = []): Promise<void> {
    await this.#store.append(key, record, contents).catch(refuse)
  }

  /**
   * What an administrator is about to change: it may be what ends something, or what makes room, and a full outbox takes it.
   * @throws Rejection `audit_unavailable`
   */
  async intend(key: string, record: string, contents: readonly Content[] = []): Promise<void> {
    await this.#store.append(key, record, contents, true).catch(refuse)
  }

  /** For revokes. */
  async appendOrDefer(key: string, record: string, contents: readonly Content[] = []): Promise<AuditOutcome> {
    try {
      await this.#store.append(key, record, contents, true)
      return 'recorded'
    } catch {
      if (this.#deferred.length >= DEFERRED_RECORDS_MAX) return 'lost'
      this.#deferred.push({ key, record, contents })
      return 'deferred'
    }
  }

  /** For a record that corrects another. Half of the room is left to revokes, whose records are the only ones of their kind. */
  defer(key: string, record: string, contents: readonly Content[]): void {
    if (this.#deferred.length < DEFERRED_RECORDS_MAX / 2) this.#deferred.push({ key, record, contents })
  }

  /** Records that wait in memory. */
  get waiting(): number {
    return this.#deferred.length
  }

  /** Writes what was deferred, oldest first; called on a timer. One at a time: two would drop what neither has written. */
  flush(): Promise<void> {
    this.#flushing ??= this.#writeDeferred().finally(() => {
      this.#flushing = undefined
    })
    return this.#flushing
  }

  async #writeDeferred(): Promise<void> {
    for (let next = this.#deferred[0]; next !== undefined; next = this.#deferred[0]) {
      try {
        await this.#store.append(next.key, next.record, next.contents, true)
      } catch {
        return
      }
      this.#deferred.shift()
    }
  }
}

/** Nothing was done: it could not have been recorded. */
export function auditUnavailable(cause: unknown): Rejection {
  return new Rejection('audit_unavailable', 'the audit log could not be written: try again', {
    retryAfterSeconds: 1,
    cause,
  })
}

function refuse(cause: unknown): never {
  throw auditUnavailable(cause)
}
