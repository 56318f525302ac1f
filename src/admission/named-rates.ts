/** A rate for each of a set of names that is bounded elsewhere: registered clients, configured issuers. */
import { Cells, type Rate } from './cells.ts'

export class NamedRates {
  readonly #rate: Rate | undefined
  readonly #buckets = new Map<string, Cells>()

  /** @param rate `undefined`: not limited */
  constructor(rate: Rate | undefined) {
    this.#rate = rate
  }

  /** The name's bucket; `undefined`: not limited. */
  bucket(name: string): Cells | undefined {
    if (this.#rate === undefined) return undefined
    const known = this.#buckets.get(name)
    if (known !== undefined) return known
    const bucket = new Cells(this.#rate, 1)
    this.#buckets.set(name, bucket)
    return bucket
  }
}
