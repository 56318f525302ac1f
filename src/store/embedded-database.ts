/**
 * The LMDB file under the embedded store: durable group commit, and expiry.
 *
 * - A write's promise resolves when its transaction is on disk: with `overlappingSync` off, LMDB syncs the data pages and then
 *   the meta page inside the commit, and lmdb-js resolves after it. (With it on, lmdb-js's default, promises resolve first.)
 * - Writes wait in a queue and share a transaction: one sync carries all that arrived while the last one ran.
 * - LMDB keeps what a throwing callback has already put. A job that throws before its first put is refused alone; a throw
 *   after one aborts the whole transaction (a child transaction, the only kind that rolls back) and fails all its jobs.
 * - What expires is named in lists by time (`embedded-expiry.ts`); batches of expired keys ride along.
 */
import { chmodSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { asBinary, open, type RootDatabase } from 'lmdb'
import type { Clock } from '../kernel/clock.ts'
import { STORE_CLOCK_KEPT_MS } from '../kernel/store-limits.ts'
import { JOBS_PER_TRANSACTION_MAX, SWEEP_INTERVAL_MS } from './bounds.ts'
import { startDeadline } from './deadline.ts'
import { assertDatabase, assertRoom } from './disk-space.ts'
import { EmbeddedExpiry } from './embedded-expiry.ts'
import { type Job, type TransactionPart, Write } from './embedded-jobs.ts'
import { after, type Expiring, expiringText, parseExpiring, type Range } from './embedded-keys.ts'
import { StoreUnavailable } from './ports.ts'
import { StoreClock } from './store-clock.ts'

/** A transaction that takes longer than this stands still: half of what a request may take to be refused. */
const STALL_MS = 250
const STALLED = 'its disk does not answer'
/** The latest time the store has acted on. */
export const CLOCK_KEY = 'clock'

/** No batching by lmdb-js: its batches have a promise that nobody holds, whose rejection (a full disk) would end the process. */
const ONE_BY_ONE = { encoding: 'string', overlappingSync: false, cache: false, eventTurnBatching: false } as const
/** Each commit of lmdb-js 3.5 checks all free pages it has loaded, 50 000 unless told: more than the commit itself costs. */
const OPTIONS = { ...ONE_BY_ONE, maxFreeSpaceToLoad: 1_000, maxFreeSpaceToRetain: 2_000 } as const

export class EmbeddedDatabase {
  readonly clock: Clock
  readonly #root: RootDatabase<string, string>
  readonly #prefix: string
  readonly #waiting: Job[] = []
  #draining = false
  #putsOfJob = 0
  #nextSweepAtMs = 0
  #clockKeptMs = 0
  readonly #refreshers: (() => void)[] = []
  readonly #expiry = new EmbeddedExpiry(this)
  readonly #parts: TransactionPart[] = [this.#expiry]
  readonly #shared: boolean
  /** What was remembered of a transaction that failed is not on disk. */
  #failed = false
  #closedBecause: string | undefined
  #failing = false
  #underWay: readonly Job[] = []
  /** The transaction under way has been for too long. */
  #stalled = false
  readonly #assertRoom: () => void

  /** @param shared whether other processes write to it, too: then nothing may be remembered between two transactions. */
  constructor(directory: string, org: string, clock: Clock, shared = false) {
    this.#shared = shared
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    const path = join(directory, 'errand.mdb')
    assertDatabase(path)
    this.#assertRoom = () => assertRoom(directory)
    this.#root = open<string, string>({ path, ...OPTIONS })
    for (const suffix of ['', '-lock']) chmodSync(`${path}${suffix}`, 0o600)
    this.#prefix = `${org}:`
    this.clock = new StoreClock(clock, Number(this.get(CLOCK_KEY) ?? 0))
  }

  /** One job in a transaction of its own or others'; `settled` runs, in order of the jobs, once it is on disk. */
  write<T>(run: () => T, settled?: (result: T) => void): Promise<T> {
    if (this.#closedBecause !== undefined) return Promise.reject(new StoreUnavailable(this.#closedBecause))
    const job = new Write(run, settled)
    if (job.isUrgent && this.#stalled) job.abandon(STALLED)
    else this.#waiting.push(job)
    if (!this.#draining) void this.#drain()
    return job.done
  }

  /**
   * Told inside a transaction, before its first job, that another may have written since: whoever counts in memory counts anew.
   * This process's own transactions are one after the other, and no other process's runs during one.
   */
  onForeignWrites(refresh: () => void): void {
    this.#refreshers.push(refresh)
  }

  withEachTransaction(part: TransactionPart): void {
    this.#parts.push(part)
  }

  /** A consistent read of everything that is on disk, by whichever process it was written. */
  read<T>(reader: () => T): T {
    if (this.#closedBecause !== undefined) throw new StoreUnavailable(this.#closedBecause)
    try {
      // LMDB reads from the snapshot of this turn of the event loop: another process may have written since it was taken.
      this.#root.resetReadTxn()
      return reader()
    } catch (error) {
      throw new StoreUnavailable('the embedded database cannot be read', error)
    }
  }

  /** Whether the last transaction reached the disk, and the next is not held up. */
  get takesWrites(): boolean {
    return this.#closedBecause === undefined && !this.#failing && !this.#stalled
  }

  get(key: string): string | undefined {
    return this.#root.get(this.#prefix + key)
  }

  /** A copy of what `putBytes` has put there. */
  getBytes(key: string): Buffer | undefined {
    return this.#root.getBinary(this.#prefix + key)
  }

  /** What is there and not expired. */
  getExpiring(key: string): Expiring | undefined {
    const value = this.get(key)
    if (value === undefined) return undefined
    const entry = parseExpiring(value)
    return entry.expiresAtMs > this.clock.nowMs() ? entry : undefined
  }

  /** On a timer: how late it is, where nothing else was written that would say so. */
  async keepTime(): Promise<void> {
    if (this.takesWrites && this.clock.nowMs() - this.#clockKeptMs >= STORE_CLOCK_KEPT_MS)
      await this.write(() => undefined)
  }

  /** Inside a job only. */
  put(key: string, value: string): void {
    this.#putsOfJob++
    this.#root.put(this.#prefix + key, value)
  }

  /** Inside a job only. Under keys that nothing reads as text. */
  putBytes(key: string, bytes: Buffer): void {
    this.#putsOfJob++
    // It goes to disk as it is; the database's type knows of texts alone.
    this.#root.put(this.#prefix + key, asBinary(bytes) as unknown as string)
  }

  /** Inside a job only. */
  remove(key: string): void {
    this.#putsOfJob++
    this.#root.remove(this.#prefix + key)
  }

  /** Inside a job only. @param known what is there and has not expired; left out: it is looked up */
  putExpiring(key: string, expiresAtMs: number, text: string, known = this.getExpiring(key)): void {
    if (known?.expiresAtMs === expiresAtMs) this.put(key, expiringText(expiresAtMs, text))
    else this.putDated(key, expiresAtMs, text)
  }

  /** Inside a job only. For a key that is not there, or not with this expiry. */
  putDated(key: string, expiresAtMs: number, text: string): void {
    this.#expiry.note(key, expiresAtMs)
    this.put(key, expiringText(expiresAtMs, text))
  }

  /** Keys (without organisation) and values below `prefix`, in order of keys. */
  *range(prefix: string, options: Range = {}) {
    const start = this.#prefix + (options.from ?? prefix)
    const end = this.#prefix + (options.end ?? after(prefix))
    const bounds = options.reverse === true ? { start: end, end: start, reverse: true } : { start, end }
    const limit = options.limit === undefined ? {} : { limit: options.limit }
    for (const { key, value } of this.#root.getRange({ ...bounds, ...limit })) {
      yield { key: key.slice(this.#prefix.length), value }
    }
  }

  /** Everything from now on is refused: used when the directory's lock was lost, and on close. */
  refuse(because: string): void {
    this.#closedBecause ??= because
  }

  async close(): Promise<void> {
    this.refuse('the store is closed')
    while (this.#draining) await new Promise((resolve) => setImmediate(resolve))
    await this.#root.close()
  }

  async #drain(): Promise<void> {
    this.#draining = true
    while (this.#waiting.length > 0) {
      let batch: readonly Job[] = []
      const stall = startDeadline(STALL_MS, () => this.#stall())
      try {
        this.#assertRoom()
        await this.#root.childTransaction(() => {
          batch = this.#waiting.splice(0, JOBS_PER_TRANSACTION_MAX).filter((job) => !job.isAbandoned)
          this.#underWay = batch
          this.#perform(batch)
        })
        this.#failing = false
        for (const job of batch) job.refusal === undefined ? job.settle() : job.fail(job.refusal)
      } catch (error) {
        this.#failed = this.#failing = true
        // lmdb-js hangs the real cause on a second promise, whose rejection nobody else would catch.
        const cause = (error as { commitError?: Promise<unknown> }).commitError
        void cause?.catch(() => undefined)
        if (cause !== undefined) this.refuse('its disk failed in the middle of a write: restart the broker')
        const jobs = batch.length > 0 ? batch : this.#waiting.splice(0)
        for (const job of jobs) job.fail(new StoreUnavailable('the embedded database cannot be written', error))
      }
      stall.met()
      this.#stalled = false
      this.#underWay = []
    }
    this.#draining = false
  }

  /** Whoever must be answered soon is told now; the rest waits for its own deadline. */
  #stall(): void {
    this.#stalled = true
    for (const job of [...this.#underWay, ...this.#waiting]) if (job.isUrgent) job.abandon(STALLED)
  }

  #perform(batch: readonly Job[]): void {
    if (this.#shared || this.#failed) for (const refresh of this.#refreshers) refresh()
    this.#failed = false
    for (const part of this.#parts) part.begin()
    for (const job of batch) {
      this.#putsOfJob = 0
      try {
        job.run()
      } catch (error) {
        if (this.#putsOfJob > 0) throw error
        job.refusal = error
      }
    }
    for (const part of this.#parts) part.end()
    this.#sweep()
  }

  /** The next batch goes on where this one stopped. What is swept, the clock outlives. */
  #sweep(): void {
    const nowMs = this.clock.nowMs()
    if (nowMs < this.#nextSweepAtMs) return
    const isMore = this.#expiry.sweep(nowMs)
    this.put(CLOCK_KEY, String(nowMs))
    this.#clockKeptMs = nowMs
    if (!isMore) this.#nextSweepAtMs = nowMs + SWEEP_INTERVAL_MS
  }
}
