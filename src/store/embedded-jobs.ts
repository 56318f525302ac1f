/**
 * Writes that wait for a transaction of the embedded store, and what becomes of them. Each ends: performed, refused, or, after
 * a deadline, unknown. One that a request for a token waits for ends sooner, as soon as the disk is seen to stall.
 */
import { STORE_DEADLINE_MS } from '../kernel/store-limits.ts'
import { startDeadline } from './deadline.ts'
import { StoreUnavailable } from './ports.ts'
import { isWithinBudget } from './time-budget.ts'

/** A local disk has no other replica to turn to, and its stalls pass: a write is given longer than a network call. */
const WRITE_DEADLINE_MS = 5 * STORE_DEADLINE_MS

export interface Job {
  /** Decides, then writes: everything that can throw comes before the first put. */
  run(): void
  settle(): void
  fail(error: unknown): void
  /** Its caller is told "unknown": to start it later would only surprise. */
  abandon(because: string): void
  readonly isAbandoned: boolean
  /** Whether somebody waits who has to be answered soon, whatever the answer. */
  readonly isUrgent: boolean
  refusal: unknown
}

/** What gathers something from all jobs of a transaction, and writes it once. */
export interface TransactionPart {
  /** Before its first job: what another has gathered, which failed, was not written either. */
  begin(): void
  /** Behind its last job. */
  end(): void
}

/**
 * Of a class, and not a literal with a getter: V8 keeps the function of such a getter with the literal's shape, which is old from
 * the beginning, so that each job, and what it writes, would outlive it until all of the heap is collected.
 */
export class Write<T> implements Job {
  readonly done: Promise<T>
  readonly isUrgent = isWithinBudget()
  refusal: unknown
  readonly #run: () => T
  readonly #settled: ((result: T) => void) | undefined
  readonly #deadline: { met(): void }
  #resolve: (result: T) => void = () => {}
  #reject: (error: unknown) => void = () => {}
  #outcome: { readonly result: T } | undefined
  #isAbandoned = false

  /** @param settled runs, in order of the jobs, once it is on disk */
  constructor(run: () => T, settled?: (result: T) => void) {
    this.#run = run
    this.#settled = settled
    // `Promise.withResolvers` is not there in Node 20, on which the published package runs, too.
    this.done = new Promise<T>((met, failed) => {
      this.#resolve = met
      this.#reject = failed
    })
    const late = () => this.abandon(`the write took longer than ${WRITE_DEADLINE_MS} ms`)
    this.#deadline = startDeadline(WRITE_DEADLINE_MS, late)
  }

  get isAbandoned(): boolean {
    return this.#isAbandoned
  }

  abandon(because: string): void {
    this.#isAbandoned = true
    this.fail(new StoreUnavailable(because))
  }

  run(): void {
    this.#outcome = { result: this.#run() }
  }

  settle(): void {
    this.#deadline.met()
    if (this.#outcome === undefined) this.#reject(new StoreUnavailable('the write was not performed'))
    else {
      this.#settled?.(this.#outcome.result)
      this.#resolve(this.#outcome.result)
    }
  }

  fail(error: unknown): void {
    this.#deadline.met()
    this.#reject(error)
  }
}
