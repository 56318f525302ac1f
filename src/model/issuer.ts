/** Who vouches for users, and the users. Decoded and checked by `registry/`; immutable. */
import type { RiskClaim } from './risk.ts'

/** Files on the broker's own machine that take part in reading keys; each is read anew when the keys are. */
export interface KeyFiles {
  /** The key set itself, instead of any URL. */
  readonly jwks?: string | undefined
  /** Authorities (PEM) that the key server's certificate is from, instead of the public ones. */
  readonly ca?: string | undefined
  /** A bearer token for the key server. */
  readonly credential?: string | undefined
}

/** Who signs, and where the keys are. */
export interface PublishingIssuer {
  readonly issuer: string
  /** Names it in `user:<slug>:<sub>`, in rules and in records. */
  readonly slug: string
  /** `undefined`: as the issuer's discovery document says. */
  readonly jwksUri: string | undefined
  /** `undefined`: as the discovery document says. Known wherever `jwksUri` is. */
  readonly algorithms: readonly string[] | undefined
  /** Hosts beside the issuer's own that its discovery document may point to. */
  readonly otherHosts: readonly string[]
  readonly files?: KeyFiles
}

/** An IdP whose tokens are evidence. Nothing about it is learned from a token. */
export interface Issuer extends PublishingIssuer {
  readonly acceptsIdTokens: boolean
  /** What an access token's scope means: a ceiling, or nothing (identity only); `undefined`: not accepted at all. */
  readonly accessTokenScope: 'ceiling' | 'identity_only' | undefined
  /**
   * Whether its ID-JAGs are accepted; `ceiling`: each must say in its scope what it is good for, `identity_only`: one that says
   * nothing bounds nothing. What one does say always bounds. `undefined`: not accepted at all.
   */
  readonly idJagScope: 'ceiling' | 'identity_only' | undefined
  /** `tenant` of its ID-JAGs, where it serves many: one `sub` there may be two people (ID-JAG §6). `undefined`: they have none. */
  readonly idJagTenant: string | undefined
  /** What `typ` its access tokens have in their header: RFC 9068's, or the `JWT` (or none) of those that came before it. */
  readonly accessTokenTyp: 'at+jwt' | 'jwt'
  /** How its opaque access tokens are asked about; `undefined`: they are not accepted. */
  readonly introspection: Introspection | undefined
  /** Audiences a token may name beside the one that makes it ours. */
  readonly otherAudiences: readonly string[]
  /** What this broker is called in `aud` of tokens that agents bring; `undefined`: by its issuer identifier. */
  readonly brokerAudience: string | undefined
  /** Audience of tokens that users present to the broker itself (sessions API); `undefined`: they cannot. */
  readonly userAudience: string | undefined
  /** Audience of tokens that admins sign in to the admin API with; `undefined`: nobody does with tokens of this issuer. */
  readonly adminAudience: string | undefined
  readonly users: 'listed' | 'from_issuer'
  readonly acceptsForeignActors: boolean
  readonly sessionMayOutliveSubject: boolean
  /**
   * Whether its tokens say when the user signed in (`auth_time`). Then one that does not say it counts as older than any
   * revocation: an agent must not choose, among a user's tokens, the one that hides it.
   */
  readonly givesAuthTime: boolean
  /** Where its tokens say how risky the sign-in is; `undefined`: nowhere. */
  readonly riskClaim: RiskClaim | undefined
}

/** The broker as a client of an issuer's introspection endpoint (RFC 7662 §2.1). */
export interface Introspection {
  readonly clientId: string
  /** `undefined`: where the issuer's discovery document says. */
  readonly endpoint: string | undefined
  readonly method: 'client_secret_basic' | 'client_secret_post' | 'private_key_jwt'
  /** Absolute path of the file with the secret, or with the private key as a JWK. */
  readonly credentialFile: string
}

export interface User {
  readonly issuerSlug: string
  readonly sub: string
  /** For records alone; `undefined`: nobody has said. */
  readonly email?: string | undefined
  readonly active: boolean
  readonly groups: readonly string[]
  readonly roles: readonly string[]
}
