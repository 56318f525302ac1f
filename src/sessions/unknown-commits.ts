/**
 * Commits that nobody knows the outcome of: sent, repeated, and not answered in time. Their tokens are never handed out; what
 * they may have written is made dead as soon as the store answers again, and recorded as such.
 *
 * Each is settled in two steps, which may be repeated:
 * 1. A *fence*: an empty commit under the same id. Either the store takes it, and with it the id: the original did not happen,
 *    and if it is still on its way it will find its id taken and do nothing. Or it answers that the id is known: it happened.
 * 2. What happened is cut off in the control slot (session, node or token), then marked in the session's own record.
 *
 * Bounded, and in memory. What is forgotten, because a process died or too many waited, is harmless: the text of the token
 * never left the process, so nobody can present it. A session or node may remain that nobody holds, in no list, until its end.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { CLOCK_SKEW_S } from '../kernel/limits.ts'
import { Rejection } from '../kernel/rejection.ts'
import { UNKNOWN_COMMIT_RETRY_MS, UNKNOWN_COMMITS_MAX } from '../kernel/store-limits.ts'
import type { Commit } from '../model/commit.ts'
import type { Store } from '../store/ports.ts'
import { outsideBudget } from '../store/time-budget.ts'
import { enterState, revokeLeaf, revokeNodes, type SessionChange } from './session-commits.ts'
import type { SessionRepository } from './session-repository.ts'

const AT_ONCE = 100

/** What must not stay alive if the commit happened. */
export type Doomed =
  | { readonly dimension: 'session' }
  /** A node, or the delegation that becomes it. */
  | { readonly dimension: 'node'; readonly id: string }
  | { readonly dimension: 'token'; readonly id: string; readonly expiresAt: number }

export interface UnknownCommit {
  /** With what its records name. */
  readonly change: Pick<SessionChange, 'session' | 'notAfter' | 'contents'>
  /** The commit's id. */
  readonly id: string
  readonly doomed: Doomed
  /** The record of how it ended. */
  record(happened: boolean): string
}

export class UnknownCommits {
  readonly #store: Store
  readonly #sessions: SessionRepository
  readonly #onForgotten: () => void
  readonly #waiting: UnknownCommit[] = []
  #settling: Promise<void> | undefined
  #retrying = false
  #stopped = false

  /** @param onForgotten told of each commit that finds {@link UNKNOWN_COMMITS_MAX} others waiting */
  constructor(store: Store, sessions: SessionRepository, onForgotten: () => void) {
    this.#store = store
    this.#sessions = sessions
    this.#onForgotten = onForgotten
  }

  add(commit: UnknownCommit): void {
    if (this.#waiting.length < UNKNOWN_COMMITS_MAX) this.#waiting.push(commit)
    else this.#onForgotten()
    if (!this.#retrying) void outsideBudget(() => this.#retry())
  }

  /** All that can be settled now, about in their order; what cannot be waits on. */
  settle(): Promise<void> {
    this.#settling ??= this.#settleAll().finally(() => {
      this.#settling = undefined
    })
    return this.#settling
  }

  /** A last attempt. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.settle()
  }

  async #retry(): Promise<void> {
    this.#retrying = true
    while (this.#waiting.length > 0 && !this.#stopped) {
      await sleep(UNKNOWN_COMMIT_RETRY_MS, undefined, { ref: false })
      await this.settle()
    }
    this.#retrying = false
  }

  async #settleAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, AT_ONCE)
      const ends = await Promise.allSettled(batch.map((unknown) => this.#settleOne(unknown)))
      const unsettled = batch.filter((_unknown, index) => ends[index]?.status === 'rejected')
      this.#waiting.unshift(...unsettled)
      // The store is still away: all of it again, later.
      if (unsettled.length > 0) return
    }
  }

  async #settleOne(unknown: UnknownCommit): Promise<void> {
    const fence = commitOf(unknown, unknown.id, unknown.record(false))
    const outcome = await this.#store.sessions.commit(fence)
    if (!outcome.committed || !outcome.repeated) return
    const { doomed, change } = unknown
    const until = doomed.dimension === 'token' ? doomed.expiresAt : change.notAfter
    const dimension = doomed.dimension === 'session' ? 'session' : 'node'
    const id = doomed.dimension === 'session' ? change.session : doomed.id
    const expiresAtMs = (until + CLOCK_SKEW_S) * 1000
    await this.#store.control.write([{ entry: 'cutoff', dimension, id, expiresAtMs }], 0)
    await this.#mark(unknown)
    await this.#store.sessions.commit(commitOf(unknown, `undone:${unknown.id}`, unknown.record(true)))
  }

  /** Where it is marked already, or has no room for a mark, the cut-off kills it all the same. */
  async #mark({ change, id, doomed }: UnknownCommit): Promise<void> {
    const { session, notAfter } = change
    const mark =
      doomed.dimension === 'session'
        ? enterState(session, 'revoked', notAfter)
        : doomed.dimension === 'node'
          ? revokeNodes(session, [doomed.id], notAfter)
          : revokeLeaf(session, doomed.id, notAfter)
    try {
      await this.#sessions.commit(mark, `undo:${id}`, undefined)
    } catch (error) {
      if (!(error instanceof Rejection)) throw error
    }
  }
}

function commitOf({ change }: UnknownCommit, id: string, audit: string): Commit {
  const expiresAtMs = (change.notAfter + CLOCK_SKEW_S) * 1000
  const { session, contents = [] } = change
  return { session, id, checks: [], operations: [], expiresAtMs, audit, contents, isEnd: true }
}
