/**
 * The key that an agent's tokens are bound to (RFC 9449): made when the agent starts, kept in memory, gone with the process.
 * Remembers the nonce that each server asks for (§8, §9).
 */
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { signDpopProof } from '../../jose/sign-proof.ts'
import { type Clock, epochSeconds } from '../../kernel/clock.ts'
import type { Secret } from '../../kernel/secret.ts'

export interface Proven {
  readonly method: string
  readonly url: string
  readonly token?: Secret
}

/** Servers one agent speaks to; beyond that the oldest nonce is asked for again. */
const NONCES_MAX = 256
const NONCE = /^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/

export class DpopKey {
  readonly #key: KeyObject = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  readonly #clock: Clock
  readonly #nonces = new Map<string, string>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  async proof({ method, url, token }: Proven): Promise<string> {
    const { origin, pathname } = new URL(url)
    const asked = { method, url: `${origin}${pathname}`, token, nonce: this.#nonces.get(origin) }
    return (await signDpopProof(this.#key, { ...asked, now: epochSeconds(this.#clock) })).reveal()
  }

  /** @returns whether it is another than the last proof had: then asking again is worth it. */
  learn(url: string, nonce: string | undefined): boolean {
    if (nonce === undefined || !NONCE.test(nonce)) return false
    const { origin } = new URL(url)
    const isNew = this.#nonces.get(origin) !== nonce
    this.#nonces.delete(origin)
    this.#nonces.set(origin, nonce)
    for (const oldest of this.#nonces.keys()) {
      if (this.#nonces.size <= NONCES_MAX) break
      this.#nonces.delete(oldest)
    }
    return isNew
  }
}
