/**
 * How a platform that vouches for workloads is described. Claims are spelled as rules spell them (`claim-path.ts`): a name, or
 * a JSON Pointer such as `/kubernetes.io/namespace`.
 */
import type { ClaimValue } from '../../model/workload.ts'

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
  /** Audiences of tokens that workloads hold for the platform itself: who has one of them did not mean to come here. */
  readonly ownAudiences: readonly string[]
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
  /** Claims that no token of a workload has, and a user's of the same issuer has. */
  readonly never: readonly string[]
  /** A rule without any of these claims holds for more than is usually meant: what `errand check` then says. */
  readonly wide?: { readonly without: readonly string[]; readonly says: string }
}
