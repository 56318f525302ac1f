/** Time comes in as an argument everywhere else: this is the only file that reads the system clock. */

export interface Clock {
  /** Milliseconds since the epoch. */
  nowMs(): number
}

export const systemClock: Clock = { nowMs: () => Date.now() }

/** Whole seconds since the epoch, rounded down, as every JWT claim wants them (RFC 7519 §2 NumericDate). */
export function epochSeconds(clock: Clock): number {
  return Math.floor(clock.nowMs() / 1000)
}

/** Time that only passes, from no particular beginning: what limits are counted by, so that setting the clock changes none. */
export interface Ticks {
  ticksMs(): number
}

export const systemTicks: Ticks = { ticksMs: () => performance.now() }
