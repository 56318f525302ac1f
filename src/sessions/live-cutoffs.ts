/**
 * The revocations this broker knows, and how sure it is of them.
 *
 * A cut-off may be written by any broker at any moment; what this one had applied when it decided is the `rv` of the token,
 * so a cut-off it had not seen kills the token it minted. A broker that has not confirmed its view for two seconds, or whose
 * clock is away from the store's, issues nothing (DESIGN §7).
 */
import { type ControlEntry, CutoffSet } from '../authority/cutoffs.ts'
import type { PolicyEntry } from '../authority/policy-entry.ts'
import type { Clock } from '../kernel/clock.ts'
import { POLICY_LOAD_MS_MAX } from '../kernel/policy-limits.ts'
import { Rejection } from '../kernel/rejection.ts'
import { CUTOFF_STALENESS_MS_MAX, ECHO_WAIT_MS, STORE_CLOCK_DIFFERENCE_MS_MAX } from '../kernel/store-limits.ts'
import {
  type ControlListener,
  type ControlSnapshot,
  type ControlStore,
  type ControlWrite,
  type ControlWritten,
  type KnownEntries,
  NotReplicated,
} from '../store/ports.ts'

export class LiveCutoffs implements ControlListener {
  readonly set = new CutoffSet()
  readonly #clock: Clock
  readonly #keyKilled: (kid: string) => void
  #confirmedAtMs: number | undefined
  #standsUpTo = 0
  /**
   * An `rv` below it may have been read while nothing was to be decided. Where a policy came then, too, it is the `rv` from before
   * that policy, as for all who came until it was loaded: what they are issued, the cut-offs that came behind it kill.
   */
  #freshFrom = 0
  #epoch: string | undefined
  #storeClockDifferenceMs = 0
  #decidedBy: string | undefined
  /** The highest number applied while what decided here was what is published. */
  #decidedUpTo = 0
  /** When a policy was heard of that is not loaded yet. */
  #policyHeardAtMs: number | undefined
  /** Why the published policy cannot be loaded; `undefined`: it can, as far as is known. */
  policyFault: string | undefined
  /** Told of every policy that is published. */
  policyPublished: () => void = () => undefined
  /** Told of every snapshot: the store may be another, or have lost what it held. */
  readAnew: (atMs: number) => void = () => undefined
  readonly #waiting = new Set<{ seq: number; wake: () => void }>()

  /** @param keyKilled told of every key that a cut-off has killed, before anything else is decided. */
  constructor(clock: Clock, keyKilled: (kid: string) => void = () => undefined) {
    this.#clock = clock
    this.#keyKilled = keyKilled
  }

  /** The highest sequence number applied without a gap. Read it *before* checking anything against the set. */
  get rv(): number {
    const { appliedSeq, policy } = this.set
    // Until what is published is what decides here, the cut-offs that came with it concern what is minted in the meantime; and
    // so do those of every version that was published in between, which may have gone by unheard.
    return this.#isBehind(policy) ? Math.min(this.#decidedUpTo, policy.seq - 1) : appliedSeq
  }

