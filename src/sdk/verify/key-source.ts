/**
 * The broker's published keys, fetched from one configured address and kept.
 *
 * Guarantees: one fetch at a time; keys are fetched anew once they are `JWKS_FRESH_MS` old; while that fails the last keys
 * serve until `JWKS_STALE_MS_MAX`, then nothing is verified; a flood of unknown `kid`s costs one fetch per
 * `JWKS_COOLDOWN_MS`, and a broker that has never answered is asked once per `JWKS_RETRY_MS`. Addresses that a token names (`jku`, `x5u`) are never followed.
 */
import { type KeySet, parseKeySet } from '../../jose/key-set.ts'
import { parseStrictJson } from '../../jose/strict-json.ts'
import type { Clock } from '../../kernel/clock.ts'
import { JWKS_COOLDOWN_MS, JWKS_FRESH_MS, JWKS_RETRY_MS, JWKS_STALE_MS_MAX } from '../../kernel/outbound-limits.ts'
import type { JsonDoor } from '../broker/http.ts'
import { TokenRefused } from './verified-token.ts'

export interface KeySourceOptions {
  readonly jwksUri: string
  readonly algorithms: readonly string[]
  readonly door: JsonDoor
  readonly clock: Clock
}

interface Fetched {
  /** As it was published, and read: the same text says the same, and its keys stay what they are to those who know them. */
  readonly text: string
  readonly keys: KeySet
  readonly atMs: number
}

export class KeySource {
  readonly #options: KeySourceOptions
  #fetched: Fetched | undefined
  #attemptedAtMs = Number.NEGATIVE_INFINITY
  #inFlight: Promise<Fetched> | undefined

  constructor(options: KeySourceOptions) {
    this.#options = options
  }

  /**
   * The set to verify with; the key may still be missing from it.
   * @throws TokenRefused `unavailable` when there are no keys that may still be trusted.
   */
  async keysFor(kid: string | undefined, alg: string): Promise<KeySet> {
    const kept = this.#kept()
    const isFresh = kept !== undefined && this.#age(kept.atMs) < JWKS_FRESH_MS
    if (isFresh && kept.keys.select(kid, alg) !== undefined) return kept.keys
    const pauseMs = kept === undefined ? JWKS_RETRY_MS : JWKS_COOLDOWN_MS
    const mayAsk = this.#inFlight !== undefined || this.#age(this.#attemptedAtMs) >= pauseMs
    let cause: unknown
    if (mayAsk) {
      try {
        return (await this.#ask()).keys
      } catch (error) {
        cause = error
      }
    }
    if (kept !== undefined) return kept.keys
    throw new TokenRefused('unavailable', 'the keys of the token issuer cannot be read at present', cause)
  }

  #kept(): Fetched | undefined {
    const fetched = this.#fetched
    return fetched !== undefined && this.#age(fetched.atMs) < JWKS_STALE_MS_MAX ? fetched : undefined
  }

  /** A clock that was set back makes everything old: keys must not live longer by it. */
  #age(atMs: number): number {
    const age = this.#options.clock.nowMs() - atMs
    return age < 0 ? Number.POSITIVE_INFINITY : age
  }

  #ask(): Promise<Fetched> {
    this.#inFlight ??= this.#download().finally(() => {
      this.#inFlight = undefined
    })
    return this.#inFlight
  }

  async #download(): Promise<Fetched> {
    const { jwksUri, algorithms, door, clock } = this.#options
    // Aged from the start: what the broker published later cannot be in the answer.
    const atMs = clock.nowMs()
    this.#attemptedAtMs = atMs
    const text = await door({ url: jwksUri })
    const keys = text === this.#fetched?.text ? this.#fetched.keys : parseKeySet(parseStrictJson(text), algorithms)
    const fetched = { text, keys, atMs }
    this.#fetched = fetched
    return fetched
  }
}
