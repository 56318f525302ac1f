/** Every bound of calls that are counted: the unit is in the name, the reason beside it. */

/** How long a server has to tell how a call ended, until it is recorded as unknown. */
export const CALL_OUTCOME_S_DEFAULT = 60
export const CALL_OUTCOME_S_MAX = 3600
/** How long a call is remembered that was permitted and has ended: longer than a token lives, so that no attempt is made twice with one. */
export const CALL_KEPT_MS = 3_600_000
/** How often a broker looks for calls that nobody has told the end of, and how many it takes of each part of the store. */
export const CALLS_LOOK_MS = 1_000
export const CALLS_OVERDUE_AT_ONCE_MAX = 50
/** What a server may add to how a call ended: a code, not content. */
export const CALL_DETAIL_CHARS_MAX = 200
/** For how long an attempt may be asked about again: what was committed for it is remembered for twice as long. */
export const ATTEMPT_REPEAT_MS = 300_000
/** A tool's budget: each call of an agent for a subject takes a place of a few dozen bytes, for as long as the budget counts. */
export const BUDGET_CALLS_MAX = 1_000
export const BUDGET_S_MAX = 31 * 86_400
