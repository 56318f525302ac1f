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
  readonly abandoned: boolean
  /** Whether somebody waits who has to be answered soon, whatever the answer. */
  readonly isUrgent: boolean
  refusal: unknown
}

/** @param settled runs, in order of the jobs, once it is on disk */
export function newJob<T>(
  run: () => T,
  settled?: (result: T) => void,
): { readonly job: Job; readonly done: Promise<T> } {
  // `Promise.withResolvers` is not there in Node 20, on which the published package runs, too.
  let resolve: (result: T) => void = () => {}
  let reject: (error: unknown) => void = () => {}
  const done = new Promise<T>((met, failed) => {
    resolve = met
    reject = failed
  })
  let outcome: { readonly result: T } | undefined
  let abandoned = false
  const abandon = (because: string): void => {
    abandoned = true
    deadline.met()
    reject(new StoreUnavailable(because))
  }
  const deadline = startDeadline(WRITE_DEADLINE_MS, () => abandon(`the write took longer than ${WRITE_DEADLINE_MS} ms`))
  const job: Job = {
    get abandoned() {
      return abandoned
    },
    isUrgent: isWithinBudget(),
    refusal: undefined,
    abandon,
    run: () => {
      outcome = { result: run() }
    },
    settle: () => {
      deadline.met()
      if (outcome === undefined) return reject(new StoreUnavailable('the write was not performed'))
      settled?.(outcome.result)
      resolve(outcome.result)
    },
    fail: (error) => {
      deadline.met()
      reject(error)
    },
  }
  return { job, done }
}
