/** Platforms that vouch for workloads, and whom their tokens are for. Decoded and checked by `registry/`; immutable. */
import type { PublishingIssuer } from './issuer.ts'
import type { TokenReview } from './token-review.ts'

export const PLATFORM_NAMES = ['kubernetes', 'github_actions', 'gitlab', 'aws', 'gcp', 'azure', 'oidc'] as const
export type PlatformName = (typeof PLATFORM_NAMES)[number]

/** Whoever vouches for workloads: a platform, or a SPIFFE trust domain. */
export interface Voucher {
  /** Names it in records and in limits. */
  readonly slug: string
  readonly sessionMayOutliveSubject: boolean
}

/** Its tokens carry `issuer` byte for byte. */
export interface WorkloadIssuer extends PublishingIssuer, Voucher {
  readonly platform: PlatformName
  readonly algorithms: readonly string[]
  /** Audiences that are this broker's, beside its issuer identifier: a token names some of them and no other. */
  readonly audiences: readonly string[]
  /** Claims without which no token of the platform is one. */
  readonly requiredClaims: readonly string[]
  /** What every token of a workload says, whoever it is. */
  readonly always: readonly ClaimRule[]
  /** What no token of a workload has, and a user's of the same issuer has. */
  readonly never: readonly string[]
  /** From `iat` to `exp`; `undefined`: as long as the platform gives. */
  readonly lifetimeSecondsMax: number | undefined
  /** Whom to ask whether a token still stands; `undefined`: nobody, it does until it expires. */
  readonly tokenReview: TokenReview | undefined
}

export type ClaimValue = string | number | boolean

/** A claim that must be there with exactly this value, of this JSON type. */
export interface ClaimRule {
  /** The names that lead to it, outermost first. */
  readonly path: readonly string[]
  readonly value: ClaimValue
}

/** Tokens with all of these claims authenticate a client, as one version of it. */
export interface WorkloadBinding {
  /** Slug of the platform's entry. */
  readonly issuer: string
  readonly rules: readonly ClaimRule[]
  readonly version: string
}
