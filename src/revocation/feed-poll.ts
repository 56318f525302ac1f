/**
 * One question of a consumer to which no stream gets through: answered as soon as there is something to tell, or when the time
 * it gave is up; never before a read of the store that began after it came, so that `as_of` says how fresh the answer is.
 */
import { FEED_PAGE_CUTOFFS } from '../kernel/feed-limits.ts'
import { CUTOFF_STALENESS_MS_MAX } from '../kernel/store-limits.ts'
import type { FeedPosition } from '../protocol/revocation-feed.ts'
import { CONFIRMATIONS_TO_SETTLE, type FeedConsumer, placeIn, type Subscriber, type Told } from './feed-consumer.ts'
import { pageText } from './feed-log.ts'

export class FeedPoll implements FeedConsumer {
  readonly subscriber: Subscriber
  readonly #told: Told
  readonly #ended: (consumer: FeedConsumer) => void
  #seq: number | undefined
  #confirmations = 0
  #isTimeUp = false
  #asking: ((answer: string | undefined) => void) | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(
    subscriber: Subscriber,
    told: Told,
    from: FeedPosition | undefined,
    ended: (consumer: FeedConsumer) => void,
  ) {
    this.subscriber = subscriber
    this.#told = told
    this.#ended = ended
    this.#seq = placeIn(told.log, from)
  }

  /** One JSON object. `undefined`: nothing could be confirmed, or it may not follow any more. Once. */
  answer(waitMs: number): Promise<string | undefined> {
    return new Promise((resolve) => {
      this.#asking = resolve
      this.#timer = setTimeout(() => {
        this.#isTimeUp = true
        this.#timer = setTimeout(() => this.end(), CUTOFF_STALENESS_MS_MAX)
        this.look()
      }, waitMs)
      this.look()
    })
  }

  look(): void {
    const { log, asOfMs } = this.#told
    const isNews = this.#seq === undefined || this.#seq < log.seq
    if (this.#confirmations < CONFIRMATIONS_TO_SETTLE || asOfMs === undefined || !(isNews || this.#isTimeUp)) return
    this.#told.told()
    this.#finish(this.#page(asOfMs))
  }

  restart(): void {
    this.#seq = undefined
  }

  confirmed(): void {
    this.#confirmations += 1
    this.look()
  }

  get stalledMs(): number {
    return 0
  }

  drop(): void {
    this.end()
  }

  end(): void {
    this.#finish(undefined)
  }

  #finish(answer: string | undefined): void {
    clearTimeout(this.#timer)
    this.#ended(this)
    this.#asking?.(answer)
    this.#asking = undefined
  }

  #page(asOfMs: number): string {
    const { log, salt } = this.#told
    const previous = this.#seq
    const page = log.after(previous ?? -1, FEED_PAGE_CUTOFFS)
    const { seq } = page
    return pageText(
      {
        epoch: log.epoch,
        seq,
        // Absent: there is more, to be asked for from here.
        ...(seq === log.seq ? { as_of: asOfMs } : {}),
        // The place it goes on from; without one it is the beginning of a snapshot.
        ...(previous === undefined ? { salt } : { previous }),
      },
      page,
    )
  }
}
