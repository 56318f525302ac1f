/**
 * What a sink has to be told and no record of the log can say: that the log itself stands still, because it is not what was
 * signed of it, and that it goes on. Told by every broker that sees it; kept in memory, tried again for an hour.
 */
import { ALARM_ATTEMPTS_MAX, EXPORT_TICK_MS } from '../../kernel/telemetry-limits.ts'
import { pauseAfter } from './pauses.ts'
import type { Alarm, Sink } from './sink.ts'

export const ALARMS = ['audit.stopped', 'audit.resumed'] as const

export interface AlarmParts {
  /** Those who want to be told. */
  readonly sinks: readonly { readonly sink: Sink; readonly wants: (event: Alarm['event']) => boolean }[]
  /** Why nothing is brought into the log and signed, and will not be by itself; `undefined`: nothing is wrong. */
  readonly problem: () => string | undefined
  /** This broker, as no other is called. */
  readonly by: string
  readonly nowMs: () => number
}

export class Alarms {
  readonly #parts: AlarmParts
  readonly #timers = new Set<NodeJS.Timeout>()
  #problem: string | undefined

  constructor(parts: AlarmParts) {
    this.#parts = parts
  }

  start(): void {
    const timer = setInterval(() => this.look(), EXPORT_TICK_MS)
    timer.unref()
    this.#timers.add(timer)
  }

  stop(): void {
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
  }

  look(): void {
    const problem = this.#parts.problem()
    if ((problem === undefined) === (this.#problem === undefined)) return
    const event = problem === undefined ? 'audit.resumed' : 'audit.stopped'
    const alarm = {
      event,
      detail: problem ?? this.#problem ?? '',
      by: this.#parts.by,
      atMs: this.#parts.nowMs(),
    } as const
    this.#problem = problem
    for (const { sink, wants } of this.#parts.sinks) if (wants(event)) void this.#tell(sink, alarm, 1)
  }

  async #tell(sink: Sink, alarm: Alarm, attempt: number): Promise<void> {
    const delivery = await sink.sendAlarm(alarm)
    if (delivery.kind === 'taken' || attempt >= ALARM_ATTEMPTS_MAX) return
    const timer = setTimeout(
      () => {
        this.#timers.delete(timer)
        void this.#tell(sink, alarm, attempt + 1)
      },
      Math.max(pauseAfter(attempt), delivery.retryAfterMs ?? 0),
    )
    timer.unref()
    this.#timers.add(timer)
  }
}
