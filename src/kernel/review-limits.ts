/** Bounds of asking clusters about their tokens: the unit is in the name, the reason beside it. */

/** An answer to a TokenReview: it repeats the token, and the groups of its account. */
export const TOKEN_REVIEW_BYTES_MAX = 64 * 1024
/** How long a cluster's yes is believed: so much longer the token of a deleted pod may pass, and so much less the cluster is asked. */
export const TOKEN_REVIEW_KEPT_MS = 5_000
export const TOKEN_REVIEWS_KEPT_MAX = 10_000
/** Questions to one cluster at once: further tokens of it are refused until it answers. */
export const TOKEN_REVIEWS_AT_ONCE_MAX = 64
