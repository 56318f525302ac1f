/**
 * How many strangers' credentials are verified at once. Known clients do not pass here: whatever strangers send, a known
 * client's verification waits behind a handful of theirs and never behind a queue of them.
 */
import { STRANGERS_AT_ONCE_MAX, STRANGERS_WAIT_MS_MAX, STRANGERS_WAITING_MAX } from '../kernel/limits.ts'

export class StrangersGate {
  #inside = 0
  /** In order of arrival. */
  readonly #waiting = new Set<() => void>()

  /** Resolves to whether the caller is inside; whoever is must `leave`. */
  enter(): Promise<boolean> | true {
    if (this.#inside < STRANGERS_AT_ONCE_MAX) {
      this.#inside += 1
      return true
    }
    return this.#waiting.size >= STRANGERS_WAITING_MAX ? Promise.resolve(false) : this.#wait()
  }

  leave(): void {
    for (const next of this.#waiting) {
      // The place is handed over, not freed: nobody who comes now gets in ahead.
      this.#waiting.delete(next)
      next()
      return
    }
    this.#inside -= 1
  }

  #wait(): Promise<boolean> {
    return new Promise((resolve) => {
      const enter = () => {
        clearTimeout(timer)
        resolve(true)
      }
      const timer = setTimeout(() => {
        this.#waiting.delete(enter)
        resolve(false)
      }, STRANGERS_WAIT_MS_MAX)
      this.#waiting.add(enter)
    })
  }
}
