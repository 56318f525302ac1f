/**
 * One segment of a key, in both stores. Whatever the caller's text is, a stranger's `jti` with NULs, of a megabyte, or shaped
 * like another key's separator, it is plain ASCII of bounded length afterwards and no two texts share one.
 */
import { sha256 } from '../kernel/digest.ts'

const PLAIN = /^[A-Za-z0-9_-]{1,64}$/

/** Digests carry a `#`, which no plain text has, so the two can never meet. */
export function segment(text: string): string {
  return PLAIN.test(text) ? text : `#${sha256(text)}`
}
