/**
 * Published key sets, fetched from configured URLs and kept per owner: an issuer, or a client's credential.
 *
 * Guarantees: one fetch at a time per owner (so a newer answer is never overwritten by an older one); keys are refreshed
 * ahead, in the background, once they are `JWKS_FRESH_MS` old; a failing owner's last keys serve until
 * `JWKS_STALE_MS_MAX`, then its tokens are refused; a flood of unknown `kid`s costs one fetch per `JWKS_COOLDOWN_MS`, and
 * so many of them wait for it and no more; one owner's trouble never delays another's tokens. Keys come from the configured URL only: `jku`, `x5u` and discovery
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
  JWKS_WAITING_MAX,
} from '../kernel/limits.ts'
import type { FetchJson } from './guarded-fetch.ts'

/** Whose keys, and where they are published. */
export interface KeySource {
  /** Tells owners apart: two sources never share an entry, even where they share a URL. */
  readonly owner: string
  readonly jwksUri: string
  readonly algorithms: readonly string[]
}

export interface KeySetCacheDependencies<S extends KeySource> {
  readonly fetchJson: FetchJson
  readonly clock: Clock
  /** Told about every failed fetch, also those that no request had to wait for. */
  readonly onFailure?: ((source: S, error: unknown) => void) | undefined
}

/** There are no keys that may still be trusted; `cause` says why, where a fetch was made just now. */
export class KeysUnavailable extends Error {
  readonly retryAfterSeconds = Math.ceil(JWKS_RETRY_MS / 1000)
}

interface Fetched {
  readonly keys: KeySet
  readonly atMs: number
}

interface Entry {
  /** Where and how the keys were read: a changed registry entry starts afresh. */
  readonly read: string
  fetched: Fetched | undefined
  attemptedAtMs: number
  inFlight: Promise<Fetched> | undefined
  /** Requests that wait for it. */
  waiting: number
}

const MEDIA_TYPES = ['application/json', 'application/jwk-set+json'] // RFC 7517 §8.5

export class KeySetCache<S extends KeySource> {
  readonly #dependencies: KeySetCacheDependencies<S>
  readonly #entries = new Map<string, Entry>()

  constructor(dependencies: KeySetCacheDependencies<S>) {
    this.#dependencies = dependencies
  }

  /**
   * The owner's keys, to verify a token with this header. An unknown key provokes one fetch; if it is still not there, the
   * caller's own look-up fails.
   * @throws KeysUnavailable when there are no keys that may still be trusted.
   */
  async keysFor(source: S, { kid, alg }: Pick<JwsHeader, 'kid' | 'alg'>): Promise<KeySet> {
    const entry = this.#entry(source)
    const usable = this.#usable(entry)
    if (usable === undefined) return (await this.#fetchNow(source, entry)).keys
    if (usable.keys.select(kid, alg) !== undefined) {
      if (this.#age(usable.atMs) >= JWKS_FRESH_MS) this.#refreshAhead(source, entry)
      return usable.keys
    }
    if (entry.inFlight === undefined && this.#age(entry.attemptedAtMs) < JWKS_COOLDOWN_MS) return usable.keys
    // A failing owner must not turn its known keys' holders away: the look-up of this key then fails on its own.
    return await this.#awaitFetch(source, entry).then(
      (fetched) => fetched.keys,
      () => usable.keys,
    )
  }

  #entry(source: S): Entry {
    const read = JSON.stringify([source.jwksUri, source.algorithms])
    const known = this.#entries.get(source.owner)
    if (known?.read === read) return known
    const entry: Entry = {
      read,
      fetched: undefined,
      attemptedAtMs: Number.NEGATIVE_INFINITY,
      inFlight: undefined,
      waiting: 0,
    }
    this.#entries.set(source.owner, entry)
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

  async #fetchNow(source: S, entry: Entry): Promise<Fetched> {
    const hasJustFailed = entry.inFlight === undefined && this.#age(entry.attemptedAtMs) < JWKS_RETRY_MS
    if (hasJustFailed) throw new KeysUnavailable()
    try {
      return await this.#awaitFetch(source, entry)
    } catch (error) {
      throw new KeysUnavailable('the fetch has failed', { cause: error })
    }
  }

  async #awaitFetch(source: S, entry: Entry): Promise<Fetched> {
    if (entry.waiting >= JWKS_WAITING_MAX) throw new Error('too many requests wait for these keys already')
    entry.waiting += 1
    try {
      return await this.#fetch(source, entry)
    } finally {
      entry.waiting -= 1
    }
  }

  #refreshAhead(source: S, entry: Entry): void {
    if (entry.inFlight !== undefined || this.#age(entry.attemptedAtMs) < JWKS_COOLDOWN_MS) return
    this.#fetch(source, entry).catch(() => undefined) // reported by #fetch; the last keys keep serving
  }

  #fetch(source: S, entry: Entry): Promise<Fetched> {
    entry.inFlight ??= this.#download(source, entry).finally(() => {
      entry.inFlight = undefined
    })
    return entry.inFlight
  }

  async #download(source: S, entry: Entry): Promise<Fetched> {
    const { fetchJson, clock, onFailure } = this.#dependencies
    const startedAtMs = clock.nowMs()
    entry.attemptedAtMs = startedAtMs
    try {
      const bounds = { bytesMax: JWKS_BYTES_MAX, timeoutMs: FETCH_TIMEOUT_MS, accept: MEDIA_TYPES }
      const document = await fetchJson(source.jwksUri, bounds)
      // Aged from the start of the fetch: what the owner published later cannot be in it.
      const fetched = { keys: parseKeySet(document, source.algorithms), atMs: startedAtMs }
      entry.fetched = fetched
      return fetched
    } catch (error) {
      onFailure?.(source, error)
      throw error
    }
  }
}
