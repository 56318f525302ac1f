/**
 * Every bound of what is asked of the broker and what it answers: the unit is in the name, the reason beside it. Bounds of other
 * matters are in the files beside this one.
 */

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
/** What a record keeps of a `User-Agent`. */
export const USER_AGENT_CHARS_MAX = 96
/** Groups, and roles, that a record names of a user; the question beside it has them all. */
export const USER_GROUPS_RECORDED_MAX = 8
/** A name of the caller's that an error text repeats: longer ones could be a token in the wrong place. */
export const SHOWN_CHARS_MAX = 48
/** Records that one question about past decisions reads through, newest first: it answers within seconds, and says where it stopped. */
export const DECISIONS_LOOKED_AT_MAX = 5_000
/** How long what an approver grants lasts, unless they say otherwise, and at most; and how long a second person has to confirm. */
export const CHALLENGE_GRANT_S_DEFAULT = 8 * 3600
export const CHALLENGE_GRANT_S_MAX = 7 * 24 * 3600
export const CHALLENGE_PROPOSAL_S = 24 * 3600
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
/** How long the rest of a body is still read whose request has been refused without it. */
export const UNREAD_BODY_MS_MAX = 500

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
export const HELD_REFUSALS_MAX = 256
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
/** Strangers that wait for that, or before it for their turn, at each door; and for that, for how long: a thousand pods that start together pass, a flood does not pile up. */
export const STRANGERS_WAITING_MAX = 1_024
export const STRANGERS_WAIT_MS_MAX = 2_000
/** How often, at each door, a stranger's request is begun at the least while known clients' are under way. */
export const STRANGERS_PACE_MS = 2

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
/** How long ago an admin may have signed in: a session left open on a desk must not open the admin API the next day. */
export const ADMIN_SIGN_IN_AGE_S_MAX = 3600
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

// --- Authority ------------------------------------------------------------------------------------------------------
/** `act` objects in one chain (RFC 8693 §4.1 sets no bound; a chain a person cannot read is not accountability). */
export const ACTOR_DEPTH_MAX = 5
/** Hops a root session may be delegated unless its intent asks for more. */
export const DELEGATION_DEPTH_DEFAULT = 1
export const AUTHORIZATION_DETAILS_CHARS_MAX = 16 * 1024
export const DETAILS_OBJECTS_MAX = 32
export const TOOLS_PER_RESOURCE_MAX = 256
/** Projects from the organisation down to one: each is looked up for every grant that may reach its servers. */
export const PROJECT_DEPTH_MAX = 8
/** Containers from a server down to one. */
export const CONTAINER_DEPTH_MAX = 16
/** The structure of what a server holds, never a row for each thing in it. */
export const CONTAINERS_PER_RESOURCE_MAX = 1024
export const ARGUMENTS_PER_TOOL_MAX = 64
export const ENUM_MEMBERS_MAX = 256
export const CONSTRAINT_STRING_CHARS_MAX = 1024
export const PURPOSE_CHARS_MAX = 512
/** Why a reviewer decided as they did: part of one audit record. */
export const REVIEW_REASON_CHARS_MAX = 512
export const ORIGIN_REF_CHARS_MAX = 128
/** A token must pass through proxies with 8 KiB header limits. */
export const MINTED_TOKEN_BYTES_MAX = 6 * 1024

// --- Evaluations ----------------------------------------------------------------------------------------------------
/** Questions of one request (AuthZEN 1.0 §7): each is recorded by itself. */
export const EVALUATIONS_MAX = 64
/** Results on one page of a search, where nothing is asked for, and at most. */
export const SEARCH_PAGE_DEFAULT = 100
export const SEARCH_PAGE_MAX = 256
/** What one page looks at, allowed or not: some milliseconds of decisions. Beyond it, the next page goes on. */
export const SEARCH_CANDIDATES_MAX = 1_000

// --- Verifiers ------------------------------------------------------------------------------------------------------
/** Verified tokens that a server's verifier remembers, half of them such as came more than once: about 6 KiB each. */
export const SEEN_TOKENS_MAX = 8_192
/** What the tokens of one session say alike, remembered for the next of them: about 8 KiB each. */
export const SEEN_ALIKE_MAX = 4_096

// --- Approvals ------------------------------------------------------------------------------------------------------
/** How long a person's yes lasts, and how long one is waited for, where the configuration says nothing else; and at most. */
export const APPROVAL_S_DEFAULT = 300
export const APPROVAL_S_MAX = 3600
export const APPROVAL_PENDING_S_DEFAULT = 900
export const APPROVAL_PENDING_S_MAX = 24 * 3600
/** For how long a call that was denied is not asked for again. */
export const APPROVAL_DENIED_S = 3600
/** Arguments, written canonically: what a person can be expected to read before saying yes. */
export const APPROVAL_ARGUMENTS_BYTES_MAX = 8 * 1024
/** Requests of one session, and in an hour of one agent for one subject: who is asked without end says yes to be left alone. */
export const APPROVALS_PER_SESSION_MAX = 64
export const APPROVAL_REQUESTS_PER_HOUR_MAX = 20
/** How often an attempt that others are faster than looks again. */
export const APPROVAL_ATTEMPTS_MAX = 3
