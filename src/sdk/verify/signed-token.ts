/** A token whose signature is good, and what is kept beside what it says. */
import type { PublicKey } from '../../jose/jwk.ts'
import type { Alike } from './alike.ts'
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
