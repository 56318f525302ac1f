/** What the transport knows of a request, read once. */
import type { Secret } from '../kernel/secret.ts'
import type { TraceContext } from '../protocol/trace-context.ts'

export interface RequestFacts {
  /** The socket's peer; what strangers' refusals are counted by. */
  readonly source: string
  /** Scheme of the `Authorization` header, lower case; `undefined`: none was sent. */
  readonly authorizationScheme: string | undefined
  /** What follows the scheme `Basic`, unread; `undefined`: another scheme, or none. */
  readonly basicCredentials?: Secret | undefined
  /** An API key in `Authorization: Bearer`, told from tokens by its prefix; unread. */
  readonly apiKey?: Secret | undefined
  /** The header `DPoP`, unread: several of them are one text with commas, which is no proof. */
  readonly dpopProof?: Secret | undefined
  /**
   * Certificates, DER, whose first's key the client has proven to hold in a TLS handshake, with us or with a configured proxy;
   * `unreadable`: the proxy has passed on something else.
   */
  readonly certificates?: readonly Uint8Array[] | 'unreadable' | undefined
  /** The caller's correlation id, if it is well-formed. */
  readonly correlation: string | undefined
  /** `traceparent`; `undefined`: none was sent, or it is not well-formed. */
  readonly trace?: TraceContext | undefined
  /** `User-Agent`, cut and cleaned. */
  readonly userAgent?: string | undefined
}

/** Whom a request says it comes from; nothing of it is believed. */
export interface ClaimedClient {
  readonly clientId: string | undefined
  readonly assertion: string | undefined
  readonly basic: Secret | undefined
  readonly apiKey?: Secret | undefined
  readonly bearer?: Secret | undefined
  /** DER of its own certificate. */
  readonly certificate?: Uint8Array | undefined
}

/** Whoever a request turned out to come from. */
interface Authenticated {
  readonly client: { readonly clientId: string }
}

/** One request's way through admission (`admission/admission.ts`); limits are held before any cryptography. */
export interface Entry {
  /** Resolves when the request, which has arrived whole, may be begun. @throws Rejection `strangers_limited` */
  turn(): Promise<void>
  /** Whom the request says it comes from; not believed. @throws Rejection `source_limited`, `source_client_limited` */
  claim(claimed: ClaimedClient): void
  /** Runs `authenticate` when it is its turn. @throws Rejection `strangers_limited`, and whatever `authenticate` throws */
  admit<T extends Authenticated>(authenticate: () => Promise<T>): Promise<T>
  /** One request of the authenticated client at this endpoint. @throws Rejection `client_limited` */
  spend(endpoint: string): void
  /** One user's token of this issuer. @throws Rejection `issuer_limited` */
  spendIssuer(issuer: string): void
  /** Its single-use credentials have been claimed too: the request costs no stranger's allowance. Nothing where nobody was authenticated. */
  succeeded(): void
  /** They could not be claimed, and not for want of the client's trying: the same, but nobody is known by it.
   * @param isProven whether they may be its own; else it is believed of a known client only: nobody has looked for a replay */
  excused(isProven: boolean): void
  /** However it ended. Counts what neither has given back. */
  end(): void
}

/** A request that has been let in as far as its body. */
export interface Arrival extends RequestFacts {
  readonly entry: Entry
}
