/** Every bound of what clients authenticate with and prove: the unit is in the name, the reason beside it. */

/** A client assertion is made for one request (RFC 7523 §3): minutes are generous. */
export const CLIENT_ASSERTION_LIFETIME_S_MAX = 300
/** Life of an ID-JAG from outside, remembered until it ends (MCP EMA §7.4.2), and of one of ours: nobody can call it back. */
export const ID_JAG_LIFETIME_S_MAX = 3_600
export const ID_JAG_ISSUED_LIFETIME_S_MAX = 300
/** A shared secret is for those who cannot sign; a forgotten one must not be good for ever. */
export const CLIENT_SECRET_LIFETIME_S_MAX = 90 * 24 * 3600
/** Secrets of one client at a time: the present one and its successor. */
export const CLIENT_SECRETS_MAX = 2
/** An API key, the last resort, lives no longer than a secret. Keys of one agent: one per job, and the successors of some. */
export const API_KEY_LIFETIME_S_MAX = 90 * 24 * 3600
export const API_KEYS_MAX = 8
/** From how long before its end one is warned of: long enough for a rotation that needs a change window. */
export const CREDENTIAL_END_AHEAD_S = 14 * 24 * 3600
/** Versions of one agent: those in use, and those whose end is on record. */
export const AGENT_VERSIONS_MAX = 64
/** The same for a review that falls due: its owner has to find the time. */
export const CERTIFICATION_AHEAD_S = 30 * 24 * 3600
/** Entropy of a secret that the broker makes: beyond guessing, so that a fast hash of it is enough. */
export const CLIENT_SECRET_BYTES = 32
/** What follows `Basic`: a client id and a secret, every character of which may be percent-encoded. */
export const BASIC_CREDENTIALS_CHARS_MAX = 1024
/** URLs at which one client publishes keys: one per version, and a roll-out has two at a time. */
export const CLIENT_KEY_SETS_MAX = 4
/** Rules of one client for workload tokens, claims that one of them names, and audiences of one platform's entry. */
export const CLIENT_WORKLOADS_MAX = 32
export const WORKLOAD_RULE_CLAIMS_MAX = 16
export const WORKLOAD_AUDIENCES_MAX = 8
/** Of a workload's `sub`, which a record names in full up to here: namespace and name of a service account fit. */
export const WORKLOAD_SUBJECT_SHOWN_CHARS_MAX = 160
/** What an entry may allow a workload token to live: a managed identity's lives a day. */
export const WORKLOAD_TOKEN_LIFETIME_S_MAX = 25 * 3600
/** SPIFFE IDs of one client. */
export const CLIENT_SPIFFE_IDS_MAX = 32
/** A JWT-SVID is a bearer credential that is presented again and again: one that lives longer is refused. */
export const JWT_SVID_LIFETIME_S_MAX = 3_600

// --- Proofs and their nonces (RFC 9449) -----------------------------------------------------------------------------
/** A proof: a header with an RSA key of 4096 bits, its signature, and a long URL. */
export const DPOP_PROOF_CHARS_MAX = 4_096
/** How old a proof may be, beyond the difference of clocks: it is made for one request, and seen once in this time. */
export const DPOP_PROOF_AGE_S_MAX = 60
/** A nonce is good in its window and the next; how often a broker looks for another secret of theirs. */
export const DPOP_NONCE_WINDOW_S = 60
export const DPOP_NONCE_REREAD_MS = 1_000
/** Proofs that a verifier remembers: two minutes of a thousand calls a second, at about 100 bytes each. */
export const DPOP_PROOFS_REMEMBERED_MAX = 120_000
