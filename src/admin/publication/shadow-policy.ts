/**
 * Keeps the draft that runs in shadow beside the policy that decides. Its answers are recorded and counted and come to nothing
 * else: a fault in it, a draft that cannot be loaded, or a store that is away leaves every decision as it was. Brokers look every
 * `SHADOW_LOOK_MS`; answering a request reads nothing. When its time is over it is off, whether anybody looks or not.
 */
import type { Clock } from '../../kernel/clock.ts'
import { messageOf } from '../../kernel/fault.ts'
import { SHADOW_LOOK_MS } from '../../kernel/policy-limits.ts'
import type { Decision, Question } from '../../model/decision.ts'
import type { Registry } from '../../model/registry.ts'
import type { Shadow, ShadowAnswer } from '../../model/shadow.ts'
import { shadowAnswer } from '../../policy/shadow-answer.ts'
import type { PolicyLibrary } from '../../registry/publication/policy-library.ts'
import type { DocumentStore } from '../../store/ports.ts'
import { addCounts, NOTHING_COUNTED, plus, readRun, type ShadowCounts, type ShadowRun } from './shadow-record.ts'

export interface ShadowParts {
  readonly library: PolicyLibrary
  readonly documents: DocumentStore
  readonly clock: Clock
  /** Told once of each run that something is wrong with. */
  readonly failed: (version: string, problem: string) => void
}

interface Running {
  readonly run: ShadowRun
  readonly untilMs: number
  readonly draft: Registry
  /** What is not yet written. */
  counts: ShadowCounts
}

export class ShadowPolicy implements Shadow {
  readonly #parts: ShadowParts
  #running: Running | undefined
  #looking: Promise<void> = Promise.resolve()
  #timer: NodeJS.Timeout | undefined
  #failedRun: string | undefined
  #isStopped = false

  constructor(parts: ShadowParts) {
    this.#parts = parts
  }

  async start(): Promise<void> {
    await this.look()
    if (this.#isStopped) return
    this.#timer = setTimeout(() => void this.start(), SHADOW_LOOK_MS)
    this.#timer.unref()
  }

  /** Writes what is counted. */
  async stop(): Promise<void> {
    this.#isStopped = true
    clearTimeout(this.#timer)
    await this.#afterOthers(() => this.#writeCounts())
  }

  /** Part of answering a request: one more decision, where a draft runs. */
  answer(question: Question, given: Decision): ShadowAnswer | undefined {
    const running = this.#running
    if (running === undefined || this.#parts.clock.nowMs() >= running.untilMs) return undefined
    try {
      const answer = shadowAnswer(running.draft, question, given)
      running.counts = plus(running.counts, { compared: 1, differed: answer === undefined ? 0 : 1, faults: 0 })
      return answer
    } catch (fault) {
      running.counts = plus(running.counts, { compared: 0, differed: 0, faults: 1 })
      this.#fail(running.run, fault)
      return undefined
    }
  }

  /** What runs now, and what is counted so far. Never throws. One look after the other. */
  look(): Promise<void> {
    return this.#afterOthers(() => this.#look())
  }

  #afterOthers(work: () => Promise<void>): Promise<void> {
    this.#looking = this.#looking.then(work).catch(() => undefined)
    return this.#looking
  }

  async #look(): Promise<void> {
    const { documents, clock, library } = this.#parts
    await this.#writeCounts()
    const { run } = await readRun(documents)
    if (run === undefined || clock.nowMs() >= Date.parse(run.until)) {
      this.#running = undefined
      return
    }
    if (run.id === this.#running?.run.id) return
    // What was is over, also where what comes cannot be loaded.
    this.#running = undefined
    try {
      const loaded = await library.load(run.version)
      if (loaded === undefined) throw new Error('the store does not have it')
      const untilMs = Date.parse(run.until)
      this.#running = { run, untilMs, draft: loaded.registry, counts: NOTHING_COUNTED }
    } catch (fault) {
      this.#fail(run, fault)
    }
  }

  async #writeCounts(): Promise<void> {
    const running = this.#running
    const { counts } = running ?? { counts: NOTHING_COUNTED }
    if (running === undefined || counts.compared + counts.faults === 0) return
    // Requests go on counting meanwhile.
    running.counts = NOTHING_COUNTED
    const isWritten = await addCounts(this.#parts.documents, running.run, counts).catch(() => false)
    if (!isWritten) running.counts = plus(running.counts, counts)
  }

  #fail({ id, version }: ShadowRun, fault: unknown): void {
    if (this.#failedRun === id) return
    this.#failedRun = id
    this.#parts.failed(version, messageOf(fault))
  }
}
