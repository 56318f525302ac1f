/**
 * Brings every record of every outbox into the log, once, in the order of its outbox, and signs what is there. Runs in every
 * broker; which of them does it is decided anew by each append (`head.ts`), and one who has just done it goes on.
 *
 * In this order, so that it may end between any two: read, append, sign, publish, trim. What was not appended is read again; what
 * was appended is never read again, because where to read on is in the head; what was not signed is signed by whoever is next.
 */
import {
  APPENDS_PER_CHECKPOINT_MAX,
  SEQUENCER_LOOKS_MS,
  SEQUENCER_STAYS_MS,
  SEQUENCING_MS,
} from '../../kernel/log-limits.ts'
import { collectYoungSooner, makeAllYoung } from '../../kernel/young-objects.ts'
import type { OutboxUsage } from '../../store/ports.ts'
import { outsideBudget } from '../../store/time-budget.ts'
import type { Acknowledged } from './acknowledged.ts'
import { EMPTY_HEAD, type LogHead, parseHead } from './head.ts'
import { LogContradicted } from './log-contradicted.ts'
import type { Incoming, LogTail } from './log-tail.ts'
import { LogWriter, type WriterParts } from './log-writer.ts'
import { firstOf, gatherContents } from './named-contents.ts'
import { OutboxReader, type OutboxSource } from './outbox-reader.ts'
import type { KnownHead, SequencerState } from './sequencer-state.ts'
import { failureOf, type SequencingFailure } from './sequencing-failure.ts'
import { Trimmer } from './trimmer.ts'

export interface SequencerParts extends WriterParts {
  readonly audit: OutboxSource
  /** Of the fullest outbox, as far as is known. */
  readonly usage: () => OutboxUsage | undefined
  readonly acknowledged: Acknowledged
  readonly failed: (reason: SequencingFailure, error: unknown) => void
}

export class Sequencer {
  readonly #parts: SequencerParts
  readonly #writer: LogWriter
  readonly #reader: OutboxReader
  readonly #trimmer: Trimmer
  #head: KnownHead | undefined
  #lookedMs = -Infinity
  #followedMs = -Infinity
  #followed = EMPTY_HEAD
  #failedMs = -Infinity
  #continued = 0
  #size = 0
  #floor = 0
  #unsequenced = 0
  #coveredMs: number
  #problem: string | undefined
  #timer: NodeJS.Timeout | undefined
  #turning: Promise<void> | undefined
  #isStopping = false

