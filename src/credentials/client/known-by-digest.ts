/**
 * Shared secrets and API keys as the registry knows them: by their digests, and for a time.
 *
 * Guarantees: what is compared, and how often, does not depend on whose it is said to be, nor on what was sent.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { CLOCK_SKEW_S } from '../../kernel/limits.ts'
import type { Secret } from '../../kernel/secret.ts'

interface Known {
  /** SHA-256. */
  readonly digest: Buffer
  /** Epoch seconds. */
  readonly issuedAt: number
  readonly expiresAt: number
}

/** No text has this digest. */
const NOBODYS = randomBytes(32)

/** As many comparisons for a client that knows none, for one that knows all it may, and for nobody (`most` of them). */
export function knownByDigest<T extends Known>(text: Secret, known: readonly T[], most: number): T | undefined {
  const digest = createHash('sha256').update(text.reveal()).digest()
  let found: T | undefined
  for (let slot = 0; slot < most; slot += 1) {
    const candidate = known[slot]
    const isEqual = timingSafeEqual(digest, candidate?.digest ?? NOBODYS)
    if (isEqual && candidate !== undefined) found = candidate
  }
  return found
}

/** @param now epoch seconds */
export function isInForce({ issuedAt, expiresAt }: Known, now: number): boolean {
  return issuedAt <= now + CLOCK_SKEW_S && now < expiresAt
}
