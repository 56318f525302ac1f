/**
 * What a verifier knows of the revocations, and how old that is: the set that brokers hold too, under salted ids.
 *
 * Guarantees: nothing is ever forgotten by a reload, another history or another salt, only by its own end; a message that does
 * not continue where the last one ended is refused; and no clock but the verifier's own decides how old its view is. That is
 * never underestimated: the first heartbeat of a connection tells of a read that began after the connection was asked for, and
 * from there on the store's own times say how much later the others were.
 */
import { CutoffSet } from '../../../authority/cutoffs.ts'
import type { AbsoluteDimension, Concern, Dimension } from '../../../authority/dimensions.ts'
import { saltedId } from '../../../authority/salted-id.ts'
import type { Clock, Ticks } from '../../../kernel/clock.ts'
import {
  FEED_AHEAD_MS_MAX,
  FEED_CUTOFFS_MAX,
  FEED_GENERATIONS_MAX,
  FEED_IDS_REMEMBERED_MAX,
} from '../../../kernel/feed-limits.ts'
import type { FeedPosition } from '../../../protocol/revocation-feed.ts'
import { FeedBroken, type FeedMessage, type HashedCutoff } from './feed-message.ts'

/** What was told under one salt. */
interface Generation {
  readonly salt: string
  readonly set: CutoffSet
  /** Ids that tokens had, as they are on the feed: most tokens share most of them. Forgotten together when there are too many. */
  readonly ids: Map<Dimension, Map<string, string>>
  idCount: number
  /** Those of all places of a token, which comes again with the same list. */
  readonly lists: WeakMap<readonly Concern[], readonly string[]>
}

const BEATS_PER_PRUNE = 10

export class RevocationView {
  readonly #clock: Clock
  readonly #ticks: Ticks
  readonly #generations: Generation[] = []
  #current: Generation | undefined
  #position: FeedPosition | undefined
  /** When the present connection was asked for, and what its first heartbeat said. */
  #askedTicksMs = 0
  #firstAsOfMs: number | undefined
  /** A moment by which everything was known, for sure; and when it was heard of, by the clock. */
  #knownTicksMs: number | undefined
  #heardAtMs = 0
  #beats = 0

  constructor(clock: Clock, ticks: Ticks) {
    this.#clock = clock
    this.#ticks = ticks
  }

  /** Where to resume; `undefined`: begin anew. */
  get position(): FeedPosition | undefined {
    return this.#position
  }

