/** Every bound of what is captured beside records: the unit is in the name, the reason beside it. */

/** What is kept of each: sealed and written as text it grows by a third, and has to fit beside its record. */
export const CAPTURED_PROMPT_BYTES_MAX = 16 * 1024
export const CAPTURED_ARGUMENTS_BYTES_MAX = 32 * 1024
export const CAPTURED_RESPONSE_BYTES_MAX = 32 * 1024
export const CAPTURED_TRACE_BYTES_MAX = 32 * 1024
/** Places in the arguments of one tool that are never captured. */
export const REDACTED_POINTERS_MAX = 32
/** Data keys made and wrapped at once: one write for so many captured texts, and some milliseconds. */
export const DATA_KEYS_PER_PAGE = 128
/** How long a page is drawn from: by then what it is for is as old as the page, and may go with it. */
export const DATA_KEY_PAGE_MS = 3_600_000
/** How often a write that others are faster than is tried. */
export const DATA_KEY_ATTEMPTS_MAX = 20
/** Pages whose keys are wrapped anew by one request: some milliseconds each. */
export const REKEYED_PAGES_PER_REQUEST_MAX = 64
/** Traces of one agent in one session, in any minute: a thought each second. */
export const TRACES_PER_MINUTE_MAX = 60
/** Records whose captured texts one search opens: what is left is asked for from where it ended. */
export const SEARCHED_PER_REQUEST_MAX = 200
/** What is looked for in captured texts. */
export const SEARCH_TEXT_CHARS_MAX = 256
/** Why somebody reads what was captured: part of one audit record, and never shortened. */
export const DISCLOSURE_REASON_BYTES_MAX = 512
