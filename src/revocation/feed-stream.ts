/**
 * One consumer of the feed: where it is, and what it is told next. Nothing is written ahead of it: what it has not taken stays
 * in the log that all share, so that a slow one costs no memory, only its place.
 */
import { FEED_PAGE_CUTOFFS } from '../kernel/feed-limits.ts'
import { FEED_EVENT, type FeedPosition, positionText } from '../protocol/revocation-feed.ts'
import { CONFIRMATIONS_TO_SETTLE, type FeedConsumer, placeIn, type Subscriber, type Told } from './feed-consumer.ts'
import { pageText } from './feed-log.ts'

export class FeedStream implements FeedConsumer {
  readonly subscriber: Subscriber
  readonly #told: Told
  readonly #ended: (consumer: FeedConsumer) => void
  /** `undefined`: it is owed a snapshot. */
  #seq: number | undefined
  #confirmations = 0
  #beatDue = false
  #isOver = false
  #asking: ((text: string | undefined) => void) | undefined
  #gaveAtTicksMs: number
  /** Set by the transport: ends a connection that takes nothing. */
  drop: () => void = () => undefined

  /** @param from where it says it is; what is not a place in this history gets a snapshot. */
  constructor(
    subscriber: Subscriber,
    told: Told,
    from: FeedPosition | undefined,
    ended: (consumer: FeedConsumer) => void,
  ) {
    this.subscriber = subscriber
    this.#told = told
    this.#ended = ended
    this.#gaveAtTicksMs = told.ticksMs
    this.#seq = placeIn(told.log, from)
  }

  /** The next event as text; `undefined`: it is over. Asked for again only when the last one has been taken. */
  next(): Promise<string | undefined> {
    return new Promise((resolve) => {
      this.#asking = resolve
      this.look()
    })
  }

  /** Gives what there is, where it is asked for. */
  look(): void {
    const asking = this.#asking
    if (asking === undefined) return
    const text = this.#isOver ? undefined : this.#event()
    if (text === undefined && !this.#isOver) return
    this.#asking = undefined
    this.#gaveAtTicksMs = this.#told.ticksMs
    if (text !== undefined) this.#told.told()
    asking(text)
  }

  /** Another history: no place of the old one means anything. */
  restart(): void {
    this.#seq = undefined
  }

  /** A read of the store has confirmed what was told. @param isBeat whether it is time to say so again */
  confirmed(isBeat: boolean): void {
    this.#confirmations += 1
    if (this.#confirmations === CONFIRMATIONS_TO_SETTLE || (isBeat && this.isSettled)) this.#beatDue = true
    this.look()
  }

  /** Whether what is confirmed now was read after it had come. */
  get isSettled(): boolean {
    return this.#confirmations >= CONFIRMATIONS_TO_SETTLE
  }

  /** How long it has not taken what it was given. */
  get stalledMs(): number {
    return this.#asking === undefined ? this.#told.ticksMs - this.#gaveAtTicksMs : 0
  }

  end(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#ended(this)
    this.look()
  }

  #event(): string | undefined {
    const { log, salt, asOfMs } = this.#told
    const { epoch } = log
    const previous = this.#seq
    if (previous === undefined || previous < log.seq) {
      const page = log.after(previous ?? -1, FEED_PAGE_CUTOFFS)
      const { seq } = page
      this.#seq = seq
      const at = { epoch, seq }
      return previous === undefined
        ? eventText(FEED_EVENT.snapshot, at, pageText({ ...at, salt }, page))
        : eventText(FEED_EVENT.cutoffs, at, pageText({ previous, seq }, page))
    }
    if (!this.#beatDue || asOfMs === undefined) return undefined
    this.#beatDue = false
    const at = { epoch, seq: log.seq }
    return eventText(FEED_EVENT.heartbeat, at, JSON.stringify({ ...at, as_of: asOfMs }))
  }
}

function eventText(name: string, at: FeedPosition, data: string): string {
  return `id: ${positionText(at)}\nevent: ${name}\ndata: ${data}\n\n`
}
