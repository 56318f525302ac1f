/**
 * Long work in slices: a generator yields where it may be interrupted, and whoever drives it says whether requests come in
 * between.
 */
import { performance } from 'node:perf_hooks'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { collectYoung, marksOldObjects } from './young-objects.ts'

export type Sliced<T> = Generator<undefined, T, undefined>

/** A request waits no longer than this for work that goes on in slices. */
const SLICE_MS = 5
/** And no longer than this for what is always going on. */
const TURN_MS = 1
/** Between two looks whether old objects are still being marked. */
const MARKING_LOOK_MS = 2
/** That one piece of work waits for it, all in all: where the collector gets no processor, work must come to its end, too. */
const MARKING_MS_MAX = 3_000

/** To its end, with nothing in between. */
export function atOnce<T>(work: Sliced<T>): T {
  for (;;) {
    const step = work.next()
    if (step.done === true) return step.value
  }
}

function slice<T>(work: Sliced<T>, msMax: number): IteratorResult<undefined, T> {
  const until = performance.now() + msMax
  let step = work.next()
  while (step.done !== true && performance.now() < until) step = work.next()
  return step
}

/** To its end, with a turn of the event loop after each slice. */
export async function inSlices<T>(work: Sliced<T>): Promise<T> {
  let patienceMs = MARKING_MS_MAX
  for (;;) {
    const step = slice(work, SLICE_MS)
    if (step.done === true) return step.value
    await nextTurn()
    patienceMs -= await untilMarked(patienceMs)
    // Between two slices: what the next one makes would otherwise be collected together with what this one has made.
    if (!marksOldObjects()) collectYoung()
  }
}

/**
 * As `inSlices`, and waits for nobody: for work that has to be done in time, and of which little is left behind. Short slices:
 * whoever waits for one may wait for several a second.
 */
export async function inTurns<T>(work: Sliced<T>): Promise<T> {
  for (;;) {
    const step = slice(work, TURN_MS)
    if (step.done === true) return step.value
    await nextTurn()
  }
}

/** Waits while old objects are being marked, and says for how many milliseconds. */
async function untilMarked(msMax: number): Promise<number> {
  // What the collector has begun is told of a turn later.
  await nextTurn()
  const begun = performance.now()
  while (marksOldObjects() && performance.now() - begun < msMax) await sleep(MARKING_LOOK_MS)
  return performance.now() - begun
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