  /** How old what is known may be; infinite: nothing is. */
  get ageMs(): number {
    if (this.#knownTicksMs === undefined) return Number.POSITIVE_INFINITY
    // A machine that slept may not have ticked. Either way: a clock that was set back says nothing of what has passed.
    const byClock = Math.abs(this.#clock.nowMs() - this.#heardAtMs)
    return Math.max(this.#ticks.ticksMs() - this.#knownTicksMs, byClock)
  }

  /** Costs a walk through all of them. */
  get size(): number {
    return this.#generations.reduce((sum, { set }) => sum + set.size, 0)
  }

  /** A connection is about to be asked for. */
  connecting(): void {
    this.#askedTicksMs = this.#ticks.ticksMs()
    this.#firstAsOfMs = undefined
  }

  /** What was said last cannot be continued: the next connection begins with a snapshot. */
  begin(): void {
    this.#position = undefined
  }

  /** @throws FeedBroken for what does not continue where the last message ended; Error for what another connection can tell */
  apply(message: FeedMessage): void {
    if (message.kind === 'heartbeat') this.#confirmed(message)
    else if (message.kind === 'snapshot') this.#begun(message)
    else this.#told(message)
  }

  #begun({ epoch, seq, salt, cutoffs }: Extract<FeedMessage, { kind: 'snapshot' }>): void {
    this.#current = this.#generationOf(salt)
    for (const cutoff of cutoffs) this.#current.set.apply(entryOf(cutoff))
    this.#position = { epoch, seq }
  }

  #told({ previous, seq, cutoffs }: Extract<FeedMessage, { kind: 'cutoffs' }>): void {
    if (this.#current === undefined || this.#position?.seq !== previous) throw gap()
    for (const cutoff of cutoffs) this.#current.set.apply(entryOf(cutoff))
    this.#position = { ...this.#position, seq }
  }

  #confirmed({ epoch, seq, asOfMs }: Extract<FeedMessage, { kind: 'heartbeat' }>): void {
    if (this.#position?.epoch !== epoch || this.#position.seq !== seq) throw gap()
    this.#firstAsOfMs ??= asOfMs
    const nowTicksMs = this.#ticks.ticksMs()
    const byStoreTicksMs = this.#askedTicksMs + (asOfMs - this.#firstAsOfMs)
    // A store whose clock was set forward, or another in its place: from here on its times would hide how late they come.
    if (byStoreTicksMs > nowTicksMs + FEED_AHEAD_MS_MAX) throw new Error('the clock behind the feed has jumped')
    this.#knownTicksMs = Math.min(byStoreTicksMs, nowTicksMs)
    this.#heardAtMs = this.#clock.nowMs()
    this.#beats += 1
    if (this.#beats % BEATS_PER_PRUNE === 0) this.#prune(Math.min(asOfMs, this.#heardAtMs))
  }

  /** By the earlier clock: one that runs ahead for a moment must not forget what still concerns somebody. */
  #prune(nowMs: number): void {
    for (const { set } of this.#generations) set.prune(nowMs)
    const kept = this.#generations.filter((one) => one === this.#current || one.set.size > 0)
    this.#generations.splice(0, this.#generations.length, ...kept)
    if (this.size > FEED_CUTOFFS_MAX) throw new FeedBroken('more is cut off than this verifier can hold')
  }

  #generationOf(salt: string): Generation {
    const known = this.#generations.find((one) => one.salt === salt)
    if (known !== undefined) return known
    // A store that was lost has another salt; so many in one token's life is no store.
    if (this.#generations.length >= FEED_GENERATIONS_MAX)
      throw new FeedBroken('the salt of the feed changes again and again')
    const fresh: Generation = { salt, set: new CutoffSet(), ids: new Map(), idCount: 0, lists: new WeakMap() }
    this.#generations.push(fresh)
    return fresh
  }

  /**
   * Whether any of these places has a cut-off that the `rv` does not know. `rv` that is no number knows none.
   * @param concerns the same list for the same token, never changed: what its ids are on the feed is computed once
   */
  isCutOff(concerns: readonly Concern[], rv: number): boolean {
    for (const generation of this.#generations) {
      if (generation.set.killingAny(concerns, rv, hashedIds(generation, concerns)) !== undefined) return true
    }
    return false
  }

  /** The same of one place whose cut-off no `rv` outlives. */
  isCutOffAt(dimension: AbsoluteDimension, id: string): boolean {
    for (const generation of this.#generations) {
      const place: Concern = [dimension, hashedId(generation, dimension, id)]
      if (generation.set.killingAny([place], Number.NaN) !== undefined) return true
    }
    return false
  }
}

function gap(): FeedBroken {
  return new FeedBroken('the feed left something out')
}

function hashedIds(generation: Generation, concerns: readonly Concern[]): readonly string[] {
  const known = generation.lists.get(concerns)
  if (known !== undefined) return known
  const hashed = concerns.map(([dimension, id]) => hashedId(generation, dimension, id))
  generation.lists.set(concerns, hashed)
  return hashed
}

function hashedId(generation: Generation, dimension: Dimension, id: string): string {
  const known = generation.ids.get(dimension)?.get(id)
  if (known !== undefined) return known
  if (generation.idCount >= FEED_IDS_REMEMBERED_MAX) {
    generation.ids.clear()
    generation.idCount = 0
  }
  const hashed = saltedId(generation.salt, dimension, id)
  const ids = generation.ids.get(dimension) ?? new Map<string, string>()
  generation.ids.set(dimension, ids.set(id, hashed))
  generation.idCount += 1
  return hashed
}

function entryOf({ dimension, id, seq, expiresAtMs }: HashedCutoff) {
  return { entry: 'cutoff', dimension, id, seq, atMs: 0, expiresAtMs } as const
}
