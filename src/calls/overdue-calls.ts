/**
 * Calls that nobody has told the end of (R159): whichever broker sees first that the time of one is up, records that its end is
 * unknown. Exactly one such record for each, in one write with the end itself; also where the broker that permitted the call, or
 * all of them, died: what was announced stays due in the store until somebody has ended it.
 */
import type { Logger } from 'pino'
import type { Auditor } from '../audit/auditor.ts'
import { CALL_KEPT_MS, CALLS_LOOK_MS, CALLS_OVERDUE_AT_ONCE_MAX } from '../kernel/call-limits.ts'
import type { Clock } from '../kernel/clock.ts'
import { operatorPrincipal } from '../kernel/ids.ts'
import type { CallObserver } from '../model/exchange.ts'
import type { CallStore } from '../store/call-ports.ts'
import { outsideBudget } from '../store/time-budget.ts'
import { decodeBegun, UNKNOWN } from './begun-call.ts'

export interface OverdueParts {
  readonly calls: CallStore
  readonly auditor: Pick<Auditor, 'begin'>
  readonly clock: Clock
  readonly log: Pick<Logger, 'warn'>
  /** `undefined`: nobody counts. */
  readonly observer: CallObserver | undefined
}

/** Nobody has told it: the broker says so itself. */
const BROKER = operatorPrincipal('broker')
const UNWRITTEN = 'calls whose end nobody has told could not be recorded as unknown: tried again'

export class OverdueCalls {
  readonly #parts: OverdueParts
  #timer: NodeJS.Timeout | undefined
  #looking: Promise<void> | undefined
  #isStopping = false

  constructor(parts: OverdueParts) {
    this.#parts = parts
  }

  /** What was left by whoever died before is looked at first. */
  start(): void {
    void this.look()
    this.#timer = setInterval(() => void this.look(), CALLS_LOOK_MS)
    this.#timer.unref()
  }

  /** All that is overdue: a server that tells no ends must not make more of them than are written down. Never throws: what could not be recorded stays due. */
  look(): Promise<void> {
    this.#looking ??= outsideBudget(() => this.#endAll()).finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    clearInterval(this.#timer)
    await this.#looking
  }

  async #endAll(): Promise<void> {
    const { calls, clock, log } = this.#parts
    try {
      let ended: number
      do {
        const due = await calls.due(clock.nowMs(), CALLS_OVERDUE_AT_ONCE_MAX)
        ended = 0
        for (const key of due) if (await this.#end(key)) ended += 1
        // Where another broker ends them there is nothing to be faster at.
      } while (ended >= CALLS_OVERDUE_AT_ONCE_MAX && !this.#isStopping)
    } catch (error) {
      log.warn({ error }, UNWRITTEN)
    }
  }

  /** Whether this broker has ended it. */
  async #end(key: string): Promise<boolean> {
    const { calls, auditor, clock, observer } = this.#parts
    const kept = await calls.read(key)
    if (kept === undefined || kept.ended !== undefined) return false
    const { attempt, decision, about } = decodeBegun(kept.text)
    const draft = auditor.begin(undefined, decision)
    draft.authenticatedAs(BROKER)
    draft.add({ ...about, event: 'call.outcome', call: { attempt, ended: UNKNOWN } })
    const expiresAtMs = clock.nowMs() + CALL_KEPT_MS
    const end = await calls.end(key, { over: undefined, ended: UNKNOWN, expiresAtMs, audit: draft.granted() })
    if (end?.written !== true) return false
    observer?.call(UNKNOWN)
    return true
  }
}
