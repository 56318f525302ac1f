/**
 * Ids on the feed of revocations: a keyed digest, so that who follows the feed recognises what it has been shown in a token, and
 * does not read from it whom else the company has cut off.
 */
import { createHmac } from 'node:crypto'
import type { Dimension } from './dimensions.ts'

/** 128 bits: two ids that meet would kill what nobody cut off. */
const SALTED_BYTES = 16

/** `salt`: as the feed gives it, its text. */
export function saltedId(salt: string, dimension: Dimension, id: string): string {
  const mac = createHmac('sha256', salt).update(`${dimension}|${id}`).digest()
  return mac.subarray(0, SALTED_BYTES).toString('base64url')
}
