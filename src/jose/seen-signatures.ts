/**
 * Signatures that have verified before, so that a token presented again and again costs its mathematics once (DESIGN §5).
 *
 * Only the signature is remembered: decoding, `exp`, audience, cut-offs and everything else a token says are judged anew each
 * time, and so is trust in the key: what is remembered holds for one key object, which the caller has just selected from the
 * keys trusted now. A key that was withdrawn, replaced or read again is another object, and the signature is computed again.
 * Remembered under the digest of the whole token, signature included: whoever changes a bit of it asks about another token.
 */
import type { Secret } from '../kernel/secret.ts'
import type { PublicKey } from './jwk.ts'

/** Where there are too many, one in so many is forgotten at once. */
const FORGOTTEN_ONE_IN = 64

export class SeenSignatures {
  readonly #most: number
  /** By fingerprint, the longest unused first. */
  readonly #keys = new Map<string, PublicKey>()

  /** @param most tokens remembered: only those of trusted signers are, so that strangers cannot push any out */
  constructor(most: number) {
    this.#most = most
  }

  /** Whether this token's signature was verified with this very key. */
  has(token: Secret, key: PublicKey): boolean {
    const digest = token.fingerprint()
    if (this.#keys.get(digest) !== key) return false
    this.#keys.delete(digest)
    this.#keys.set(digest, key)
    return true
  }

  /** To be told only after the signature has verified. */
  add(token: Secret, key: PublicKey): void {
    const digest = token.fingerprint()
    this.#keys.delete(digest)
    this.#keys.set(digest, key)
    if (this.#keys.size <= this.#most) return
    // Some at once: to find the first of a map takes longer, the more have gone from its front.
    let left = Math.ceil(this.#most / FORGOTTEN_ONE_IN)
    for (const oldest of this.#keys.keys()) {
      this.#keys.delete(oldest)
      if (--left === 0) return
    }
  }
}
