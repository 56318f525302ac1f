/**
 * The feed of revocations (DESIGN §7): every cut-off that may concern a living access token, told to those who verify such
 * tokens, as soon as this broker hears of it and in the order of the store.
 *
 * Guarantees: a heartbeat follows a confirmed read of the store and nothing else, and what it confirms has been told before it;
 * a broker that is not sure sends none. Consumers resume at any broker of the store. Their number, what each may hold in memory
 * and how long it may take nothing are bounded; whoever may not follow any more is ended within a heartbeat.
 */
import type { ControlEntry } from '../authority/cutoffs.ts'
import type { Clock, Ticks } from '../kernel/clock.ts'
import {
  FEED_HEARTBEAT_MS,
  FEED_STALL_MS_MAX,
  FEED_STREAMS_MAX,
  FEED_STREAMS_PER_CLIENT_MAX,
} from '../kernel/feed-limits.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { Secret } from '../kernel/secret.ts'
import type { FeedPosition } from '../protocol/revocation-feed.ts'
import type { LiveCutoffs } from '../sessions/live-cutoffs.ts'
import type { ControlListener, ControlSnapshot, KnownEntries, Store } from '../store/ports.ts'
import { sharedSecret } from '../store/shared-secret.ts'
import type { FeedConsumer, Subscriber, Told } from './feed-consumer.ts'
import { FeedLog } from './feed-log.ts'
import { FeedPoll } from './feed-poll.ts'
import { FeedStream } from './feed-stream.ts'

/** Told how many follow, what was sent, and who was dropped. */
export interface FeedObserver {
  following(consumers: number): void
  /** One event or answer. */
  told(): void
  dropped(): void
}

export interface FeedParts {
  /** Hears everything before this does. */
  readonly cutoffs: Pick<LiveCutoffs, 'fresh' | 'known'> & ControlListener
  readonly salt: Secret
  readonly clock: Clock
  readonly ticks: Ticks
  readonly observer: FeedObserver | undefined
}

/** So many heartbeats between two looks at what may be forgotten. */
const BEATS_PER_PRUNE = 10

const SALT = 'revocations-salt'

export class RevocationFeed implements ControlListener, Told {
  readonly log: FeedLog
  readonly salt: string
  readonly #parts: FeedParts
  readonly #consumers = new Set<FeedConsumer>()
  #confirmedAsOfMs: number | undefined
  #beatAtTicksMs = Number.NEGATIVE_INFINITY
  #beats = 0
  #isStopped = false
  #following: { stop(): Promise<void> } | undefined

  constructor(parts: FeedParts) {
    this.#parts = parts
    this.salt = parts.salt.reveal()
    this.log = new FeedLog(this.salt)
  }

  /** One that hears its store, and lets the cut-offs hear it first. @throws StoreUnavailable */
  static async open(
    store: Pick<Store, 'documents' | 'control'>,
    parts: Omit<FeedParts, 'salt'>,
  ): Promise<RevocationFeed> {
    const feed = new RevocationFeed({ ...parts, salt: await sharedSecret(store.documents, SALT) })
    feed.#following = await store.control.follow(feed)
    return feed
  }

  get asOfMs(): number | undefined {
    return this.#parts.cutoffs.fresh ? this.#confirmedAsOfMs : undefined
  }

  /** One event was given to a consumer. */
  told(): void {
    this.#parts.observer?.told()
  }

  get ticksMs(): number {
    return this.#parts.ticks.ticksMs()
  }

  snapshot(snapshot: ControlSnapshot): void {
    this.#parts.cutoffs.snapshot(snapshot)
    // Until a read of this history has confirmed it: the last confirmation was of another.
    this.#confirmedAsOfMs = undefined
    if (this.log.take(snapshot)) for (const consumer of this.#consumers) consumer.restart()
    this.#look()
  }

  written(seq: number, entries: readonly ControlEntry[]): void {
    this.#parts.cutoffs.written(seq, entries)
    this.log.append(seq, entries)
    this.#look()
  }

  known(): KnownEntries {
    return this.#parts.cutoffs.known()
  }

  confirmed(seq: number, atMs: number): void {
    this.#parts.cutoffs.confirmed(seq, atMs)
    // What it has not told it cannot confirm.
    if (seq !== this.log.seq) return
    this.#confirmedAsOfMs = atMs
    const isBeat = this.ticksMs - this.#beatAtTicksMs >= FEED_HEARTBEAT_MS
    if (isBeat) this.#beat(atMs)
    for (const consumer of this.#consumers) consumer.confirmed(isBeat)
  }

  #look(): void {
    for (const consumer of this.#consumers) consumer.look()
  }

  /** Once a heartbeat: who may not follow any more is ended, and who takes nothing is dropped. */
  #beat(atMs: number): void {
    this.#beatAtTicksMs = this.ticksMs
    this.#beats += 1
    // By the earlier clock: one that runs ahead for a moment must not forget what still concerns somebody.
    if (this.#beats % BEATS_PER_PRUNE === 0) this.log.prune(Math.min(atMs, this.#parts.clock.nowMs()))
    for (const consumer of this.#consumers) {
      if (!consumer.subscriber.stands()) consumer.end()
      else if (consumer.stalledMs > FEED_STALL_MS_MAX) {
        this.#parts.observer?.dropped()
        consumer.drop()
        consumer.end()
      }
    }
  }

  /** @throws Rejection `streams_exceeded`, `cutoffs_stale` */
  open(subscriber: Subscriber, from: FeedPosition | undefined): FeedStream {
    return this.#admit(new FeedStream(subscriber, this, from, (ended) => this.#left(ended)))
  }

  /** @throws Rejection `streams_exceeded`, `cutoffs_stale` */
  poll(subscriber: Subscriber, from: FeedPosition | undefined): FeedPoll {
    return this.#admit(new FeedPoll(subscriber, this, from, (ended) => this.#left(ended)))
  }

  #admit<C extends FeedConsumer>(consumer: C): C {
    if (this.#isStopped) throw new Rejection('cutoffs_stale', 'this broker is stopping: follow another')
    const { clientId } = consumer.subscriber
    let own = 0
    for (const other of this.#consumers) if (other.subscriber.clientId === clientId) own += 1
    if (own >= FEED_STREAMS_PER_CLIENT_MAX || this.#consumers.size >= FEED_STREAMS_MAX) {
      throw new Rejection('streams_exceeded', 'as many follow the revocations as this broker serves: end some', {
        retryAfterSeconds: 5,
      })
    }
    this.#consumers.add(consumer)
    this.#parts.observer?.following(this.#consumers.size)
    return consumer
  }

  #left(consumer: FeedConsumer): void {
    if (this.#consumers.delete(consumer)) this.#parts.observer?.following(this.#consumers.size)
  }

  /** Everybody follows another broker from here on. */
  endStreams(): void {
    this.#isStopped = true
    for (const consumer of this.#consumers) consumer.end()
  }

  /** Hears nothing more. */
  async stop(): Promise<void> {
    this.endStreams()
    await this.#following?.stop()
  }
}
