/** Every bound of what the broker answers, in one place: the unit is in the name, the reason beside it. */

// --- Requests -------------------------------------------------------------------------------------------------------
/** A request body. A token exchange with two 16 KiB tokens and details fits; a flood of parameters does not. */
export const BODY_BYTES_MAX = 64 * 1024
/** Form parameters in one body: hashing 200 000 of them is an attack, not a request. */
export const FORM_PARAMETERS_MAX = 64
/** `resource` and `audience` are the only repeatable parameters (RFC 8693 §2.1). */
export const TARGETS_MAX = 16
/** One token of any kind offered to the broker. Enterprise ID tokens with group claims reach about 8 KiB. */
export const TOKEN_CHARS_MAX = 16 * 1024
/** `scope` parameter: characters and members. */
export const SCOPE_CHARS_MAX = 4096
export const SCOPE_MEMBERS_MAX = 128
/** `client_id`, `kid`, `jti` and other names offered by strangers. */
export const NAME_CHARS_MAX = 256
/** A JWT-SVID is a bearer credential that is presented again and again: one that lives longer is refused. */
export const JWT_SVID_LIFETIME_S_MAX = 3_600
/** A name of the caller's that an error text repeats: longer ones could be a token in the wrong place. */
export const SHOWN_CHARS_MAX = 48
/** Lines of `missing` and ids of grants that a record and a response have room for. */
export const MISSING_LINES_MAX = 20
/** Members of `aud` and `amr` in a token from outside. */
export const AUDIENCES_MAX = 16
export const AMR_MEMBERS_MAX = 16
/** Time a client may take to deliver its request, and of that its headers; how often late ones are looked for. */
export const REQUEST_TIMEOUT_MS = 10_000
export const HEADERS_TIMEOUT_MS = 5_000
export const TIMEOUT_CHECK_MS = 1_000
/** Request line and headers: a bearer token of its largest size, and what proxies add. */
export const HEADERS_BYTES_MAX = 24 * 1024
/** A connection on which nothing moves in either direction: its answer is not being read. */
export const SOCKET_SILENCE_MS_MAX = 60_000
/** Connections in all, and of one address: beyond either, whichever has waited longest without asking gives way. */
export const CONNECTIONS_MAX = 4_096
export const CONNECTIONS_PER_PEER_MAX = 2_048
/** Descriptors that connections leave to everything else, where the process may have so many; else half of them. */
export const FILES_RESERVED = 1_024
/** Requests of one connection at work at once: nobody who means well pipelines more. */
export const PIPELINED_REQUESTS_MAX = 16

// --- Admission ------------------------------------------------------------------------------------------------------
/** Failures to authenticate, where `errand.yaml` says nothing else: a fleet with a wrong clock retries this often, a guesser more. */
export const PER_SOURCE_DEFAULT = { perSecond: 20, burst: 500 } as const
export const PER_SOURCE_AND_CLIENT_DEFAULT = { perSecond: 10, burst: 100 } as const
/**
 * Requests of one authenticated client per endpoint, and users' tokens of one issuer, per process: more than a process can do
 * today, so that nobody is held who was not meant to be. Whoever shares a broker among many sets less.
 */
export const PER_CLIENT_DEFAULT = { perSecond: 5_000, burst: 10_000 } as const
export const PER_ISSUER_DEFAULT = { perSecond: 5_000, burst: 10_000 } as const
/** `per_minute` of an agent's issuance rule: its window holds the time of each token. */
export const ISSUANCE_PER_MINUTE_MAX = 1_000
/** How long a stranger over its limit waits for its refusal, and how many wait at once: a socket and a timer each. */
export const REFUSAL_DELAY_MS_DEFAULT = 500
export const REFUSAL_DELAY_MS_MAX = 5_000
export const HELD_REFUSALS_MAX = 1_024
/** What a configured rate may be: once in a hundred seconds, and more than one process can do. */
export const RATE_PER_SECOND_MIN = 0.01
export const RATE_PER_SECOND_MAX = 1_000_000
/** An IPv6 customer is given a /64 at least: counted by address, one machine would be 2^64 sources. Whole groups of 16. */
export const SOURCE_IPV6_BITS = 64
/**
 * Cells per row and rows of the table that strangers are counted in: 4 MiB each, whatever arrives. With 10 000 sources over
 * their limit at once, one honest stranger in a thousand shares all four cells with some of them.
 */
