/**
 * Long work in slices: a generator yields where it may be interrupted, and whoever drives it says whether requests come in
 * between.
 */
import { performance } from 'node:perf_hooks'
import { setImmediate as nextTurn } from 'node:timers/promises'

export type Sliced<T> = Generator<undefined, T, undefined>

/** A request waits no longer than this for work that goes on in slices. */
const SLICE_MS = 5

/** To its end, with nothing in between. */
export function atOnce<T>(work: Sliced<T>): T {
  for (;;) {
    const step = work.next()
    if (step.done === true) return step.value
  }
}

/** To its end, with a turn of the event loop after each slice. */
export async function inSlices<T>(work: Sliced<T>): Promise<T> {
  for (;;) {
    const until = performance.now() + SLICE_MS
    let step = work.next()
    while (step.done !== true && performance.now() < until) step = work.next()
    if (step.done === true) return step.value
    await nextTurn()
  }
}
