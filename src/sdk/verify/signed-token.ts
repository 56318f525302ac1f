/** A token whose signature is good, and what is kept beside what it says. */
import type { Concern } from '../../authority/dimensions.ts'
import type { PublicKey } from '../../jose/jwk.ts'
import type { VerifiedToken } from './verified-token.ts'

/** Many requests share it: what it says cannot be changed. */
export interface SignedToken {
  readonly token: VerifiedToken
  readonly kid: string | undefined
  readonly alg: string
  /** That its signature was verified with. */
  readonly key: PublicKey
  /** Of the whole token. */
  readonly digest: string
  readonly alike: Alike
}

/** What tokens of one session say alike that come one after the other: everything but their ids, times and `rv`. */
export interface Alike {
  /** As one of them said it. */
  readonly token: VerifiedToken
  /** Those of its claims that are objects or lists: equal in each of them. */
  readonly members: readonly (readonly [string, unknown])[]
  /** Where all of them may be cut off, once that was asked. */
  places?: readonly Concern[]
}