  #isBehind(policy: PolicyEntry | undefined): policy is PolicyEntry {
    return policy !== undefined && policy.version !== this.#decidedBy
  }

  /** From now on decisions are made by this version of the policy. */
  decideBy(version: string): void {
    this.#decidedBy = version
    this.#policyHeardAtMs = undefined
    this.policyFault = undefined
    this.#advance(this.set.appliedSeq)
  }

  /** Why nothing may be decided by the policy at hand; `undefined`: it may. */
  get policyProblem(): string | undefined {
    if (!this.#isBehind(this.set.policy)) return undefined
    const waitedMs = Math.abs(this.#clock.nowMs() - (this.#policyHeardAtMs ?? 0))
    if (this.policyFault === undefined && waitedMs <= POLICY_LOAD_MS_MAX) return undefined
    return `the published policy is not loaded: ${this.policyFault ?? 'it takes too long'}`
  }

  snapshot(snapshot: ControlSnapshot): void {
    // Of another history, perhaps: what stood there need not stand here.
    this.#standsUpTo = 0
    this.#epoch = snapshot.epoch
    for (const entry of snapshot.entries) this.#apply(entry)
    this.#advance(snapshot.seq)
    this.readAnew(snapshot.atMs)
  }

  written(seq: number, entries: readonly ControlEntry[]): void {
    for (const entry of entries) this.#apply(entry)
    this.#advance(seq)
  }

  known(): KnownEntries {
    const { set } = this
    return {
      seq: set.appliedSeq,
      get entries() {
        return set.entries()
      },
    }
  }

  confirmed(seq: number, atMs: number): void {
    const wasFresh = this.fresh
    this.#advance(seq)
    this.#standsUpTo = Math.max(this.#standsUpTo, seq)
    this.#confirmedAtMs = this.#clock.nowMs()
    this.#storeClockDifferenceMs = this.#confirmedAtMs - atMs
    // Where it was stale until now, a request may have read an `rv` of then. A policy of another history may have a lower number.
    this.#freshFrom = wasFresh ? Math.min(this.#freshFrom, this.rv) : this.rv
    // By the earlier clock: one that runs ahead for a moment must not forget what is still in force when it is set right.
    this.set.prune(Math.min(this.#confirmedAtMs, atMs))
  }

  /**
   * Up to here every write is on every replica that is asked for. One that was heard of and is later may still be lost: whoever
   * asks for the same again must not be told that it is done.
   */
  get standsUpTo(): number {
    return this.#standsUpTo
  }

  /** Of the store's history as it goes on now: with a new one, some of what was written may be lost. `undefined`: none was read. */
  get epoch(): string | undefined {
    return this.#epoch
  }

  /** How long ago the view was confirmed; infinite: never. */
  get confirmedAgeMs(): number {
    // Either way: a clock set back would make one confirmation last for as long as it was set back.
    return this.#confirmedAtMs === undefined ? Infinity : Math.abs(this.#clock.nowMs() - this.#confirmedAtMs)
  }

  get storeClockDifferenceMs(): number {
    return this.#storeClockDifferenceMs
  }

  /** The store's clock, as far as this broker has last confirmed how it differs from its own. Epoch ms. */
  get storeNowMs(): number {
    return this.#clock.nowMs() - this.#storeClockDifferenceMs
  }

  get fresh(): boolean {
    const near = Math.abs(this.#storeClockDifferenceMs) <= STORE_CLOCK_DIFFERENCE_MS_MAX
    return near && this.confirmedAgeMs <= CUTOFF_STALENESS_MS_MAX
  }

  /**
   * @param rv that what is decided will carry, where it was read earlier: the view must have been fresh then, too
   * @throws Rejection `cutoffs_stale`, `policy_unavailable`
   */
  assertFresh(rv = this.#freshFrom): void {
    const isFresh = this.fresh && rv >= this.#freshFrom
    if (isFresh && this.policyProblem === undefined) return
    if (isFresh) {
      throw new Rejection('policy_unavailable', 'this broker has not loaded the published policy: try again', {
        retryAfterSeconds: 1,
      })
    }
    throw new Rejection('cutoffs_stale', 'revocations could not be confirmed just now: try again', {
      retryAfterSeconds: 1,
    })
  }

  /**
   * Writes to the control slot, applies it here at once, and waits until the feed has brought this broker up to it, so that
   * what it decides next already carries a later `rv`.
   * @throws Rejection `write_unreplicated`: it is in force, and a failover may still lose it
   */
  async write(store: ControlStore, entries: readonly ControlWrite[]): Promise<ControlWritten> {
    const writing = store.write(entries, this.set.appliedSeq + 1)
    return this.#stands(await this.#heard(entries, await this.#replicated(entries, writing)))
  }

  /** The same, if the policy published now is of this version; else `undefined`, and nothing is written. */
  async writeAfter(
    version: string | undefined,
    store: ControlStore,
    entries: readonly ControlWrite[],
  ): Promise<ControlWritten | undefined> {
    const writing = store.writeAfter(version, entries, this.set.appliedSeq + 1)
    const written = await this.#replicated(entries, writing)
    return written === undefined ? undefined : this.#stands(await this.#heard(entries, written))
  }

  #stands(written: ControlWritten): ControlWritten {
    this.#standsUpTo = Math.max(this.#standsUpTo, written.seq)
    return written
  }

  async #replicated<T>(entries: readonly ControlWrite[], writing: Promise<T>): Promise<T> {
    try {
      return await writing
    } catch (error) {
      if (!(error instanceof NotReplicated)) throw error
      await this.#heard(entries, error.written)
      throw new Rejection('write_unreplicated', 'it is in force, but not on every replica of the store: try again', {
        retryAfterSeconds: 1,
        cause: error,
      })
    }
  }

  async #heard(entries: readonly ControlWrite[], written: ControlWritten): Promise<ControlWritten> {
    for (const entry of entries) this.#apply({ ...entry, ...written } as ControlEntry)
    await this.#reached(written.seq)
    return written
  }

  #apply(entry: ControlEntry): void {
    this.set.apply(entry)
    if (entry.entry === 'cutoff' && entry.dimension === 'key') this.#keyKilled(entry.id)
    if (entry.entry === 'policy' && this.#isBehind(this.set.policy)) {
      this.#policyHeardAtMs ??= this.#clock.nowMs()
      this.policyPublished()
    }
  }

  #advance(seq: number): void {
    this.set.advance(seq)
    if (!this.#isBehind(this.set.policy)) this.#decidedUpTo = this.set.appliedSeq
    for (const waiter of this.#waiting) if (waiter.seq <= this.set.appliedSeq) waiter.wake()
  }

  async #reached(seq: number): Promise<void> {
    if (this.set.appliedSeq >= seq) return
    await new Promise<void>((resolve) => {
      const waiter = {
        seq,
        wake: () => {
          clearTimeout(timer)
          this.#waiting.delete(waiter)
          resolve()
        },
      }
      const timer = setTimeout(waiter.wake, ECHO_WAIT_MS)
      this.#waiting.add(waiter)
    })
  }
}
