/** What a request has taken for as long as it is in work: to be counted or released when it has ended. */
import type { Cells } from './cells.ts'
import type { RateSketch } from './rate-sketch.ts'

export interface Taken {
  readonly from: Pick<Cells, 'count' | 'release'>
  readonly places: readonly number[]
}

/** A bucket that is nobody else's. */
export const ONLY_CELL = [0]

/** Whether it could be paid; a limit that is switched off is. */
export function take(sketch: RateSketch | undefined, key: string, nowMs: number, taken: Taken[]): boolean {
  if (sketch === undefined) return true
  const places = sketch.reserve(key, nowMs)
  if (places !== undefined) taken.push({ from: sketch, places })
  return places !== undefined
}

export function release(taken: Taken[]): void {
  for (const { from, places } of taken.splice(0)) from.release(places)
}
