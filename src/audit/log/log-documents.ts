/** The documents beside the log. */

/** The newest checkpoint: a signed note, replaced by a larger one only. */
export const CHECKPOINT_DOCUMENT = 'audit-checkpoint'
/** The newest checkpoint that witnesses have signed, too; behind the other one by as long as they are asked. */
export const COSIGNED_DOCUMENT = 'audit-cosigned'
/** vkeys of the brokers that sign: for people to look up. */
export const LOG_KEYS_DOCUMENT = 'audit-keys'
/** Notes, as a JSON array: where the log goes on without records that were signed (`continuation.ts`). */
export const CONTINUED_DOCUMENT = 'audit-continued'
