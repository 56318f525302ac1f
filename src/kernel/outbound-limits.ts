/** Every bound of what the broker asks others: the unit is in the name, the reason beside it. */

export const FETCH_TIMEOUT_MS = 3_000
/** A client's metadata document, as its draft recommends; the keys it points to have the bound of other key sets. */
export const CLIENT_METADATA_BYTES_MAX = 5 * 1024
/** A key set is refreshed after this, and a failing issuer's keys serve no longer than the hard bound. */
export const JWKS_FRESH_MS = 300_000
export const JWKS_STALE_MS_MAX = 3_600_000
/** Least time between two fetches provoked by an unknown `kid`: a flood of random kids costs one fetch. */
export const JWKS_COOLDOWN_MS = 10_000
/** Least time between two fetches from an issuer that has no usable keys: its tokens are refused in between. */
export const JWKS_RETRY_MS = 1_000
/** An answer about one opaque token. */
export const INTROSPECTION_BYTES_MAX = 64 * 1024
/** Opaque tokens that one issuer is asked about at once: one that hangs must not come to hold every request. */
export const INTROSPECTIONS_WAITING_MAX = 256
/** Life of the broker's own assertion at an introspection endpoint. */
export const INTROSPECTION_ASSERTION_S = 60
/** Requests that wait for one owner's keys: a server that hangs must not come to hold every connection of the broker. */
export const JWKS_WAITING_MAX = 1_024

// --- Clusters, about their tokens -----------------------------------------------------------------------------------
/** An answer to a TokenReview: it repeats the token, and the groups of its account. */
export const TOKEN_REVIEW_BYTES_MAX = 64 * 1024
/** How long a cluster's yes is believed: so much longer the token of a deleted pod may pass, and so much less the cluster is asked. */
export const TOKEN_REVIEW_KEPT_MS = 5_000
export const TOKEN_REVIEWS_KEPT_MAX = 10_000
/** Questions to one cluster at once: further tokens of it are refused until it answers. */
export const TOKEN_REVIEWS_AT_ONCE_MAX = 64

// --- The external PDP -------------------------------------------------------------------------------------------------
/** Its one deadline, where `errand.yaml` says nothing else, and the longest: every exchange waits for it. */
export const EXTERNAL_PDP_TIMEOUT_MS_DEFAULT = 500
export const EXTERNAL_PDP_TIMEOUT_MS_MAX = 5_000
/** Tools it is asked about in one batch: beyond it nothing is allowed. Two servers with all the tools they may have. */
export const EXTERNAL_EVALUATIONS_MAX = 512
/** An answer: 512 decisions with half a KiB of context each. */
export const EXTERNAL_ANSWER_BYTES_MAX = 256 * 1024
/** Batches under way at once: further ones are not asked, and so not allowed. */
export const EXTERNAL_QUESTIONS_WAITING_MAX = 256
