/** Every bound of what the broker tells others of itself: the unit is in the name, the reason beside it. */

// --- Traces -----------------------------------------------------------------------------------------------------------
/** Finished spans that wait for the collector: further ones are dropped, and counted. A MB or two. */
export const SPANS_WAITING_MAX = 2_048
/** Spans in one export. */
export const SPAN_BATCH_MAX = 512
export const SPAN_FLUSH_MS = 2_000
/** The one deadline of an export. */
export const SPAN_EXPORT_TIMEOUT_MS = 5_000
/** Spans of one request: a batch of evaluations asks the store often. Further ones are not begun. */
export const SPANS_OF_REQUEST_MAX = 128

// --- Export of the audit --------------------------------------------------------------------------------------------
/** Sinks of one deployment. */
export const EXPORT_SINKS_MAX = 8
/** Records in one message, where the configuration says nothing else, and the most. Half of it is sent after an answer of 413. */
export const EXPORT_BATCH_DEFAULT = 100
export const EXPORT_BATCH_MAX = 500
/** How often a sink that has everything is looked at: an alarm is on its way within a second, sequencing included. */
export const EXPORT_TICK_MS = 250
/** The one deadline of a message. */
export const EXPORT_TIMEOUT_MS = 5_000
/** The broker that sends to a sink says so this often, and the others wait for it so long: more than a message may take. */
export const EXPORT_BEAT_MS = 3_000
export const EXPORT_STAYS_MS = 10_000
/** Pause after a message that was not taken: doubled each time, from half to whole by chance. */
export const EXPORT_PAUSE_MS_MIN = 1_000
export const EXPORT_PAUSE_MS_MAX = 300_000
/** Longest that a `Retry-After` is heeded. */
export const EXPORT_RETRY_AFTER_MS_MAX = 3_600_000
/** How often an alarm that is no record is tried at a sink that does not take it: for about an hour. */
export const ALARM_ATTEMPTS_MAX = 20
/** Records looked through in one turn where a sink wants few of them. */
export const EXPORT_LOOKED_AT_MAX = 500