export const SKETCH_CELLS = 65_536
export const SKETCH_ROWS = 4
/** (source, client) pairs remembered as known, in all and per client: a client can push out only its own. */
export const KNOWN_PAIRS_MAX = 65_536
export const KNOWN_PAIRS_PER_CLIENT_MAX = 256
/** How long after its last success a pair is known: longer than the pause between two exchanges of a working agent. */
export const KNOWN_MS = 3_600_000
/** A pair in constant use is marked as seen once per so many milliseconds. */
export const KNOWN_REFRESH_MS = 1_000
/** Strangers whose credentials are verified at once: what a known agent's own verification may have to wait behind. */
export const STRANGERS_AT_ONCE_MAX = 8
/** Strangers that wait for that, and for how long: a thousand pods that start together pass, a flood does not pile up. */
export const STRANGERS_WAITING_MAX = 1_024
export const STRANGERS_WAIT_MS_MAX = 2_000

// --- JSON and JOSE --------------------------------------------------------------------------------------------------
/** Nesting of any JSON that came from outside: five actors and a constraint need about twelve. */
export const JSON_DEPTH_MAX = 24
/** Keys in one issuer's JWKS and bytes of the document. */
export const JWKS_KEYS_MAX = 100
export const JWKS_BYTES_MAX = 256 * 1024
/** Of what a provider publishes about itself. */
export const METADATA_BYTES_MAX = 64 * 1024
/** Users' and session tokens whose signature need not be computed again: about 200 bytes each. */
export const SEEN_SIGNATURES_MAX = 50_000
/** RSA modulus length accepted from outside (NIST SP 800-131A) and its upper bound (verification cost). */
export const RSA_BITS_MIN = 2048
export const RSA_BITS_MAX = 8192

// --- Certificates ---------------------------------------------------------------------------------------------------
/** One certificate: with an RSA key of 8192 bits it has about 3 KiB. */
export const X509_CERTIFICATE_BYTES_MAX = 8 * 1024
/** Certificates a client may present: its own and four intermediates, which with the authority is the longest path there is. */
export const X509_PRESENTED_MAX = 5
/** Signatures checked for one client before its certificate is refused: a path has one per step, and few steps have a choice. */
export const X509_SIGNATURES_MAX = 12
/** Signatures of certificates that need not be computed again: about 200 bytes each, of authorities configured here only. */
export const X509_ISSUANCES_MAX = 10_000

// --- Time -----------------------------------------------------------------------------------------------------------
/** Tolerated difference of two honest clocks. */
export const CLOCK_SKEW_S = 30
export const ACCESS_TOKEN_LIFETIME_S_DEFAULT = 300
export const ACCESS_TOKEN_LIFETIME_S_MAX = 900
export const API_TOKEN_LIFETIME_S = 300
export const MANAGEMENT_TOKEN_LIFETIME_S = 600
export const DELEGATION_ACCEPT_WINDOW_S_DEFAULT = 120
export const DELEGATION_ACCEPT_WINDOW_S_MAX = 600
export const SESSION_LIFETIME_S_DEFAULT = 3600
export const SESSION_LIFETIME_S_MAX = 24 * 3600
/**
 * A cut-off of an agent, a user or a pair outlives every session and every sign-in it could concern: an IdP session may be
 * months old when it yields the next ID token.
 */
export const CUTOFF_LIFETIME_S = 400 * 24 * 3600
/** Foreign evidence has no sequence: its `iat` is compared with a cut-off's time plus this (DESIGN §7). */
export const FOREIGN_EVIDENCE_MARGIN_S = 60

// --- Client credentials ----------------------------------------------------------------------------------------------
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

// --- Authority ------------------------------------------------------------------------------------------------------
/** `act` objects in one chain (RFC 8693 §4.1 sets no bound; a chain a person cannot read is not accountability). */
export const ACTOR_DEPTH_MAX = 5
/** Hops a root session may be delegated unless its intent asks for more. */
export const DELEGATION_DEPTH_DEFAULT = 1
export const AUTHORIZATION_DETAILS_CHARS_MAX = 16 * 1024
export const DETAILS_OBJECTS_MAX = 32
export const TOOLS_PER_RESOURCE_MAX = 256
export const ARGUMENTS_PER_TOOL_MAX = 64
export const ENUM_MEMBERS_MAX = 256
export const CONSTRAINT_STRING_CHARS_MAX = 1024
export const PURPOSE_CHARS_MAX = 512
export const ORIGIN_REF_CHARS_MAX = 128
/** A token must pass through proxies with 8 KiB header limits. */
export const MINTED_TOKEN_BYTES_MAX = 6 * 1024

