/** Bounds of DPoP proofs and their nonces (RFC 9449): the unit is in the name, the reason beside it. */

/** A proof: a header with an RSA key of 4096 bits, its signature, and a long URL. */
export const DPOP_PROOF_CHARS_MAX = 4_096
/** How old a proof may be, beyond the difference of clocks: it is made for one request, and seen once in this time. */
export const DPOP_PROOF_AGE_S_MAX = 60
/** A nonce is good in its window and the next; how often a broker looks for another secret of theirs. */
export const DPOP_NONCE_WINDOW_S = 60
export const DPOP_NONCE_REREAD_MS = 1_000
/** Proofs that a verifier remembers: two minutes of a thousand calls a second, at about 100 bytes each. */
export const DPOP_PROOFS_REMEMBERED_MAX = 120_000
