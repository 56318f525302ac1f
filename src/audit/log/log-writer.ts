/**
 * Appends to the log, where it is the log that was signed: behind a head that it has read, or not at all. A log that came back
 * without its last appends is given them again, as they were; one that cannot be is left alone.
 */
import type { Clock, Ticks } from '../../kernel/clock.ts'
import { type LogStore, StoreUnavailable } from '../../store/ports.ts'
import { type Appended, AppendMemory } from './append-memory.ts'
import type { Checkpoints } from './checkpoints.ts'
import { formatHead, parseHead } from './head.ts'
import { type Incoming, LogTail } from './log-tail.ts'

export interface WriterParts {
  readonly log: LogStore
  readonly checkpoints: Checkpoints
  readonly clock: Clock
  readonly ticks: Ticks
  /** This broker's name, for people. */
  readonly by: string
}

export interface Addition {
  readonly batch: readonly Incoming[]
  readonly contents: ReadonlyMap<string, string>
  /** Where the outboxes were read on from. */
  readonly cursors: ReadonlyMap<string, string>
  readonly floor: number
}

export class LogWriter {
  readonly #parts: WriterParts
  readonly #memory = new AppendMemory()
  /** The end of the log behind this head; `undefined`: nothing is known of it. */
  #end: { readonly text: string | undefined; readonly tail: LogTail } | undefined
  /** The last head that this one has written. */
  #own: string | undefined
  /** Nobody knows whether it happened. */
  #unknown: Appended | undefined

  constructor(parts: WriterParts) {
    this.#parts = parts
  }

  /** Whether the last append there was is this one's. @param text of the head */
  isOwn(text: string | undefined): boolean {
    return text !== undefined && this.#own === text
  }

  /**
   * The end of the log, to append to; `undefined`: somebody has appended meanwhile.
   * @param text of the head
   * @throws LogContradicted, DamagedLog, StoreUnavailable
   */
  async open(text: string | undefined): Promise<LogTail | undefined> {
    if (this.#unknown?.after === text && this.#unknown !== undefined) this.#remember(this.#unknown)
    this.#unknown = undefined
    if (this.#end !== undefined && this.#end.text === text && !this.#isBehind(this.#end.tail)) {
      await this.#parts.checkpoints.assertMaySign()
      return this.#end.tail
    }
    this.#end = undefined
    try {
      return await this.#opened(text)
    } catch (error) {
      // Head and pieces were not read at one moment: they need not belong together.
      if (error instanceof StoreUnavailable || (await this.#parts.log.head()) === text) throw error
      return undefined
    }
  }

  /** Others have added to it and signed that: the log has come back to where this one left it. */
  #isBehind(tail: LogTail): boolean {
    return (this.#parts.checkpoints.seen?.size ?? 0) > tail.head.size
  }

  async #opened(text: string | undefined): Promise<LogTail> {
    const { log, checkpoints } = this.#parts
    const head = parseHead(text)
    await checkpoints.check(head)
    const tail = await LogTail.open(head, log)
    this.#end = { text, tail }
    return tail
  }

  /** Behind the head that `open` was given. `false`: it is another's turn, and nothing was written. @throws StoreUnavailable */
  async append({ batch, contents, cursors, floor }: Addition): Promise<boolean> {
    const end = this.#end
    this.#end = undefined
    if (end === undefined) return false
    const { log, clock, by } = this.#parts
    const at = new Date(clock.nowMs()).toISOString()
    const written = { by, at, cursors, floor: Math.max(floor, end.tail.head.floor) }
    const { head, pieces } = await end.tail.prepare(batch, contents, written)
    const appended: Appended = { before: end.text, after: formatHead(head), pieces }
    this.#unknown = appended
    const isDone = await log.append(appended.before, appended.after, pieces)
    this.#unknown = undefined
    if (!isDone) return false
    this.#remember(appended)
    this.#end = { text: appended.after, tail: end.tail }
    return true
  }

  /**
   * Appends again what was appended behind this head, as far as it is known.
   * @returns whether anything was: then the head is another
   */
  async replay(text: string | undefined): Promise<boolean> {
    this.#end = undefined
    let last = text
    for (let next = this.#memory.behind(last); next !== undefined; next = this.#memory.behind(last)) {
      if (!(await this.#parts.log.append(next.before, next.after, next.pieces))) return true
      last = next.after
    }
    return last !== text
  }

  #remember(appended: Appended): void {
    this.#own = appended.after
    this.#memory.add(appended, this.#parts.ticks.ticksMs())
  }
}
