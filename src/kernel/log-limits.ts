/** Every bound of the audit log and of the work of writing it: the unit is in the name, the reason beside it. */

/** How often a broker looks whether there is something to sequence: a record is under a signed checkpoint within a second. */
export const SEQUENCING_MS = 250
/** Whoever sequenced within this time goes on doing so; after it, each broker looks this often whether there is something to do. */
export const SEQUENCER_STAYS_MS = 1_000
export const SEQUENCER_LOOKS_MS = 500
/** Records that are read out of all outboxes at once, about; and of one at most. */
export const SEQUENCED_AT_ONCE_MAX = 1_024
export const SEQUENCED_OF_OUTBOX_MAX = 512
/** Bytes of records, and of texts that they name, in one append: the store holds everybody else up while it writes one. */
export const APPENDED_TEXT_BYTES_MAX = 512 * 1024
export const APPENDED_CONTENT_BYTES_MAX = 2 * 1024 * 1024
/** Appends between two checkpoints: where much waits to be sequenced, it is signed in between. */
export const APPENDS_PER_CHECKPOINT_MAX = 8
/** What a broker has appended is remembered this long, and so much of it: a failover takes seconds. */
export const APPENDS_REMEMBERED_MS = 60_000
export const APPENDS_REMEMBERED_BYTES_MAX = 16 * 1024 * 1024
/** Records stay in their outbox this long after they were sequenced; where half of an outbox is taken up by them, less long. */
export const SEQUENCED_KEPT_MS = 60_000
export const SEQUENCED_KEPT_MS_MIN = 5_000
/** How often a broker notes how far the log has come, and forgets in the outboxes what is old enough. */
export const TRIM_MS = 2_500
/** Acknowledged records that a broker remembers until a checkpoint covers them, and their bytes: beyond either, the oldest go. */
export const ACKNOWLEDGED_RECORDS_MAX = 50_000
export const ACKNOWLEDGED_BYTES_MAX = 32 * 1024 * 1024
/** And this long after: by then a broker knows that a server has been replaced by one that has other records. */
export const ACKNOWLEDGED_KEPT_MS = 5_000
/** After a server was replaced, this long before others go on than who did before: only who has what the log lost can give it back. */
export const LOSSES_MADE_GOOD_MS = 5_000
/** How often witnesses are shown the newest checkpoint, and how long one has to answer: the first signature waits for that. */
export const WITNESS_EVERY_MS = 2_000
export const WITNESS_TIMEOUT_MS = 3_000
/** Who reads the log piece by piece has one record of it for this long, at each broker: a record per piece would make the log grow by being read. */
export const LOG_READING_MS = 600_000
/** Witnesses a log may have. */
export const WITNESSES_MAX = 8
/** How long records are kept where nobody says otherwise, and at most: with the audit a year on, as PCI DSS and most auditors ask. */
export const KEEP_DAYS_DEFAULT = 365
export const KEEP_DAYS_MAX = 36_500
/** The fewest records that a bound by number may leave. */
export const KEEP_RECORDS_MIN = 4_096
/** A record is kept this long whatever its bound: brokers may have to look up whether it is in the log. */
export const KEPT_MS_MIN = 600_000
/** How often a broker looks whether there is something to prune; while it does, how often it takes a turn, and how much of one. */
export const PRUNING_LOOKS_MS = 600_000
export const PRUNING_TURN_MS = 250
/** A broker that prunes and was not heard of for this long is gone: another goes on. Longer than an announcement takes into the log. */
export const PRUNER_STAYS_MS = 60_000
export const PRUNED_BUNDLES_PER_TURN = 16
/** A pruning that was announced waits this long to be looked for in the log. */
export const PRUNING_WAITS_MS = 1_000
/** Records that one announcement speaks of. */
export const PRUNED_RECORDS_MAX = 1_048_576
