/**
 * Verification keys of configured issuers, fetched from their `jwks_uri` and kept per issuer.
 *
 * Guarantees: one fetch at a time per issuer (so a newer answer is never overwritten by an older one); keys are refreshed
 * ahead, in the background, once they are `JWKS_FRESH_MS` old; a failing issuer's last keys serve until
 * `JWKS_STALE_MS_MAX`, then its tokens are refused; a flood of unknown `kid`s costs one fetch per `JWKS_COOLDOWN_MS`; one
 * issuer's trouble never delays another's tokens. Keys come from the configured URL only: `jku`, `x5u` and discovery
 * documents named by a token are never followed.
 */

import type { JwsHeader } from '../jose/decode-jws.ts'
import { type KeySet, parseKeySet } from '../jose/key-set.ts'
import type { Clock } from '../kernel/clock.ts'
import {
  FETCH_TIMEOUT_MS,
  JWKS_BYTES_MAX,
  JWKS_COOLDOWN_MS,
  JWKS_FRESH_MS,
  JWKS_RETRY_MS,
  JWKS_STALE_MS_MAX,
} from '../kernel/limits.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { Issuer } from '../model/registry.ts'
import type { FetchJson } from './guarded-fetch.ts'

export interface IssuerKeysDependencies {
  readonly fetchJson: FetchJson
  readonly clock: Clock
  /** Told about every failed fetch, also those that no request had to wait for. */
  readonly onFailure?: (issuer: Issuer, error: unknown) => void
}

interface Fetched {
  readonly keys: KeySet
  readonly atMs: number
}

interface Entry {
  /** Where and how the keys were read: a changed registry entry starts afresh. */
  readonly source: string
  fetched: Fetched | undefined
  attemptedAtMs: number
  inFlight: Promise<Fetched> | undefined
}

const MEDIA_TYPES = ['application/json', 'application/jwk-set+json'] // RFC 7517 §8.5

export class IssuerKeys {
  readonly #dependencies: IssuerKeysDependencies
  readonly #entries = new Map<string, Entry>()

  constructor(dependencies: IssuerKeysDependencies) {
    this.#dependencies = dependencies
  }

  /**
   * The issuer's keys, to verify a token with this header. An unknown key provokes one fetch; if it is still not there, the
   * caller's own look-up fails.
   * @throws Rejection `subject_issuer_unavailable` when there are no keys that may still be trusted.
   */
  async keysFor(issuer: Issuer, { kid, alg }: Pick<JwsHeader, 'kid' | 'alg'>): Promise<KeySet> {
    const entry = this.#entry(issuer)
    const usable = this.#usable(entry)
    if (usable === undefined) return (await this.#fetchNow(issuer, entry)).keys
    if (usable.keys.select(kid, alg) !== undefined) {
      if (this.#age(usable.atMs) >= JWKS_FRESH_MS) this.#refreshAhead(issuer, entry)
      return usable.keys
    }
    if (entry.inFlight === undefined && this.#age(entry.attemptedAtMs) < JWKS_COOLDOWN_MS) return usable.keys
    // A failing issuer must not turn its known keys' holders away: the look-up of this key then fails on its own.
    return await this.#fetch(issuer, entry).then(
      (fetched) => fetched.keys,
      () => usable.keys,
    )
  }

  #entry(issuer: Issuer): Entry {
    const source = JSON.stringify([issuer.jwksUri, issuer.algorithms])
    const known = this.#entries.get(issuer.issuer)
    if (known?.source === source) return known
    const entry: Entry = { source, fetched: undefined, attemptedAtMs: Number.NEGATIVE_INFINITY, inFlight: undefined }
    this.#entries.set(issuer.issuer, entry)
    return entry
  }

  #usable(entry: Entry): Fetched | undefined {
    const { fetched } = entry
    return fetched !== undefined && this.#age(fetched.atMs) < JWKS_STALE_MS_MAX ? fetched : undefined
  }

  /** A clock that was set back makes everything old: keys must not live longer by it. */
  #age(atMs: number): number {
    const age = this.#dependencies.clock.nowMs() - atMs
    return age < 0 ? Number.POSITIVE_INFINITY : age
  }

  async #fetchNow(issuer: Issuer, entry: Entry): Promise<Fetched> {
    const hasJustFailed = entry.inFlight === undefined && this.#age(entry.attemptedAtMs) < JWKS_RETRY_MS
    if (hasJustFailed) throw unavailable(issuer, undefined)
    try {
      return await this.#fetch(issuer, entry)
    } catch (error) {
      throw unavailable(issuer, error)
    }
  }

  #refreshAhead(issuer: Issuer, entry: Entry): void {
    if (entry.inFlight !== undefined || this.#age(entry.attemptedAtMs) < JWKS_COOLDOWN_MS) return
    this.#fetch(issuer, entry).catch(() => undefined) // reported by #fetch; the last keys keep serving
  }

  #fetch(issuer: Issuer, entry: Entry): Promise<Fetched> {
    entry.inFlight ??= this.#download(issuer, entry).finally(() => {
      entry.inFlight = undefined
    })
    return entry.inFlight
  }

  async #download(issuer: Issuer, entry: Entry): Promise<Fetched> {
    const { fetchJson, clock, onFailure } = this.#dependencies
    const startedAtMs = clock.nowMs()
    entry.attemptedAtMs = startedAtMs
    try {
      const bounds = { bytesMax: JWKS_BYTES_MAX, timeoutMs: FETCH_TIMEOUT_MS, accept: MEDIA_TYPES }
      const document = await fetchJson(issuer.jwksUri, bounds)
      // Aged from the start of the fetch: what the issuer published later cannot be in it.
      const fetched = { keys: parseKeySet(document, issuer.algorithms), atMs: startedAtMs }
      entry.fetched = fetched
      return fetched
    } catch (error) {
      onFailure?.(issuer, error)
      throw error
    }
  }
}

function unavailable(issuer: Issuer, cause: unknown): Rejection {
  return new Rejection('subject_issuer_unavailable', `the keys of issuer "${issuer.slug}" cannot be read at present`, {
    retryAfterSeconds: Math.ceil(JWKS_RETRY_MS / 1000),
    cause,
  })
}
