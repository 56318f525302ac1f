/**
 * How long a call to the store may take. A request for a token has one time budget for all its calls, counted from the first:
 * a store that answers each of them just in time must not hold its caller up for the sum. The budget travels with the request
 * by itself, so that no call on its way can forget it.
 *
 * A call is never given less than {@link CALL_MS_MIN}, because what used the budget up may have been this process, busy with
 * other requests, and not the store.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { STORE_DEADLINE_MS } from '../kernel/store-limits.ts'

/** All calls of a request together; with the least time of a last one still well below half a second. */
const REQUEST_MS = 330
/** One call of a request: a commit is left some time by the reads before it. */
const CALL_MS_MAX = 250
const CALL_MS_MIN = 60

interface Budget {
  /** `undefined`: the store has not been called yet. */
  endsAtMs: number | undefined
}

const budgets = new AsyncLocalStorage<Budget | undefined>()

/** Everything that `work` asks of a store shares one budget. */
export function withinBudget<T>(work: () => T): T {
  return budgets.run({ endsAtMs: undefined }, work)
}

/** For what a request starts and does not wait for. */
export function outsideBudget<T>(work: () => T): T {
  return budgets.run(undefined, work)
}

/** For what a request waits for and no store is asked about: the time it takes is not the store's. */
export async function apartFromBudget<T>(work: () => Promise<T>): Promise<T> {
  const budget = budgets.getStore()
  const beganAtMs = performance.now()
  try {
    return await work()
  } finally {
    if (budget?.endsAtMs !== undefined) budget.endsAtMs += performance.now() - beganAtMs
  }
}

/** Whether it is a request that waits, and so must be answered soon. */
export function isWithinBudget(): boolean {
  return budgets.getStore() !== undefined
}

/** Milliseconds for a call that begins now. */
export function callDeadlineMs(): number {
  const budget = budgets.getStore()
  if (budget === undefined) return STORE_DEADLINE_MS
  const nowMs = performance.now()
  budget.endsAtMs ??= nowMs + REQUEST_MS
  return Math.min(Math.max(budget.endsAtMs - nowMs, CALL_MS_MIN), CALL_MS_MAX)
}
