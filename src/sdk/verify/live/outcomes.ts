/**
 * Tells the broker how calls ended (R159): behind the answer, again for a while where the broker is away, and before the process
 * ends. What could not be told stays `unknown` there, which is what is then true.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { BrokerRefused } from '../../broker/http.ts'
import type { CallOutcome } from '../call-judge.ts'
import type { BrokerApi } from './broker-api.ts'

export interface Ended {
  readonly attempt: string
  readonly decision_id: string
  readonly outcome: CallOutcome
  /** What the tool answered; absent: that is not told. */
  readonly response?: string
}

/** About the report: not part of it. */
interface Telling {
  /** An error code of the server's own. */
  readonly detail?: string | undefined
  /** W3C Trace Context of the request that the call came in. */
  readonly traceparent?: string | undefined
}

type Report = Readonly<Record<string, unknown>>

/** A code, not content: what the broker takes. */
const DETAIL_CHARS_MAX = 200
/** Waiting to be told: beyond it the newest are given up, so that a broker that is away does not fill the memory. */
const PENDING_MAX = 10_000
const AT_ONCE = 16
/** Between attempts: within the time in which an outcome counts as told (60 s by default). */
const PAUSES_MS = [100, 500, 2_000, 8_000, 20_000] as const

export class Outcomes {
  readonly #api: Pick<BrokerApi, 'post'>
  readonly #pausesMs: readonly number[]
  readonly #pending = new Set<Promise<void>>()
  readonly #waiting: (() => void)[] = []
  readonly #closing = new AbortController()
  #running = 0
  #untold = 0

  /** @param pausesMs between attempts, one after the other */
  constructor(api: Pick<BrokerApi, 'post'>, pausesMs: readonly number[] = PAUSES_MS) {
    this.#api = api
    this.#pausesMs = pausesMs
  }

  get pending(): number {
    return this.#pending.size
  }

  /** How many were given up. */
  get untold(): number {
    return this.#untold
  }

  /** Settles when it was told or given up. Never rejects: the call has ended, whoever hears of it. */
  tell(ended: Ended, { detail, traceparent }: Telling = {}): Promise<void> {
    if (this.#pending.size >= PENDING_MAX) {
      this.#untold += 1
      return Promise.resolve()
    }
    const code = detail?.replace(/[^\x20-\x7e]/g, '?').slice(0, DETAIL_CHARS_MAX)
    const telling = this.#tell({ ...ended, ...(code === undefined ? {} : { detail: code }) }, traceparent).finally(
      () => {
        this.#pending.delete(telling)
      },
    )
    this.#pending.add(telling)
    return telling
  }

  /** Before the process ends: each that waits is told now or given up. @param withinMs for all of them */
  async close(withinMs: number): Promise<void> {
    this.#closing.abort()
    const late = new AbortController()
    await Promise.race([Promise.all(this.#pending), sleep(withinMs, undefined, late)])
    late.abort()
  }

  async #tell(report: Report, traceparent: string | undefined): Promise<void> {
    for (const pauseMs of [...this.#pausesMs, undefined]) {
      if (await this.#told(report, traceparent)) return
      // On the way out there is one more attempt, at once.
      if (pauseMs === undefined || !(await this.#pause(pauseMs))) break
    }
    if (this.#closing.signal.aborted && (await this.#told(report, traceparent))) return
    this.#untold += 1
  }

  /** `true`: nothing more is to be done about it. */
  async #told(report: Report, traceparent: string | undefined): Promise<boolean> {
    await this.#turn()
    try {
      await this.#api.post('/access/v1/outcome', report, traceparent)
      return true
    } catch (error) {
      // Told already, unknown there, or nothing the broker can read: asking again would change nothing.
      const isFinal = error instanceof BrokerRefused && FINAL.includes(error.status)
      if (isFinal && error.status !== 409) this.#untold += 1
      return isFinal
    } finally {
      this.#running -= 1
      this.#waiting.shift()?.()
    }
  }

  async #turn(): Promise<void> {
    while (this.#running >= AT_ONCE) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    this.#running += 1
  }

  /** `false`: the process is about to end. */
  async #pause(ms: number): Promise<boolean> {
    try {
      await sleep(ms, undefined, { signal: this.#closing.signal, ref: false })
      return true
    } catch {
      return false
    }
  }
}

const FINAL = [400, 403, 404, 409]
