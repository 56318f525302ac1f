/**
 * The feed of revocations (`GET {issuer}/revocations`) on the wire: its events, their members, and how a place in it is named.
 * Nothing here decides.
 */

/** Below the issuer. */
export const FEED_PATH = '/revocations'
export const EVENT_STREAM = 'text/event-stream'

/** Names of the events: the first of a stream that does not resume; what was cut off since; all is told up to `as_of`. */
export const FEED_EVENT = { snapshot: 'snapshot', cutoffs: 'cutoffs', heartbeat: 'heartbeat' } as const

export interface FeedCutoff {
  readonly dimension: string
  /** Salted (`authority/salted-id.ts`). */
  readonly id: string
  readonly seq: number
  /** After this, by the store's clock, it concerns no access token. Epoch milliseconds. */
  readonly expires_at_ms: number
}

/** A place in the feed: a number of one history of the store. `<epoch>.<seq>` */
export interface FeedPosition {
  readonly epoch: string
  readonly seq: number
}

export function positionText({ epoch, seq }: FeedPosition): string {
  return `${epoch}.${seq}`
}

/** `undefined`: it names no place. */
export function parsePosition(text: string): FeedPosition | undefined {
  const [, epoch, digits] = /^([A-Za-z0-9_-]{1,64})\.([0-9]{1,16})$/.exec(text) ?? []
  const seq = Number(digits)
  return epoch === undefined || !Number.isSafeInteger(seq) ? undefined : { epoch, seq }
}
