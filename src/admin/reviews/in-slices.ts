/** Work over a large registry that lets requests in between: a report must not be the reason that nothing is issued. */
import { setImmediate as others } from 'node:timers/promises'

const SLICE = 200

export async function inSlices<T>(items: readonly T[], work: (item: T) => void): Promise<void> {
  for (let from = 0; from < items.length; from += SLICE) {
    for (const item of items.slice(from, from + SLICE)) work(item)
    await others()
  }
}