  constructor(parts: SequencerParts) {
    this.#parts = parts
    this.#writer = new LogWriter(parts)
    this.#reader = new OutboxReader(parts.audit, parts.log, (outbox, position) =>
      parts.acknowledged.textOf(outbox, position),
    )
    this.#trimmer = new Trimmer(parts.audit, parts.usage)
    this.#coveredMs = parts.ticks.ticksMs()
  }

  start(): void {
    makeAllYoung()
    void this.tick()
    this.#timer = setInterval(() => void this.tick(), SEQUENCING_MS)
    this.#timer.unref()
  }

  /** What is written by now gets into the log, where it is this broker's turn. */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#isStopping = true
    await this.#turning
    await this.tick()
  }

  get state(): SequencerState {
    const behindMs = this.#parts.ticks.ticksMs() - this.#coveredMs
    const remembered = this.#parts.acknowledged.count
    return { size: this.#size, unsequenced: this.#unsequenced, behindMs, remembered, problem: this.#problem }
  }

  /** One turn, where it is this broker's. Never throws: what failed is told, and tried again. */
  tick(): Promise<void> {
    this.#turning ??= outsideBudget(() => this.#turns()).finally(() => {
      this.#turning = undefined
    })
    return this.#turning
  }

  async #turns(): Promise<void> {
    try {
      while (await this.#turn()) if (this.#isStopping) return
    } catch (error) {
      this.#failedMs = this.#parts.ticks.ticksMs()
      const reason = failureOf(error)
      this.#problem = reason === 'store' || reason === 'fault' ? undefined : (error as Error).message
      this.#parts.failed(reason, error)
    }
  }

  /** Whether there is more to do at once. */
  async #turn(): Promise<boolean> {
    const text = await this.#parts.log.head()
    const nowMs = this.#parts.ticks.ticksMs()
    this.#notice(text, nowMs)
    if (this.#parts.acknowledged.isDue(nowMs, this.#isFirst(text))) return this.#makeGood(text)
    if (!this.#isTurn(text, nowMs)) return this.#follow(nowMs)
    this.#lookedMs = nowMs
    const tail = await this.#open(text)
    if (tail === undefined) return false
    const isMore = await this.#drain(tail)
    if (isMore === 'lost') return false
    await this.#publish(tail.head)
    if (!isMore) this.#coveredMs = nowMs
    this.#parts.acknowledged.cover(tail.head, nowMs)
    this.#trimmer.note(tail.head, nowMs)
    await this.#trim(nowMs)
    // Nothing of what was read is needed any more: in the midst of the next turn all of it would be moved, and kept.
    collectYoungSooner()
    return isMore
  }

  #notice(text: string | undefined, nowMs: number): void {
    const known = this.#head
    if (known !== undefined && known.text === text) return
    const head = parseHead(text)
    const isSetBack = known !== undefined && this.#writer.isOwn(known.text) && head.size < known.head.size
    this.#head = { text, movedMs: known === undefined ? -Infinity : nowMs, head, isSetBack }
  }

  /** What was there last was this broker's: it goes on, and gives the log back what it has lost. */
  #isFirst(text: string | undefined): boolean {
    return this.#writer.isOwn(text) || this.#head?.isSetBack === true
  }

  /**
   * Another that has sequenced just now goes on; where nobody has for a second, this one looks now and then whether it should.
   * After a failover it waits until whoever was first must have given the log back what it had lost: nobody can once others have
   * added to it.
   */
  #isTurn(text: string | undefined, nowMs: number): boolean {
    if (this.#isFirst(text) || (text === undefined && this.#size === 0)) return true
    const quietMs = nowMs - Math.max(this.#head?.movedMs ?? -Infinity, this.#failedMs)
    const isWaiting = this.#parts.acknowledged.isDoubted || quietMs < SEQUENCER_STAYS_MS
    return !isWaiting && nowMs - this.#lookedMs >= SEQUENCER_LOOKS_MS
  }

  /** What others sequence and sign. */
  async #follow(nowMs: number): Promise<false> {
    this.#trimmer.note(this.#head?.head ?? EMPTY_HEAD, nowMs)
    const { checkpoints } = this.#parts
    await checkpoints.look()
    this.#goOnFrom(this.#head?.head)
    if (nowMs - this.#followedMs < SEQUENCER_STAYS_MS) return false
    this.#followedMs = nowMs
    if (checkpoints.publishedSize >= this.#size) this.#coveredMs = nowMs
    if (checkpoints.publishedSize >= this.#followed.size) this.#parts.acknowledged.cover(this.#followed, nowMs)
    this.#followed = this.#head?.head ?? EMPTY_HEAD
    this.#size = Math.max(this.#size, this.#followed.size)
    return false
  }

  /**
   * After a failover: what was acknowledged here and is nowhere now, is written again. With a head of this broker's own in
   * between: what another has read before the failover, and would append now, is refused.
   */
  async #makeGood(text: string | undefined): Promise<boolean> {
    const { acknowledged, log } = this.#parts
    try {
      const tail = await this.#open(text)
      if (tail === undefined || !(await this.#append([], new Map(), tail.head.cursors))) return false
      await acknowledged.makeGood(log, tail.head)
      return true
    } catch (error) {
      // Not to the log: that is another's. To the outboxes, lest it end with this process.
      if (error instanceof LogContradicted) await acknowledged.makeGood(log, parseHead(text))
      throw error
    }
  }

  /** `undefined`: the log is another by now: it is another's turn, or it was given back what it had lost. */
  async #open(text: string | undefined): Promise<LogTail | undefined> {
    try {
      const tail = await this.#writer.open(text)
      this.#problem = undefined
      this.#goOnFrom(tail?.head)
      return tail
    } catch (error) {
      if (!(error instanceof LogContradicted) || error.how !== 'rolled_back') throw error
      this.#trimmer.forget()
      if (await this.#writer.replay(text)) return undefined
      throw error
    }
  }

  /** Where the log was continued without its end: what was known of that says nothing of what is there now. */
  #goOnFrom(head: LogHead | undefined): void {
    const { count } = this.#parts.checkpoints.continuations
    if (head === undefined || this.#continued === count) return
    this.#continued = count
    this.#trimmer.forget()
    if (this.#size > head.size) this.#parts.acknowledged.setBack(head.floor)
    this.#size = head.size
    this.#floor = head.floor
    this.#followed = EMPTY_HEAD
  }

  /** @returns whether there is more; `lost`: it is another's turn */
  async #drain(tail: LogTail): Promise<boolean | 'lost'> {
    for (let appends = 0; appends < APPENDS_PER_CHECKPOINT_MAX; ) {
      const { incoming, cursors, isFull, passed } = await this.#reader.read(tail.head)
      const isMoved = cursors !== tail.head.cursors
      if (isMoved) this.#trimmer.forget()
      if (isMoved && !(await this.#append([], new Map(), cursors))) return 'lost'
      for (let rest = incoming; rest.length > 0; appends++) {
        this.#unsequenced = rest.length
        const { batch, contents } = await gatherContents(firstOf(rest, tail.room), { ...this.#parts, tail })
        if (!(await this.#append(batch, contents, tail.head.cursors))) return 'lost'
        rest = rest.slice(batch.length)
      }
      if (passed !== undefined && !(await this.#append([], new Map(), passed))) return 'lost'
      this.#unsequenced = 0
      this.#size = tail.head.size
      if (!isFull) return false
    }
    return true
  }

  async #append(batch: readonly Incoming[], contents: ReadonlyMap<string, string>, cursors: LogHead['cursors']) {
    return this.#writer.append({ batch, contents, cursors, floor: this.#floor })
  }

  /** Everything up to this head is durable, and behind what was signed before. */
  async #publish(head: LogHead): Promise<void> {
    const { checkpoints } = this.#parts
    if (head.size > (checkpoints.seen?.size ?? 0)) await checkpoints.publish(head)
    else if (checkpoints.publishedSize < head.size) await checkpoints.look()
  }

  async #trim(nowMs: number): Promise<void> {
    const floor = await this.#trimmer.trim(this.#parts.checkpoints.publishedSize, nowMs)
    this.#floor = Math.max(this.#floor, floor ?? 0)
  }
}
