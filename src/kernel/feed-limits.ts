/** Every bound of the feed of revocations, at both of its ends: the unit is in the name, the reason beside it. */

/** A stream says so often that it is up to date, and is asked so often whether its caller may still follow. */
export const FEED_HEARTBEAT_MS = 1_000
/**
 * How long a cut-off stays on the feed: what it concerns was minted before it, or by a broker that had not heard of it for a
 * moment, and lives 900 s at most (`ACCESS_TOKEN_LIFETIME_S_MAX`); the rest is for clocks that differ. Cut-offs of keys stay as
 * long as brokers hold them: whoever has stolen one signs new tokens with it.
 */
export const FEED_KEPT_S = 1_200
/** Cut-offs of one event, unless one write has more: what a stream holds in memory for a consumer that is behind. */
export const FEED_PAGE_CUTOFFS = 500
/** A consumer that has not taken what was sent for so long is dropped; it resumes where it was. */
export const FEED_STALL_MS_MAX = 10_000
/** Streams and waiting polls, of one client and in all: each holds a connection. */
export const FEED_STREAMS_PER_CLIENT_MAX = 256
export const FEED_STREAMS_MAX = 1_024
/** What a poll may ask to wait. */
export const FEED_WAIT_S_MAX = 30
