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

// --- Verifiers ------------------------------------------------------------------------------------------------------
/** How old a verifier's view may be, unless its operator says otherwise; and what they may say at least: two heartbeats. */
export const FEED_STALE_MS_DEFAULT = 5_000
export const FEED_STALE_MS_MIN = 2_000
/** A stream on which nothing comes for so long is given up for another: three heartbeats, and time left before the view is stale. */
export const FEED_SILENCE_MS_MAX = 3_000
/** A connection on which a heartbeat is known to be so late is given up for another. */
export const FEED_LATE_MS_MAX = 3_000
/** How far the store's clock may run ahead of a verifier's on one connection: beyond it was set, and says nothing of what is late. */
export const FEED_AHEAD_MS_MAX = 1_000
/** Before it is tried again: doubled each time up to the most, and half of it by chance. */
export const FEED_RETRY_MS_MIN = 100
export const FEED_RETRY_MS_MAX = 2_000
/** Where streams do not get through: what a poll waits, since its view is as old as its question; how long until a stream is tried. */
export const FEED_POLL_WAIT_S = 1
export const FEED_POLL_PERIOD_MS = 60_000
/** One event: a page, and one write of a thousand cut-offs behind it. */
export const FEED_EVENT_CHARS_MAX = 512 * 1024
/** Cut-offs a verifier holds, and salts they were told under: beyond either it stops, rather than forget. */
export const FEED_CUTOFFS_MAX = 1_000_000
export const FEED_GENERATIONS_MAX = 8
/** Ids of tokens whose hash is remembered: about 200 bytes each. */
export const FEED_IDS_REMEMBERED_MAX = 16_384
/** Tools of tokens whose places are remembered; forgotten together beyond it. */
export const FEED_TOOLS_REMEMBERED_MAX = 4_096
/** Verified tokens held to be told of, where that is asked for. */
export const FEED_TOKENS_HELD_MAX = 10_000
