/**
 * What the feed of revocations tells: every cut-off that may concern a living access token, in the order of their numbers, each
 * once, under its last number.
 *
 * So a consumer that knows everything up to a number of this history (epoch) can be told the rest from here, by any broker and
 * after any restart: what was written since is exactly what stands under a higher number. Nothing is kept for that but the
 * cut-offs themselves, which `FEED_KEPT_S` bounds in time.
 */
import type { ControlEntry, Cutoff } from '../authority/cutoffs.ts'
import type { Dimension } from '../authority/dimensions.ts'
import { saltedId } from '../authority/salted-id.ts'
import { sha256 } from '../kernel/digest.ts'
import { FEED_KEPT_S } from '../kernel/feed-limits.ts'
import type { FeedCutoff } from '../protocol/revocation-feed.ts'
import type { ControlSnapshot } from '../store/ports.ts'

/** What follows a number: all that is known, or so much of it that a consumer takes it in one piece. */
export interface FeedPage {
  /** JSON array of `FeedCutoff`. */
  readonly cutoffs: string
  /** Up to here everything is told. */
  readonly seq: number
}

interface Entry {
  readonly cutoff: FeedCutoff
  /** As JSON, written once for all consumers: after a failover all of them want everything at once. */
  text: string | undefined
  /** The same has a higher number by now. */
  superseded: boolean
}

const EPOCH_CHARS = 22

export class FeedLog {
  readonly #salt: string
  /** Ascending by number. */
  #entries: Entry[] = []
  /** The one of each that is not superseded, by dimension and id as they are in the store. */
  readonly #current = new Map<Dimension, Map<string, Entry>>()
  #storeEpoch: string | undefined
  #epoch = ''
  #seq = 0

  constructor(salt: string) {
    this.#salt = salt
  }

  /** Of the store, under this salt: with another, the same id would be hashed to something else. */
  get epoch(): string {
    return this.#epoch
  }

  /** Up to here every write has been heard. */
  get seq(): number {
    return this.#seq
  }

  get size(): number {
    return this.#entries.length
  }

  /** @returns whether places of before mean nothing any more; what was known is kept. */
  take({ epoch, seq, entries }: ControlSnapshot): boolean {
    const isAnother = epoch !== this.#storeEpoch
    const news = entries.filter((entry) => entry.entry === 'cutoff' && (isAnother || entry.seq > this.#seq))
    for (const entry of news.toSorted((a, b) => a.seq - b.seq)) this.#add(entry)
    if (isAnother) {
      // Numbers of the history before this one stand among those of this.
      this.#entries.sort((a, b) => a.cutoff.seq - b.cutoff.seq)
      this.#storeEpoch = epoch
      this.#epoch = sha256(`${this.#salt}|${epoch}`).slice(0, EPOCH_CHARS)
    }
    this.#seq = seq
    return isAnother
  }

  append(seq: number, entries: readonly ControlEntry[]): void {
    for (const entry of entries) this.#add(entry)
    this.#seq = seq
  }

  #add(entry: ControlEntry): void {
    if (entry.entry !== 'cutoff') return
    const ofDimension = this.#current.get(entry.dimension) ?? new Map<string, Entry>()
    this.#current.set(entry.dimension, ofDimension)
    const held = ofDimension.get(entry.id)
    const next = { cutoff: this.#cutoffOf(entry, held?.cutoff), text: undefined, superseded: false }
    if (held !== undefined) held.superseded = true
    ofDimension.set(entry.id, next)
    this.#entries.push(next)
  }

  #cutoffOf(entry: Cutoff, held: FeedCutoff | undefined): FeedCutoff {
    return {
      dimension: entry.dimension,
      id: held?.id ?? saltedId(this.#salt, entry.dimension, entry.id),
      seq: Math.max(entry.seq, held?.seq ?? 0),
      expires_at_ms: Math.max(concernsUntil(entry), held?.expires_at_ms ?? 0),
    }
  }

  /** Cut-offs of one number stay together: a place in the feed is a number. */
  after(seq: number, cutoffsMax: number): FeedPage {
    const texts: string[] = []
    let last = seq
    for (let at = this.#firstAfter(seq); at < this.#entries.length; at += 1) {
      const entry = this.#entries[at]
      if (entry === undefined || entry.superseded) continue
      if (texts.length >= cutoffsMax && entry.cutoff.seq > last) return { cutoffs: listOf(texts), seq: last }
      entry.text ??= JSON.stringify(entry.cutoff)
      texts.push(entry.text)
      last = entry.cutoff.seq
    }
    return { cutoffs: listOf(texts), seq: this.#seq }
  }

  #firstAfter(seq: number): number {
    let low = 0
    let high = this.#entries.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#entries[middle]?.cutoff.seq ?? 0) > seq) high = middle
      else low = middle + 1
    }
    return low
  }

  /** Forgets what concerns no living token any more (exclusive), and what is superseded. */
  prune(nowMs: number): void {
    this.#entries = this.#entries.filter(({ cutoff, superseded }) => !superseded && cutoff.expires_at_ms > nowMs)
    for (const ofDimension of this.#current.values()) {
      for (const [id, { cutoff }] of ofDimension) if (cutoff.expires_at_ms <= nowMs) ofDimension.delete(id)
    }
  }
}

const listOf = (texts: readonly string[]) => `[${texts.join(',')}]`

/** One JSON object: these members, and the cut-offs of the page. */
export function pageText(members: Readonly<Record<string, unknown>>, { cutoffs }: FeedPage): string {
  return `${JSON.stringify(members).slice(0, -1)},"cutoffs":${cutoffs}}`
}

function concernsUntil({ dimension, atMs, expiresAtMs }: Cutoff): number {
  return dimension === 'key' ? expiresAtMs : Math.min(expiresAtMs, atMs + FEED_KEPT_S * 1000)
}
