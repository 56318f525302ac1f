/**
 * Keys and values of the embedded database. Every key is plain ASCII below LMDB's size bound whatever the caller's text is:
 * a stranger's `jti` with NULs, of a megabyte, or shaped like another key's separator lands beside everyone else's, never
 * in their place.
 */
import { sha256 } from '../kernel/digest.ts'

const PLAIN = /^[A-Za-z0-9_-]{1,64}$/

/** One segment of a key. Digests carry a `#`, which no plain text has, so the two can never meet. */
export function segment(text: string): string {
  return PLAIN.test(text) ? text : `#${sha256(text)}`
}

/** Decimal of fixed width, so that the order of keys is the order of numbers. */
export function ordered(value: number): string {
  return String(value).padStart(16, '0')
}

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
