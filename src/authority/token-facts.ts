/** What cut-offs and blocks look at: of a token of this broker, and of a credential of somebody else. */

/** What of a token decides whether a cut-off concerns it. */
export interface TokenFacts {
  /** The highest sequence number its broker had applied when it decided. */
  readonly rv: number
  readonly session?: string
  /** Its path of nodes, and its own `jti`. */
  readonly nodes: readonly string[]
  /** Client ids of *all* actors in the chain: inner actors authorize nothing, and still count for revocation. */
  readonly agents: readonly string[]
  /** User principal. */
  readonly user?: string
  /** Whom it is about, user or agent: what pairs are keyed by. Absent: the user. */
  readonly subject?: string
  readonly kid?: string
  readonly accessToken: boolean
  /** The one resource an access token is for. */
  readonly audience?: string
}

/** A foreign credential: it has no `rv`, so its time is compared. */
export interface EvidenceFacts {
  readonly digest: string
  /** `undefined`: it says who a client is, whoever that works for. */
  readonly subject: string | undefined
  /** Client id. */
  readonly agent: string
  /** User principal. */
  readonly user?: string
  /** Slug of the issuer, of what is believed later without its token being read again. */
  readonly issuer?: string
  /** Epoch seconds. */
  readonly signedInAt: number
}
