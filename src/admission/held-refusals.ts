/**
 * Refusals of strangers over their limit are answered a little later: a connection that waits for its answer cannot ask again,
 * so that a flood is slowed where it comes from, at the price of a timer. Only so many are held; the rest is answered at once.
 */
import { HELD_REFUSALS_MAX } from '../kernel/limits.ts'

export class HeldRefusals {
  readonly #delayMs: number
  #held = 0

  /** @param delayMs 0: none is held */
  constructor(delayMs: number) {
    this.#delayMs = delayMs
  }

  /** Resolves when the refusal may be answered. */
  async hold(): Promise<void> {
    if (this.#delayMs === 0 || this.#held >= HELD_REFUSALS_MAX) return
    this.#held += 1
    await new Promise((resolve) => setTimeout(resolve, this.#delayMs))
    this.#held -= 1
  }
}
