/**
 * Long work in slices: a generator yields where it may be interrupted, and whoever drives it says whether requests come in
 * between.
 */
import { performance } from 'node:perf_hooks'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { collectYoung } from './young-objects.ts'

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
    // Between two slices: what the next one makes would otherwise be collected together with what this one has made.
    collectYoung()
  }
}

/** Each a step of its own. */
export function* each<T>(items: Iterable<T>, work: (item: T) => void): Sliced<undefined> {
  for (const item of items) {
    work(item)
    yield
  }
}

/** What is made of each, each in a step of its own. */
export function* mapped<T, U>(items: Iterable<T>, make: (item: T) => U): Sliced<readonly U[]> {
  const made: U[] = []
  for (const item of items) {
    made.push(make(item))
    yield
  }
  return made
}
