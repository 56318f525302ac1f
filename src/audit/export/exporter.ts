/**
 * Sends one sink what it has not taken, in the order of the log, beside everything else. Runs in every broker; one of them sends,
 * and goes on while it lives.
 *
 * Guarantees: at least once, in order; nothing is skipped but what the sink does not want and what retention has removed, and that
 * is said to it; one message under way at a time; a sink that is slow or dead is waited for longer and longer, and nobody waits
 * for it.
 */
import type { Ticks } from '../../kernel/clock.ts'
import {
  EXPORT_BEAT_MS,
  EXPORT_LOOKED_AT_MAX,
  EXPORT_PAUSE_MS_MIN,
  EXPORT_STAYS_MS,
  EXPORT_TICK_MS,
} from '../../kernel/telemetry-limits.ts'
import type { CursorDocument, ExportCursor, ReadCursor } from './export-cursor.ts'
import { pauseAfter } from './pauses.ts'
import type { Delivery, DeliveryFailure, ExportedRecord, ExportGap, ExportSlice, ExportSource, Sink } from './sink.ts'

export interface ExportObserver {
  readonly taken: (sink: string, records: number) => void
  readonly notTaken: (sink: string, why: DeliveryFailure) => void
  /** Records that the sink will never have. */
  readonly lost: (sink: string, gap: ExportGap) => void
  /** Age of the oldest record that it has not taken, in seconds; `undefined`: it is another broker that knows. */
  readonly behind: (sink: string, seconds: number | undefined) => void
  /** A turn failed in this process or at the store; the next one may not. */
  readonly failed: (sink: string, error: unknown) => void
}

export interface ExporterParts {
  readonly name: string
  readonly sink: Sink
  readonly source: ExportSource
  readonly cursor: CursorDocument
  readonly wants: (record: ExportedRecord) => boolean
  /** Records in one message. */
  readonly batchMax: number
  /** Places of the log that are read for one: more than a message has, where it wants few of them. */
  readonly looksAt: number
  /** Where one begins that is new. */
  readonly begins: 'beginning' | 'now'
  /** This broker, as no other is called. */
  readonly by: string
  readonly ticks: Ticks
  readonly nowMs: () => number
  readonly observer: ExportObserver
}

export class Exporter {
  readonly #parts: ExporterParts
  #timer: NodeJS.Timeout | undefined
  #turning: Promise<number> | undefined
  #isStopping = false
  /** The cursor as it was last seen, and since when it is so. */
  #seen: { text: string | undefined; sinceMs: number } | undefined
  #beatMs = Number.NEGATIVE_INFINITY
  #batch: number
  /** When the oldest record was made that it wants and has not taken. */
  #oldestMs: number | undefined

  constructor(parts: ExporterParts) {
    this.#parts = parts
    this.#batch = parts.batchMax
  }

  start(): void {
    this.#arm(0)
  }

