/** Every bound of what is stored, and of waiting for the store: the unit is in the name, the reason beside it. */

/** Shards of the key space; a session, its nodes and its outbox share one. */
export const SHARDS = 64
/** Deadline of one call to the store. */
export const STORE_DEADLINE_MS = 400
/** Calls that wait for an answer of the store at once: further ones are refused, so that a slow store piles nothing up. */
export const STORE_WAITING_MAX = 2_000
/** Commits that nobody knows the outcome of and that wait to be settled: as many as can be under way twice over. */
export const UNKNOWN_COMMITS_MAX = 4_000
export const UNKNOWN_COMMIT_RETRY_MS = 500
/** Revocations that are not known to be on every replica, and are asked about, or written, again until they are. */
export const OWED_WRITES_MAX = 1_000
export const OWED_WRITES_RETRY_MS = 100
/** How often a broker asks its store whether it would take a write: what readiness tells is at most so old. */
export const STORE_HEARTBEAT_MS = 500
/** A broker whose cut-offs are unconfirmed for this long issues nothing (DESIGN §7). */
export const CUTOFF_STALENESS_MS_MAX = 2_000
/** A verifier whose view of the feed is older refuses, unless its operator has said otherwise (DESIGN §7). */
export const FEED_STALE_MS_DEFAULT = 5_000
/** How long a writer of a revocation waits to hear its own write come back on the feed before answering anyway. */
export const ECHO_WAIT_MS = 1_000
/** Difference between a broker's clock and the store's beyond which it issues nothing. */
export const STORE_CLOCK_DIFFERENCE_MS_MAX = 1_000
/** How far the embedded store's clock follows the machine's at once: a machine that slept for a night, not a wrong date. */
export const STORE_CLOCK_STEP_MS_MAX = 24 * 3600 * 1000
/** What that clock may be behind after a crash of a broker that had nothing to write: no more than clocks differ anyway. */
export const STORE_CLOCK_KEPT_MS = 10_000
/** How long an entry of a list for people waits for others to be written with it, and how many may wait. */
export const INDEX_WAIT_MS = 100
export const INDEX_ENTRIES_WAITING_MAX = 10_000
/** Entries a listing returns at most. */
export const LIST_ENTRIES_MAX = 200
/** Records that one page of the audit trail reads to find those that match; the next page goes on from there. */
export const TRAIL_LOOKED_AT_MAX = 5_000
/** Chunks of 4 096 records whose columns one page looks through. */
export const TRAIL_CHUNKS_MAX = 1_024
/** Records not in the log yet that are looked through; where there are more, it is waited for the log, for so long. */
export const TRAIL_TAIL_MAX = 5_000
export const TRAIL_WAIT_MS = 1_500
/** Records that one story, one chain or one report is made of: the newest of what it is about. */
export const STORY_RECORDS_MAX = 2_000
/** Calls of tools that one list of them has: the newest; and those that are read to find them. */
export const CALLS_LISTED_MAX = 1_000
export const CALLS_LOOKED_AT_MAX = 100_000
/** Records that one report of accesses is counted from. */
export const ACCESS_RECORDS_MAX = 100_000
/** Up to how many entries of a list are counted where only some of them are returned. */
export const LISTED_COUNTED_MAX = 20_000
/** Hops that a report of what died names; it counts the others. */
export const KILL_HOPS_TOLD_MAX = 1_000
/** Nodes of one session: bounds its record, which one machine's store reads whole, and the work of reporting what died. */
export const NODES_PER_SESSION_MAX = 128
/** Single tokens revoked one by one in one session: more are cut off all the same, without a mark in its record. */
export const TOKEN_REVOCATIONS_PER_SESSION_MAX = 128
/** Asks outside a session's intent that its record names, so that whoever reviews it finds them: the last so many. */
export const DRIFT_ASKS_KEPT = 8
/** One audit record, serialised (DESIGN §8); up to a third more where every name that the registry has for it is at its own bound. */
export const AUDIT_RECORD_BYTES_MAX = 1_536
/**
 * Records kept per outbox until they are in the log: Redis has an outbox per shard, the embedded store one in all. A full one
 * refuses, and so does whatever would have been recorded there: what is not on record is not done.
 */
export const OUTBOX_RECORDS_MAX = 100_000
/** Ends may be recorded in a full outbox: room for so many in a hundred more. */
export const OUTBOX_ENDS_PERCENT = 10
/**
 * Records of strangers' refusals kept in all, in a list of their own: whoever floods the broker pushes out such records only,
 * never one of a known caller (DESIGN §5).
 */
export const STRANGER_RECORDS_MAX = 10_000
/** Bytes, pieces and head together, and pieces, that one append to the audit log writes: more would hold up all others' writes. */
export const LOG_APPEND_BYTES_MAX = 8 * 1024 * 1024
export const LOG_PIECES_PER_APPEND_MAX = 4_096
/** Large parts that one commit stores beside its record, named by digest (DESIGN §8), and the bytes of one. */
export const CONTENTS_PER_COMMIT_MAX = 8
export const CONTENT_BYTES_MAX = 64 * 1024
/**
 * Such parts kept per outbox: one with so many is full, too. They are forgotten when no record that is left there names them, so
 * that whoever asks for ever new authority cannot fill the store's memory. A record has a question of its own, and shares with
 * others what it was about and what was granted. Redis counts with them where each record is.
 */
export const CONTENTS_MAX = 4 * OUTBOX_RECORDS_MAX
/** In Redis a part is forgotten when the last record that named it is so much older than the oldest that is left. */
export const TEXTS_KEPT_MS = 60_000
/** From this share of an outbox on, its operator is told, and again at each further tenth. */
export const OUTBOX_WARNING_TENTHS = 8
/** Records of revokes that wait in memory for a log that cannot be written. */
export const DEFERRED_RECORDS_MAX = 1_000
/** Distinct (reason, source) pairs of strangers' refusals counted between two records; the rest is counted as `other`. */
export const STRANGER_COUNTS_MAX = 1_000
export const STRANGER_FLUSH_MS = 10_000

/** Announcements of signing keys kept for all brokers of a store: a ring has a dozen keys. */
export const RING_ANNOUNCEMENTS_MAX = 64

/** How often what was used is written to the store, for reviews: what a crash may lose of it. */
export const USAGE_FLUSH_MS = 10_000
/** Uses of the same thing within this time are one: what is used all the time costs a write each quarter of an hour. */
export const USAGE_RESOLUTION_S = 900
/** Agents whose use is written, or first looked at, at one time: the others wait for the next. */
export const USAGE_AGENTS_PER_FLUSH_MAX = 200
/** Names of one kind, and servers, kept of one agent’s use; the longest unused are forgotten first. */
export const USAGE_NAMES_MAX = 512
export const USAGE_RESOURCES_MAX = 256
/** After how many days without use a review asks about it. */
export const REVIEW_DAYS_DEFAULT = 30
export const REVIEW_DAYS_MAX = 3650
/** Findings that one answer names; it counts the others. */
export const REVIEW_FINDINGS_MAX = 2_000
