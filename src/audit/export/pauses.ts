/** How long a sink is left alone that has not taken what it was sent. */
import { randomInt } from 'node:crypto'
import { EXPORT_PAUSE_MS_MAX, EXPORT_PAUSE_MS_MIN } from '../../kernel/telemetry-limits.ts'

/**
 * Doubled each time, and between half and whole of it by chance: many deployments that wait for one receiver must not come back
 * all at once.
 * @param failures in a row, from 1
 */
export function pauseAfter(failures: number): number {
  const wholeMs = Math.min(EXPORT_PAUSE_MS_MAX, EXPORT_PAUSE_MS_MIN * 2 ** Math.min(failures - 1, 20))
  return wholeMs / 2 + randomInt(Math.ceil(wholeMs / 2))
}
