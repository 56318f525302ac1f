/**
 * The embedded store's clock: the machine's, but never earlier than it was before.
 *
 * What has expired is swept away, such as the claim on an assertion that was used. Were the machine's clock set back, the same
 * assertion would be in time again and nobody would remember it. So the store keeps the latest time it has acted on, on disk,
 * too; a broker whose own clock is away from the store's issues nothing until the two agree again.
 *
 * Nor does it follow the machine's clock more than {@link STORE_CLOCK_STEP_MS_MAX} ahead at once: a wrong date would sweep
 * everything away, and could not be taken back. Then it stands still until the clock is set right, or the broker is
 * restarted: at a start the machine's clock is believed, for nobody can tell how long the store was closed.
 */
import type { Clock } from '../kernel/clock.ts'
import { STORE_CLOCK_STEP_MS_MAX } from '../kernel/store-limits.ts'

export class StoreClock implements Clock {
  readonly #machine: Clock
  #latestMs: number

  /** @param latestMs what the store remembers */
  constructor(machine: Clock, latestMs: number) {
    this.#machine = machine
    this.#latestMs = Math.max(machine.nowMs(), latestMs)
  }

  nowMs(): number {
    const nowMs = this.#machine.nowMs()
    if (nowMs > this.#latestMs && nowMs - this.#latestMs <= STORE_CLOCK_STEP_MS_MAX) this.#latestMs = nowMs
    return this.#latestMs
  }
}
