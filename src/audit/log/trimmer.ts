/**
 * Forgets in the outboxes what is in the log: only what a published checkpoint covers, and only what has been in the log for a
 * minute, so that a log that lost its last moments finds those records where they were. Less long where the outboxes fill up:
 * a full one would refuse what comes.
 */
import { SEQUENCED_KEPT_MS, SEQUENCED_KEPT_MS_MIN, TRIM_MS } from '../../kernel/log-limits.ts'
import type { OutboxUsage } from '../../store/ports.ts'
import type { LogHead } from './head.ts'
import type { OutboxSource } from './outbox-reader.ts'

interface Sample {
  readonly atMs: number
  readonly head: Pick<LogHead, 'size' | 'cursors'>
}

export class Trimmer {
  readonly #audit: Pick<OutboxSource, 'trim'>
  readonly #usage: () => OutboxUsage | undefined
  /** Oldest first. */
  #samples: Sample[] = []
  /** Up to where each outbox was trimmed here. */
  readonly #trimmed = new Map<string, string>()
  #sampledMs = -Infinity

  /** @param usage of the fullest outbox */
  constructor(audit: Pick<OutboxSource, 'trim'>, usage: () => OutboxUsage | undefined) {
    this.#audit = audit
    this.#usage = usage
  }

  /** Every few seconds, whenever it is called. @param nowMs by a clock that only runs on */
  note(head: Pick<LogHead, 'size' | 'cursors'>, nowMs: number): void {
    if (nowMs - this.#sampledMs < TRIM_MS) return
    this.#sampledMs = nowMs
    if (this.#samples.at(-1)?.head.size !== head.size) this.#samples.push({ atMs: nowMs, head })
  }

  /** The outboxes have lost what was noted, or the log is another one. */
  forget(): void {
    this.#samples = []
    this.#trimmed.clear()
  }

  /**
   * @param coveredSize by a published checkpoint
   * @returns from which index on records may still be in an outbox; `undefined`: nothing was trimmed
   */
  async trim(coveredSize: number, nowMs: number): Promise<number | undefined> {
    const keptMs = this.#keptMs()
    const old = this.#samples.filter(({ atMs, head }) => nowMs - atMs >= keptMs && head.size <= coveredSize)
    const last = old.at(-1)
    if (last === undefined) return undefined
    let isTrimmed = true
    for (const [outbox, position] of last.head.cursors) {
      if (this.#trimmed.get(outbox) === position) continue
      if (await this.#audit.trim(outbox, position)) this.#trimmed.set(outbox, position)
      else isTrimmed = false
    }
    this.#samples = this.#samples.filter((sample) => sample.atMs > last.atMs)
    // One that came back without this record has records before it still, which are in the log: those are looked for below this.
    return isTrimmed ? last.head.size : undefined
  }

  #keptMs(): number {
    const usage = this.#usage()
    const isFilling = usage !== undefined && 2 * usage.records > usage.limit
    return isFilling ? SEQUENCED_KEPT_MS_MIN : SEQUENCED_KEPT_MS
  }
}