  /** Lets a message under way end, and another broker go on at once. */
  async stop(): Promise<void> {
    this.#isStopping = true
    clearTimeout(this.#timer)
    await this.#turning?.catch(() => undefined)
    await this.#release().catch(() => undefined)
  }

  #arm(afterMs: number): void {
    if (this.#isStopping) return
    this.#timer = setTimeout(() => {
      this.#turning = this.turn()
      void this.#turning.then((next) => this.#arm(next))
    }, afterMs)
    this.#timer.unref()
  }

  /** @returns milliseconds until the next one. Never throws. */
  async turn(): Promise<number> {
    const { name, observer, cursor } = this.#parts
    try {
      const read = await cursor.read()
      if (!this.#isMine(read)) {
        observer.behind(name, undefined)
        return EXPORT_TICK_MS
      }
      const held = await this.#hold(read)
      return held === undefined ? EXPORT_TICK_MS : await this.#send(held)
    } catch (error) {
      observer.failed(name, error)
      return EXPORT_PAUSE_MS_MIN
    }
  }

  /** Whoever sends goes on; another takes over once nothing has been heard of it for longer than a message may take. */
  #isMine({ text, cursor }: ReadCursor): boolean {
    const nowMs = this.#parts.ticks.ticksMs()
    if (this.#seen === undefined || this.#seen.text !== text) this.#seen = { text, sinceMs: nowMs }
    if (cursor === undefined || cursor.by === '' || cursor.by === this.#parts.by) return true
    return nowMs - this.#seen.sinceMs >= EXPORT_STAYS_MS
  }

  /** Says that it is this broker which sends, where that is not known, or was said some time ago. */
  async #hold({ text, cursor }: ReadCursor): Promise<Held | undefined> {
    const { by, begins, source, ticks } = this.#parts
    const nowMs = ticks.ticksMs()
    const known = cursor ?? { ...NEW, next: begins === 'now' ? await source.size() : 0 }
    if (text !== undefined && known.by === by && nowMs - this.#beatMs < EXPORT_BEAT_MS) return { text, cursor: known }
    return this.#move(text, { ...known, by, beat: known.beat + 1 })
  }

  async #move(expected: string | undefined, cursor: ExportCursor): Promise<Held | undefined> {
    const text = await this.#parts.cursor.move(expected, cursor)
    if (text === undefined) return undefined
    const nowMs = this.#parts.ticks.ticksMs()
    this.#beatMs = nowMs
    this.#seen = { text, sinceMs: nowMs }
    return { text, cursor }
  }

  async #send(held: Held): Promise<number> {
    const { source, wants, looksAt, name, observer, nowMs } = this.#parts
    const { next, not_before } = held.cursor
    // The log was put back, or has gone on without its end: what is there now in place of what was taken, is new.
    const size = await source.size()
    if (size < next) return this.#goBack(held, size)
    // Nothing is read for somebody who is not asked.
    if (not_before > nowMs()) return this.#paused(not_before)
    const slice = await source.from(next, looksAt)
    const [gap] = slice.gaps
    if (gap !== undefined && gap.first <= next) return this.#sendGap(held, await this.#wholeGap(gap))
    const isWhole = slice.next - next >= looksAt
    const found = gap === undefined ? slice : before(gap, slice)
    const oldest = found.entries.find(wants)
    this.#oldestMs = oldest === undefined ? undefined : Date.parse(oldest.record.at)
    this.#tellBehind()
    if (found.next === next) return EXPORT_TICK_MS
    const { batch, upTo } = this.#batchOf(found)
    const delivery = batch.length === 0 ? NOTHING_SENT : await this.#parts.sink.sendRecords(batch)
    if (!(await this.#settled(held, delivery))) return EXPORT_TICK_MS
    observer.taken(name, batch.length - this.#leftOut(delivery, batch))
    await this.#move(held.text, { ...held.cursor, next: upTo, failures: 0, not_before: 0 })
    return isWhole || upTo < slice.next ? 0 : EXPORT_TICK_MS
  }

  /** How many of them it will never have, though it has taken the message. */
  #leftOut(delivery: Delivery, [first, ...more]: readonly ExportedRecord[]): number {
    if (delivery.kind !== 'taken' || delivery.refused === undefined || first === undefined) return 0
    const records = Math.min(delivery.refused.records, 1 + more.length)
    const { observer, name } = this.#parts
    observer.lost(name, { why: 'refused', first: first.index, records, said: delivery.refused.said })
    return records
  }

  async #goBack({ text, cursor }: Held, size: number): Promise<number> {
    await this.#move(text, { ...cursor, next: size })
    return EXPORT_TICK_MS
  }

  #paused(untilMs: number): number {
    this.#tellBehind()
    return Math.min(untilMs - this.#parts.nowMs(), EXPORT_TICK_MS)
  }

  #tellBehind(): void {
    const { name, observer, nowMs } = this.#parts
    observer.behind(name, this.#oldestMs === undefined ? 0 : Math.max(0, (nowMs() - this.#oldestMs) / 1000))
  }

  /** The first that it wants, as many as one message has, and where to go on behind the last that was looked at. */
  #batchOf({ entries, next }: ExportSlice): { readonly batch: readonly ExportedRecord[]; readonly upTo: number } {
    const wanted = entries.filter(this.#parts.wants)
    const batch = wanted.slice(0, this.#batch)
    const last = batch.at(-1)
    return { batch, upTo: wanted.length > batch.length && last !== undefined ? last.index + 1 : next }
  }

  /** A stretch may end in the middle of it: it is said once. */
  async #wholeGap({ why, first, records }: ExportGap): Promise<ExportGap> {
    for (let end = first + records; ; ) {
      const [more] = (await this.#parts.source.from(end, EXPORT_LOOKED_AT_MAX)).gaps
      if (more === undefined || more.first !== end || more.why !== why) return { why, first, records: end - first }
      end += more.records
    }
  }

  async #sendGap(held: Held, gap: ExportGap): Promise<number> {
    const { sink, observer, name } = this.#parts
    if (!(await this.#settled(held, await sink.sendGap(gap)))) return EXPORT_TICK_MS
    const moved = await this.#move(held.text, {
      ...held.cursor,
      next: gap.first + gap.records,
      failures: 0,
      not_before: 0,
    })
    // Another may have said so already: then it has counted it, too.
    if (moved !== undefined) observer.lost(name, gap)
    return 0
  }

  /** Whether it was taken; if not, when to try again is kept where every broker reads it. */
  async #settled({ text, cursor }: Held, delivery: Delivery): Promise<boolean> {
    const { batchMax, observer, name, nowMs } = this.#parts
    if (delivery.kind === 'taken') {
      this.#batch = Math.min(batchMax, this.#batch * 2)
      return true
    }
    observer.notTaken(name, delivery.why)
    if (delivery.why === 'too_large') this.#batch = Math.max(1, Math.floor(this.#batch / 2))
    const failures = cursor.failures + 1
    const pauseMs = Math.max(pauseAfter(failures), delivery.retryAfterMs ?? 0)
    await this.#move(text, { ...cursor, failures, not_before: Math.ceil(nowMs() + pauseMs) })
    return false
  }

  async #release(): Promise<void> {
    const { cursor, by } = this.#parts
    const held = await cursor.read()
    if (held.cursor?.by === by) await cursor.move(held.text, { ...held.cursor, by: '' })
  }
}

/** What comes before it: the order of the log is kept. */
function before({ first }: ExportGap, { entries }: ExportSlice): ExportSlice {
  return { entries: entries.filter(({ index }) => index < first), next: first, gaps: [] }
}

interface Held {
  readonly text: string
  readonly cursor: ExportCursor
}

const NOTHING_SENT: Delivery = { kind: 'taken' }
const NEW: ExportCursor = { v: 1, next: 0, by: '', beat: 0, failures: 0, not_before: 0 }
