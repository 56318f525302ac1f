/**
 * (source, claimed client) pairs that have authenticated lately, each with a bucket of its own that no stranger can reach
 * without sharing source, client id and key id. Only a success makes one, so a flood cannot; and since a client pushes out only
 * its own oldest pair, neither can a client that misbehaves.
 */
import { KNOWN_MS, KNOWN_PAIRS_MAX, KNOWN_PAIRS_PER_CLIENT_MAX, KNOWN_REFRESH_MS } from '../kernel/limits.ts'
import { Cells, type Rate } from './cells.ts'

interface Pair {
  readonly source: string
  readonly client: string
  /** `undefined`: not limited. */
  readonly bucket: Cells | undefined
  seenAt: number
}

export class KnownPairs {
  readonly #rate: Rate | undefined
  /** Oldest success first. */
  readonly #pairs = new Map<string, Pair>()
  readonly #ofClient = new Map<string, Set<string>>()
  readonly #atSource = new Map<string, number>()

  constructor(rate: Rate | undefined) {
    this.#rate = rate
  }

  get size(): number {
    return this.#pairs.size
  }

  /** Whether anybody known is at this source. */
  isHome(source: string): boolean {
    return this.#atSource.has(source)
  }

  find(source: string, claimed: string, nowMs: number): Pair | undefined {
    const key = `${source}\n${claimed}`
    const pair = this.#pairs.get(key)
    if (pair === undefined || nowMs - pair.seenAt <= KNOWN_MS) return pair
    this.#forget(key)
    return undefined
  }

  /** @param client as authenticated, not as claimed */
  remember(seen: { readonly source: string; readonly claimed: string; readonly client: string }, nowMs: number): void {
    const key = `${seen.source}\n${seen.claimed}`
    const old = this.#pairs.get(key)
    if (old !== undefined && nowMs - old.seenAt < KNOWN_REFRESH_MS) return
    const bucket = old?.bucket ?? (this.#rate === undefined ? undefined : new Cells(this.#rate, 1))
    if (old !== undefined) this.#forget(key)
    this.#forgetExpired(nowMs)
    const siblings = this.#ofClient.get(seen.client) ?? new Set()
    if (siblings.size >= KNOWN_PAIRS_PER_CLIENT_MAX) this.#forgetFirst(siblings)
    if (this.#pairs.size >= KNOWN_PAIRS_MAX) this.#forgetFirst(this.#pairs.keys())
    this.#pairs.set(key, { source: seen.source, client: seen.client, bucket, seenAt: nowMs })
    this.#ofClient.set(seen.client, (this.#ofClient.get(seen.client) ?? siblings).add(key))
    this.#atSource.set(seen.source, (this.#atSource.get(seen.source) ?? 0) + 1)
  }

  /** Two for each that comes: those nobody asks for any more do not stay. */
  #forgetExpired(nowMs: number): void {
    let looked = 0
    for (const [key, { seenAt }] of this.#pairs) {
      if (nowMs - seenAt <= KNOWN_MS || looked === 2) return
      this.#forget(key)
      looked += 1
    }
  }

  #forgetFirst(keys: Iterable<string>): void {
    for (const key of keys) {
      this.#forget(key)
      return
    }
  }

  #forget(key: string): void {
    const pair = this.#pairs.get(key)
    if (pair === undefined) return
    this.#pairs.delete(key)
    const siblings = this.#ofClient.get(pair.client)
    siblings?.delete(key)
    if (siblings?.size === 0) this.#ofClient.delete(pair.client)
    const left = (this.#atSource.get(pair.source) ?? 0) - 1
    if (left > 0) this.#atSource.set(pair.source, left)
    else this.#atSource.delete(pair.source)
  }
}
