/**
 * What long work owes the garbage collector, so that collections hold nobody up. V8 lets up to 64 MB of young objects gather and
 * then stops everything for as long as it takes to move those that live on: tens of milliseconds where one large thing is being
 * built of them, for then nearly all do. Collected every few megabytes, each stop is a millisecond or two.
 *
 * Old objects are marked beside the program, on threads of the collector's own, which takes as long as there is much of them. A
 * collection of young ones in the midst of it would have everything marked that is left, at once, with nobody answered: a fifth
 * of a second for a large policy. Whoever makes young objects by the megabyte therefore waits until it is over.
 */
import { constants, PerformanceObserver } from 'node:perf_hooks'
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Moved in about two milliseconds. */
const YOUNG_BYTES_MAX = 4 * 1024 * 1024

/** The first Node whose V8 is known to have these flags. */
const KEEPS_ROOM_FROM = 24

type Collect = (options: { readonly type: 'minor'; readonly execution: 'sync' }) => void

/** An entry of the kind `gc`. */
interface Collection {
  readonly detail: { readonly kind: number }
}

/**
 * Where most objects that one place makes are still there when young ones are collected, V8 makes the next ones there old at once.
 * Of records that come in groups, and are gone when the group is, that is wrong: dead, and old, each keeps everything it names
 * until all of the heap is collected.
 */
export function makeAllYoung(): void {
  setFlagsFromString('--no-allocation-site-pretenuring')
}

/**
 * Memory for time. Where a process has been quiet for some seconds, V8 collects everything to take back the room that young objects
 * have: whoever comes next is held up by a collection every few hundred kilobytes until it has grown again, and what those move is
 * old before its time. And V8 collects old objects as soon as that takes a few hundredths of the main thread's time, whatever it
 * takes of the other threads': it may wait here for as long as it ever does, until there are four times as many as were left.
 */
export function keepRoom(): void {
  for (const flag of roomFlags(process.versions.node)) setFlagsFromString(flag)
}

/** What a V8 does not know it complains of on standard error: none for an older one. */
export function roomFlags(node: string): readonly string[] {
  const knows = Number.parseInt(node, 10) >= KEEPS_ROOM_FROM
  return knows ? ['--memory-reducer-gc-count=0', '--heap-growing-percent=300'] : []
}

let collect: Collect | undefined
let isWatched = false
let isMarking = false

/** Nothing, while few have gathered. */
export function collectYoung(): void {
  if ((youngSpace()?.space_used_size ?? 0) >= YOUNG_BYTES_MAX) collectNow()
}

/**
 * What V8 would do before long, now that the caller has let go of much: once half of their room is taken. Sooner would only make
 * old what others still work with, and leave it to a collection of everything.
 */
export function collectYoungSooner(): void {
  const young = youngSpace()
  if (young === undefined || young.space_used_size < young.space_available_size) return
  if (young.space_used_size >= YOUNG_BYTES_MAX) collectNow()
}

function youngSpace() {
  return getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')
}

function collectNow(): void {
  collect ??= collector()
  // Alone: so little is moved before threads that help have woken up, and on a busy machine they are waited for.
  setFlagsFromString('--no-parallel-scavenge')
  collect({ type: 'minor', execution: 'sync' })
  setFlagsFromString('--parallel-scavenge')
}

/** Whether old objects are being marked, as far as is known since this was first asked. */
export function marksOldObjects(): boolean {
  if (!isWatched) watch()
  return isMarking
}

/** V8 tells when it begins to mark, and when it has collected what was not marked. */
function watch(): void {
  isWatched = true
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const { kind } = (entry as unknown as Collection).detail
      if (kind === constants.NODE_PERFORMANCE_GC_INCREMENTAL) isMarking = true
      if (kind === constants.NODE_PERFORMANCE_GC_MAJOR) isMarking = false
    }
  })
  observer.observe({ entryTypes: ['gc'] })
}

/** V8 gives it to contexts that are made while it is told to: to none but this one. */
function collector(): Collect {
  setFlagsFromString('--expose-gc')
  const found = runInNewContext('gc') as Collect
  setFlagsFromString('--no-expose-gc')
  return found
}