// --- State ----------------------------------------------------------------------------------------------------------
/** Shards of the key space; a session, its nodes and its outbox share one. */
export const SHARDS = 64
/** Deadline of one call to the store. */
export const STORE_DEADLINE_MS = 400
/** Calls that wait for an answer of the store at once: further ones are refused, so that a slow store piles nothing up. */
export const STORE_WAITING_MAX = 2_000
/** Commits that nobody knows the outcome of and that wait to be settled: as many as can be under way twice over. */
export const UNKNOWN_COMMITS_MAX = 4_000
export const UNKNOWN_COMMIT_RETRY_MS = 500
/** How often a broker asks its store whether it would take a write: what readiness tells is at most so old. */
export const STORE_HEARTBEAT_MS = 500
/** A broker whose cut-offs are unconfirmed for this long issues nothing (DESIGN §7). */
export const CUTOFF_STALENESS_MS_MAX = 2_000
/** How long a writer of a revocation waits to hear its own write come back on the feed before answering anyway. */
export const ECHO_WAIT_MS = 1_000
/** Difference between a broker's clock and the store's beyond which it issues nothing. */
export const STORE_CLOCK_DIFFERENCE_MS_MAX = 1_000
/** How far the embedded store's clock follows the machine's at once: a machine that slept for a night, not a wrong date. */
export const STORE_CLOCK_STEP_MS_MAX = 24 * 3600 * 1000
/** What that clock may be behind after a crash of a broker that had nothing to write: no more than clocks differ anyway. */
export const STORE_CLOCK_KEPT_MS = 10_000
/** How long an entry of a list for people waits for others to be written with it, and how many may wait. */
export const INDEX_WAIT_MS = 20
export const INDEX_ENTRIES_WAITING_MAX = 10_000
/** Entries a listing returns at most. */
export const LIST_ENTRIES_MAX = 200
/** Nodes of one session: bounds its record, which one machine's store reads whole, and the work of reporting what died. */
export const NODES_PER_SESSION_MAX = 128
/** Single tokens revoked one by one in one session: more are cut off all the same, without a mark in its record. */
export const TOKEN_REVOCATIONS_PER_SESSION_MAX = 128
/** One audit record, serialised (DESIGN §8). */
export const AUDIT_RECORD_BYTES_MAX = 1_536
/** Records kept per outbox until a sequencer has consumed them: Redis has an outbox per shard, the embedded store one in all. */
export const OUTBOX_RECORDS_MAX = 100_000
/**
 * Records of strangers' refusals kept in all, in a list of their own: whoever floods the broker pushes out such records only,
 * never one of a known caller (DESIGN §5).
 */
export const STRANGER_RECORDS_MAX = 10_000
/** Large parts that one commit stores beside its record, named by digest (DESIGN §8), and the bytes of one. */
export const CONTENTS_PER_COMMIT_MAX = 4
export const CONTENT_BYTES_MAX = 16 * 1024
/**
 * Such parts kept per outbox, the oldest forgotten first: as many as records, each of which names one, so that whoever asks for
 * ever new authority cannot fill the store's memory with what nobody's record names any more.
 */
export const CONTENTS_MAX = OUTBOX_RECORDS_MAX
/** From this share of an outbox on, its operator is told, and again at each further tenth. */
export const OUTBOX_WARNING_TENTHS = 8
/** Records of revokes that wait in memory for a log that cannot be written. */
export const DEFERRED_RECORDS_MAX = 1_000
/** Distinct (reason, source) pairs of strangers' refusals counted between two records; the rest is counted as `other`. */
export const STRANGER_COUNTS_MAX = 1_000
export const STRANGER_FLUSH_MS = 10_000

/** Announcements of signing keys kept for all brokers of a store: a ring has a dozen keys. */
export const RING_ANNOUNCEMENTS_MAX = 64

// --- Outbound -------------------------------------------------------------------------------------------------------
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
