/** Keys and values of the embedded database: keys sort as the numbers in them do, and values carry their expiry. */

/** Decimal of fixed width, so that the order of keys is the order of numbers. */
export function ordered(value: number): string {
  return String(value).padStart(16, '0')
}

/** An expiry that never comes: later than any that a caller may name. */
export const NEVER_MS = 9_000_000_000_000_000

export interface Expiring {
  readonly expiresAtMs: number
  readonly text: string
}

export function expiringText(expiresAtMs: number, text: string): string {
  return `${expiresAtMs} ${text}`
}

export function parseExpiring(value: string): Expiring {
  const space = value.indexOf(' ')
  return { expiresAtMs: Number(value.slice(0, space)), text: value.slice(space + 1) }
}

/** First key after every key that starts with `prefix`: key text is ASCII, so `~` sorts behind whatever may follow. */
export function after(prefix: string): string {
  return `${prefix}~`
}

/** Which keys are read, and in which order. */
export interface Range {
  readonly reverse?: boolean
  readonly limit?: number
  /** First key; without: the first below the prefix. */
  readonly from?: string
  /** The key behind the last; without: behind all below the prefix. */
  readonly end?: string
}
