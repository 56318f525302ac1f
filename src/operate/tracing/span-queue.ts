/**
 * Finished spans on their way to the collector, in batches, off the path of every request.
 *
 * Guarantees: never waited for; so many wait and no more, the rest are dropped and counted; one batch under way at a time, so
 * that a collector that hangs holds one connection; a batch that is not taken is dropped, not sent again.
 */
import {
  SPAN_BATCH_MAX,
  SPAN_EXPORT_TIMEOUT_MS,
  SPAN_FLUSH_MS,
  SPANS_WAITING_MAX,
} from '../../kernel/telemetry-limits.ts'
import { outsideTrace } from '../../model/trace.ts'
import type { FinishedSpan } from '../../protocol/otlp.ts'

export interface SpanQueueParts {
  /** Resolves when they were taken. */
  readonly send: (spans: readonly FinishedSpan[]) => Promise<void>
  readonly told: {
    readonly exported: (spans: number) => void
    /** `full`: too many waited; `refused`: the collector did not take them. */
    readonly dropped: (why: 'full' | 'refused', spans: number, error?: unknown) => void
  }
  readonly flushMs?: number
}

export class SpanQueue {
  readonly #parts: SpanQueueParts
  #waiting: FinishedSpan[] = []
  #sending: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  /** `undefined`: it goes on. */
  #stopsAtMs: number | undefined

  constructor(parts: SpanQueueParts) {
    this.#parts = parts
  }

  add(span: FinishedSpan): void {
    const hasRoom = this.#stopsAtMs === undefined && this.#waiting.length < SPANS_WAITING_MAX
    if (hasRoom) this.#waiting.push(span)
    else this.#parts.told.dropped('full', 1)
    if (this.#waiting.length >= SPAN_BATCH_MAX) outsideTrace(() => void this.flush())
    else this.#arm()
  }

  /** What waits, now instead of on the timer. */
  flush(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = undefined
      if (this.#waiting.length > 0) this.#arm()
    })
    return this.#sending
  }

  /** Sends what waits, for as long as one batch may take; what is left then, or ends later, is dropped. */
  async stop(): Promise<void> {
    this.#stopsAtMs = performance.now() + SPAN_EXPORT_TIMEOUT_MS
    // A batch may be under way that a slow collector was sent before: what has come since is sent once.
    await this.flush()
    await this.flush()
    clearTimeout(this.#timer)
  }

  #arm(): void {
    if (this.#timer !== undefined || this.#sending !== undefined) return
    const flush = () => outsideTrace(() => void this.flush())
    this.#timer = setTimeout(flush, this.#parts.flushMs ?? SPAN_FLUSH_MS)
    this.#timer.unref()
  }

  async #sendAll(): Promise<void> {
    const { send, told } = this.#parts
    while (this.#waiting.length > 0) {
      if (performance.now() > (this.#stopsAtMs ?? Number.POSITIVE_INFINITY)) {
        return told.dropped('full', this.#waiting.splice(0).length)
      }
      const batch = this.#waiting.splice(0, SPAN_BATCH_MAX)
      try {
        await send(batch)
        told.exported(batch.length)
      } catch (error) {
        told.dropped('refused', batch.length, error)
        // Whatever has come meanwhile waits for the timer: a collector that is away is not asked without a pause.
        return
      }
    }
  }
}
