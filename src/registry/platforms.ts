/**
 * What is known of the platforms that vouch for workloads: how their tokens are signed, which claims they have, and which of
 * those say for good who a workload is. Data only; the rules that hold on every platform are in `workload-checks.ts`.
 *
 * Claims are spelled as rules spell them (`claim-path.ts`): a name, or a JSON Pointer such as `/kubernetes.io/namespace`.
 */
import type { ClaimValue } from '../model/workload.ts'

/** A text that a value must have the form of, and how that form is described to an operator. */
export interface Form {
  readonly pattern: RegExp
  readonly says: string
}

export interface PlatformClaim {
  readonly type: 'string' | 'integer' | 'boolean'
  readonly form?: Form
  /**
   * The value can be given to somebody else (a name that is freed by a rename): a rule may ask for it only beside one of
   * these, which cannot.
   */
  readonly onlyBeside?: readonly string[]
}

export interface Platform {
  /** Where an entry does not say. */
  readonly algorithms: readonly string[]
  /** How its issuers are spelled; absent: any URL. */
  readonly issuer?: Form
  readonly claims: Readonly<Record<string, PlatformClaim>>
  /**
   * Claims that say together who a workload is, each list by itself: a rule asks for all of at least one. What only says
   * where a workload runs, or for what, is in none of them.
   */
  readonly identities: readonly (readonly string[])[]
  /** Claims that are not listed: may a rule ask for them too, beside an identity? */
  readonly otherClaims: 'may_narrow' | 'refused'
  /** Beside `iss sub aud exp iat`, which every token must have. */
  readonly requiredClaims: readonly string[]
  /** What every token of a workload says, by which a user's token of the same issuer is told apart. */
  readonly always: Readonly<Record<string, ClaimValue>>
}

export const PLATFORM_NAMES = ['oidc'] as const
export type PlatformName = (typeof PLATFORM_NAMES)[number]

export const PLATFORMS: Readonly<Record<PlatformName, Platform>> = {
  /** Any OpenID Connect issuer: nothing is known but that `sub` is never given to another (OpenID Connect Core §2). */
  oidc: {
    algorithms: ['RS256', 'ES256'],
    claims: { sub: { type: 'string' } },
    identities: [['sub']],
    otherClaims: 'may_narrow',
    requiredClaims: [],
    always: {},
  },
}
