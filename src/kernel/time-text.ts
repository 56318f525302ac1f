/** Moments as people and records read them: RFC 3339, UTC, to the second. */

export function timeText(epochSeconds: number): string {
  return new Date(epochSeconds * 1000).toISOString().replace('.000Z', 'Z')
}

export function dayText(epochSeconds: number): string {
  return timeText(epochSeconds).slice(0, 10)
}
