/** What the feed knows of whoever follows it, by stream or by poll. */
import type { FeedPosition } from '../protocol/revocation-feed.ts'
import type { FeedLog } from './feed-log.ts'

/** Who follows. */
export interface Subscriber {
  readonly clientId: string
  /** Whether it still may. */
  stands(): boolean
}

/** What all consumers are told from. */
export interface Told {
  readonly log: FeedLog
  readonly salt: string
  /** The store's time of the last read that has confirmed everything up to the log's number; `undefined`: not sure now. */
  readonly asOfMs: number | undefined
  readonly ticksMs: number
  /** Counts what was given to a consumer. */
  told(): void
}

export interface FeedConsumer {
  readonly subscriber: Subscriber
  /** Gives what there is, where it is asked for. */
  look(): void
  /** Another history: no place of the old one means anything. */
  restart(): void
  /** A read of the store has confirmed what was told. @param isBeat whether it is time to say so again */
  confirmed(isBeat: boolean): void
  /** How long it has not taken what it was given. */
  readonly stalledMs: number
  /** Ends a connection that takes nothing. */
  drop(): void
  end(): void
}

/** Of the reads of the store that end after a consumer has come, the second has also begun after it. */
export const CONFIRMATIONS_TO_SETTLE = 2

/**
 * Up to which number a consumer that says it is there has been told; `undefined`: it needs a snapshot, because its place is of
 * another history, or of what this broker has not heard yet.
 */
export function placeIn(log: FeedLog, from: FeedPosition | undefined): number | undefined {
  return from !== undefined && from.epoch === log.epoch && from.seq <= log.seq ? from.seq : undefined
}
