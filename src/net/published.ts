/**
 * Documents that others publish, read from the network and kept per owner: key sets, and what providers say of themselves.
 *
 * Guarantees: one read at a time per owner (so a newer answer is never overwritten by an older one); a document is read
 * again, in the background, once it is `JWKS_FRESH_MS` old, or as its reader says; a failing owner's last document serves until
 * `JWKS_STALE_MS_MAX`, then nothing does; callers who need more than the document holds cost one read per
 * `JWKS_COOLDOWN_MS`, and so many of them wait for it and no more; one owner's trouble never delays another's callers.
 */
import type { Clock } from '../kernel/clock.ts'
import {
  JWKS_COOLDOWN_MS,
  JWKS_FRESH_MS,
  JWKS_RETRY_MS,
  JWKS_STALE_MS_MAX,
  JWKS_WAITING_MAX,
} from '../kernel/outbound-limits.ts'

export interface PublishedDependencies<S, T> {
  /** Reads and parses; anything thrown is a failed read. `before`: what was last read. */
  readonly read: (source: S, before: T | undefined) => Promise<T>
  /** Tells owners apart: two sources never share an entry, even where they share a URL. */
  readonly ownerOf: (source: S) => string
  /** Where and how it is read: a changed registry entry starts afresh. */
  readonly placeOf: (source: S) => string
  /**
   * From which age on a document is read again in the background, and from which it is not believed until that was tried;
   * otherwise `JWKS_FRESH_MS`, and never.
   */
  readonly due?: (source: S, value: T) => { readonly freshMs: number; readonly overdueMs: number }
  readonly clock: Clock
  /** Told about every failed read, also those that no request had to wait for. */
  readonly onFailure?: ((source: S, error: unknown) => void) | undefined
}

/** There is no document that may still be trusted; `cause` says why. */
export class NothingPublished extends Error {
  readonly retryAfterSeconds = Math.ceil(JWKS_RETRY_MS / 1000)
}

const NEVER_OVERDUE = { freshMs: JWKS_FRESH_MS, overdueMs: Number.POSITIVE_INFINITY }

interface Fetched<T> {
  readonly value: T
  readonly atMs: number
}

interface Entry<T> {
  readonly place: string
  fetched: Fetched<T> | undefined
  attemptedAtMs: number
  /** Why the last read has failed. */
  failure: unknown
  inFlight: Promise<Fetched<T>> | undefined
  /** Requests that wait for it. */
  waiting: number
}

export class Published<S, T> {
  readonly #dependencies: PublishedDependencies<S, T>
  readonly #entries = new Map<string, Entry<T>>()

  constructor(dependencies: PublishedDependencies<S, T>) {
    this.#dependencies = dependencies
  }

  /**
   * The owner's document. One that does not suffice provokes one read; if the answer does not either, it is the caller
   * who refuses.
   * @throws NothingPublished when there is none that may still be trusted.
   */
  async current(source: S, suffices: (value: T) => boolean): Promise<T> {
    const entry = this.#entry(source)
    const usable = this.#usable(entry)
    if (usable === undefined) return (await this.#fetchNow(source, entry)).value
    const { freshMs, overdueMs } = this.#dependencies.due?.(source, usable.value) ?? NEVER_OVERDUE
    const age = this.#age(usable.atMs)
    const isEnough = suffices(usable.value)
    const pauseMs = isEnough ? Math.min(freshMs, JWKS_COOLDOWN_MS) : JWKS_COOLDOWN_MS
    if (isEnough && age < overdueMs) {
      if (age >= freshMs) this.#refreshAhead(source, entry, pauseMs)
      return usable.value
    }
    if (entry.inFlight === undefined && this.#age(entry.attemptedAtMs) < pauseMs) return usable.value
    // A failing owner must not turn away whom its known document suffices: this caller then refuses on its own.
    return await this.#awaitFetch(source, entry).then(
      (fetched) => fetched.value,
      () => usable.value,
    )
  }

  #entry(source: S): Entry<T> {
    const place = this.#dependencies.placeOf(source)
    const owner = this.#dependencies.ownerOf(source)
    const known = this.#entries.get(owner)
    if (known?.place === place) return known
    const entry: Entry<T> = {
      place,
      fetched: undefined,
      attemptedAtMs: Number.NEGATIVE_INFINITY,
      failure: undefined,
      inFlight: undefined,
      waiting: 0,
    }
    this.#entries.set(owner, entry)
    return entry
  }

  #usable(entry: Entry<T>): Fetched<T> | undefined {
    const { fetched } = entry
    return fetched !== undefined && this.#age(fetched.atMs) < JWKS_STALE_MS_MAX ? fetched : undefined
  }

  /** A clock that was set back makes everything old: a document must not live longer by it. */
  #age(atMs: number): number {
    const age = this.#dependencies.clock.nowMs() - atMs
    return age < 0 ? Number.POSITIVE_INFINITY : age
  }

  async #fetchNow(source: S, entry: Entry<T>): Promise<Fetched<T>> {
    const hasJustFailed = entry.inFlight === undefined && this.#age(entry.attemptedAtMs) < JWKS_RETRY_MS
    if (hasJustFailed) throw new NothingPublished('the last read has failed', { cause: entry.failure })
    try {
      return await this.#awaitFetch(source, entry)
    } catch (error) {
      throw new NothingPublished('the read has failed', { cause: error })
    }
  }

  async #awaitFetch(source: S, entry: Entry<T>): Promise<Fetched<T>> {
    if (entry.waiting >= JWKS_WAITING_MAX) throw new Error('too many requests wait for this owner already')
    entry.waiting += 1
    try {
      return await this.#fetch(source, entry)
    } finally {
      entry.waiting -= 1
    }
  }

  #refreshAhead(source: S, entry: Entry<T>, pauseMs: number): void {
    if (entry.inFlight !== undefined || this.#age(entry.attemptedAtMs) < pauseMs) return
    this.#fetch(source, entry).catch(() => undefined) // reported by #fetch; the last document keeps serving
  }

  #fetch(source: S, entry: Entry<T>): Promise<Fetched<T>> {
    entry.inFlight ??= this.#download(source, entry).finally(() => {
      entry.inFlight = undefined
    })
    return entry.inFlight
  }

  async #download(source: S, entry: Entry<T>): Promise<Fetched<T>> {
    const { read, clock, onFailure } = this.#dependencies
    const startedAtMs = clock.nowMs()
    entry.attemptedAtMs = startedAtMs
    try {
      // Aged from the start of the read: what the owner published later cannot be in it.
      const fetched = { value: await read(source, entry.fetched?.value), atMs: startedAtMs }
      entry.fetched = fetched
      return fetched
    } catch (error) {
      entry.failure = error
      onFailure?.(source, error)
      throw error
    }
  }
}
