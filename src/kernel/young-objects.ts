/**
 * Collections of the youngest objects, made small by making them early. V8 lets up to 64 MB of them gather and then stops
 * everything for as long as it takes to move those that live on: tens of milliseconds where one large thing is being built of
 * them, for then nearly all do. Collected every few megabytes, each stop is a millisecond or two.
 */
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Moved in about two milliseconds. */
const YOUNG_BYTES_MAX = 4 * 1024 * 1024

type Collect = (options: { readonly type: 'minor'; readonly execution: 'sync' }) => void

let collect: Collect | undefined

/** Nothing, while few have gathered. */
export function collectYoung(): void {
  const young = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')
  if (young === undefined || young.space_used_size < YOUNG_BYTES_MAX) return
  collect ??= collector()
  // Alone: so little is moved before threads that help have woken up, and on a busy machine they are waited for.
  setFlagsFromString('--no-parallel-scavenge')
  collect({ type: 'minor', execution: 'sync' })
  setFlagsFromString('--parallel-scavenge')
}

/** V8 gives it to contexts that are made while it is told to: to none but this one. */
function collector(): Collect {
  setFlagsFromString('--expose-gc')
  const found = runInNewContext('gc') as Collect
  setFlagsFromString('--no-expose-gc')
  return found
}
