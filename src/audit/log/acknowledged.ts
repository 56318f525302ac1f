/**
 * The records that this broker was told are written, until a published checkpoint covers them: a failover to a server that does
 * not have them all must not make an answer of an answer without a record. What is neither in its outbox nor in the log then is
 * written again.
 *
 * In memory, and bounded; what a broker forgets for want of room, or takes with it when it ends, its servers have to keep.
 */

import { KeptBytes } from '../../kernel/kept-bytes.ts'
import {
  ACKNOWLEDGED_BYTES_MAX,
  ACKNOWLEDGED_KEPT_MS,
  ACKNOWLEDGED_RECORDS_MAX,
  LOSSES_MADE_GOOD_MS,
} from '../../kernel/log-limits.ts'
import type { Content } from '../../model/commit.ts'
import type { AuditStore, LogStore } from '../../store/ports.ts'
import type { AcknowledgedRecord, RecordWatcher } from '../../store/record-watcher.ts'
import type { LogHead } from './head.ts'
import { HeldRecord } from './held-record.ts'
import { firstPlaceOf, loggedPlaces, placeOf } from './logged-places.ts'

/** A head that a published checkpoint covers. */
interface Covered {
  readonly atMs: number
  readonly size: number
  readonly cursors: LogHead['cursors']
}

/** How often all that is remembered is looked through. */
const FORGETTING_MS = 1_000

export class Acknowledged implements RecordWatcher {
  readonly #audit: Pick<AuditStore, 'appendAgain' | 'holds'>
  /** By their places, in order of their acknowledgement. */
  readonly #records = new Map<string, HeldRecord>()
  readonly #texts = new KeptBytes()
  #bytes = 0
  #forgotMs = -Infinity
  /** While losses are made good: what was remembered then, and may have to be written again although it is forgotten meanwhile. */
  #wanted: ReadonlySet<HeldRecord> | undefined
  #covered: Covered[] = []
  /** None of those remembered is before this index. */
  #from = 0
  #isDoubted = false
  #doubtedMs: number | undefined

  constructor(audit: Pick<AuditStore, 'appendAgain' | 'holds'>) {
    this.#audit = audit
  }

  get count(): number {
    return this.#records.size
  }

  acknowledged(record: AcknowledgedRecord): void {
    const held = new HeldRecord(record, this.#texts)
    const before = this.#records.get(held.place)
    if (before !== undefined) this.#forget(before)
    this.#records.set(held.place, held)
    this.#bytes += held.bytes
    if (!this.#isFull) return
    // Only now: to find the first of a map takes longer, the more have gone from its front.
    for (const oldest of this.#records.values()) {
      this.#forget(oldest)
      if (!this.#isFull) return
    }
  }

  get #isFull(): boolean {
    return this.#records.size > ACKNOWLEDGED_RECORDS_MAX || this.#bytes > ACKNOWLEDGED_BYTES_MAX
  }

  /** Its text, as far as it is remembered. */
  textOf(outbox: string, position: string): string | undefined {
    return this.#records.get(placeOf(outbox, position))?.text
  }

  /** Those of the texts that were written with it that are wanted; `undefined`: it is not remembered. */
  contentsOf(
    { outbox, position }: Pick<AcknowledgedRecord, 'outbox' | 'position'>,
    isWanted: (digest: string) => boolean,
  ): readonly Content[] | undefined {
    return this.#records.get(placeOf(outbox, position))?.contents(isWanted)
  }

  doubted(): void {
    this.#isDoubted = true
    this.#doubtedMs = undefined
    // Outboxes may go on from less than was read of them: a cursor says nothing of what was acknowledged before.
    this.#covered = []
  }

  /** The log goes on without its end. @param from before which nothing remembered is in it */
  setBack(from: number): void {
    this.#from = Math.min(this.#from, from)
    this.doubted()
  }

  /** @param head that a published checkpoint covers. @param nowMs by a clock that only runs on */
  cover({ size, cursors }: Pick<LogHead, 'size' | 'cursors'>, nowMs: number): void {
    if (this.#isDoubted || this.#records.size === 0) return
    if (this.#covered.at(-1)?.size !== size) this.#covered.push({ atMs: nowMs, size, cursors })
    if (nowMs - this.#forgotMs < FORGETTING_MS) return
    const last = this.#covered.findLast(({ atMs }) => nowMs - atMs >= ACKNOWLEDGED_KEPT_MS)
    if (last === undefined) return
    this.#forgotMs = nowMs
    this.#covered = this.#covered.filter(({ atMs }) => atMs > last.atMs)
    this.#from = last.size
    const upTo = new Map(Array.from(last.cursors, ([outbox, cursor]) => [outbox, placeOf(outbox, cursor)]))
    for (const record of this.#records.values()) {
      if (record.place <= (upTo.get(record.outbox) ?? '')) this.#forget(record)
    }
  }

  /** A server was replaced, and nobody has looked yet what that has lost. */
  get isDoubted(): boolean {
    return this.#isDoubted
  }

  /** Whether it is time to look whether anything was lost. @param isFirst the log is as this broker has left it, or less */
  isDue(nowMs: number, isFirst: boolean): boolean {
    if (!this.#isDoubted) return false
    this.#doubtedMs ??= nowMs
    return isFirst || nowMs - this.#doubtedMs >= LOSSES_MADE_GOOD_MS
  }

  /**
   * Writes again what is neither in its outbox nor in the log. Nobody may be appending to the log what was read before.
   * @returns how many those were. @throws StoreUnavailable: then it is still due
   */
  async makeGood(log: Pick<LogStore, 'read'>, head: LogHead): Promise<number> {
    this.#isDoubted = false
    const wanted = new Set(this.#records.values())
    this.#wanted = wanted
    try {
      return await this.#makeGood(log, head)
    } catch (error) {
      this.#isDoubted = true
      throw error
    } finally {
      this.#wanted = undefined
      for (const held of wanted) if (this.#records.get(held.place) !== held) held.forget()
    }
  }

  async #makeGood(log: Pick<LogStore, 'read'>, head: LogHead): Promise<number> {
    const missing = await this.#missing()
    if (missing.length === 0) return 0
    const logged = await loggedPlaces(log, { from: this.#from, size: head.size })
    let written = 0
    for (const record of missing) {
      if (!logged.has(firstPlaceOf(record.outbox, record.position))) {
        await this.#audit.appendAgain(record.whole)
        written += 1
      }
      this.#forget(record)
    }
    return written
  }

  /** Those that are no longer where they were written. */
  async #missing(): Promise<readonly HeldRecord[]> {
    const byOutbox = Map.groupBy(this.#records.values(), ({ outbox }) => outbox)
    const found = await Promise.all(
      Array.from(byOutbox, async ([outbox, records]) => {
        const positions = records.map(({ position }) => position)
        const held = await this.#audit.holds(outbox, positions)
        return records.filter(({ position }) => !held.has(position))
      }),
    )
    return found.flat()
  }

  #forget(held: HeldRecord): void {
    if (this.#records.get(held.place) !== held) return
    this.#records.delete(held.place)
    this.#bytes -= held.bytes
    if (this.#wanted?.has(held) !== true) held.forget()
  }
}
