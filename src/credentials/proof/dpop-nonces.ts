/**
 * Nonces for DPoP proofs (RFC 9449 §8) that every broker of a store agrees on, and none remembers: each is a MAC over its window
 * of time, under a secret that the store keeps. A proof made ahead, to be used by somebody else later, does not know it yet.
 *
 * Guarantees: a nonce is good in its window and the next, at every broker and after any restart. A store that has lost the
 * secret gets a new one, which brokers that still hold the old one find when a nonce does not verify.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Clock } from '../../kernel/clock.ts'
import { DPOP_NONCE_REREAD_MS, DPOP_NONCE_WINDOW_S } from '../../kernel/credential-limits.ts'
import type { Secret } from '../../kernel/secret.ts'
import type { DocumentStore } from '../../store/ports.ts'
import { sharedSecret } from '../../store/shared-secret.ts'

const DOCUMENT = 'dpop-nonce-secret'
/** 128 bits, as RFC 9449 §8 asks for: unpredictable. */
const NONCE_CHARS = 22

export class DpopNonces {
  readonly #documents: DocumentStore
  readonly #clock: Clock
  #secret: Secret
  #readAtMs: number
  #rereading: Promise<boolean> | undefined
  /** The nonce of a window is asked for by every answer. */
  #current: { readonly window: number; readonly nonce: string } | undefined

  private constructor(documents: DocumentStore, clock: Clock, secret: Secret) {
    this.#documents = documents
    this.#clock = clock
    this.#secret = secret
    this.#readAtMs = clock.nowMs()
  }

  /** @throws StoreUnavailable */
  static async open(documents: DocumentStore, clock: Clock): Promise<DpopNonces> {
    return new DpopNonces(documents, clock, await sharedSecret(documents, DOCUMENT))
  }

  /** What a client is told to put into its next proof. */
  get current(): string {
    const window = this.#window()
    if (this.#current?.window !== window) this.#current = { window, nonce: nonceOf(this.#secret, window) }
    return this.#current.nonce
  }

  /** @throws StoreUnavailable, where it had to look for another secret */
  async isGood(nonce: string): Promise<boolean> {
    return this.#verifies(nonce) || ((await this.#reread()) && this.#verifies(nonce))
  }

  #verifies(nonce: string): boolean {
    const window = this.#window()
    // The next one too: another broker's clock may be a little ahead, and only a broker can have made it.
    return [window, window - 1, window + 1].some((one) => isSame(nonce, nonceOf(this.#secret, one)))
  }

  /** Whether there is another secret now. One reading at a time, and so rarely that made-up nonces are no load on the store. */
  #reread(): Promise<boolean> {
    if (this.#rereading !== undefined) return this.#rereading
    const nowMs = this.#clock.nowMs()
    if (Math.abs(nowMs - this.#readAtMs) < DPOP_NONCE_REREAD_MS) return Promise.resolve(false)
    this.#readAtMs = nowMs
    this.#rereading = sharedSecret(this.#documents, DOCUMENT)
      .then((secret) => {
        const isOther = secret.fingerprint() !== this.#secret.fingerprint()
        this.#secret = secret
        this.#current = undefined
        return isOther
      })
      .finally(() => {
        this.#rereading = undefined
      })
    return this.#rereading
  }

  #window(): number {
    return Math.floor(this.#clock.nowMs() / (DPOP_NONCE_WINDOW_S * 1000))
  }
}

function nonceOf(secret: Secret, window: number): string {
  return createHmac('sha256', secret.reveal()).update(`dpop nonce ${window}`).digest('base64url').slice(0, NONCE_CHARS)
}

function isSame(nonce: string, expected: string): boolean {
  const [given, wanted] = [Buffer.from(nonce), Buffer.from(expected)]
  return given.length === wanted.length && timingSafeEqual(given, wanted)
}
