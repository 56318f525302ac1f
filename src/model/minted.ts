/** A token that exists inside the process only, until its commit has answered. */
import type { Jti } from '../kernel/ids.ts'
import type { Secret } from '../kernel/secret.ts'
import type { ScopeSet } from '../protocol/scope.ts'
import type { Confirmation } from './confirmation.ts'

export interface MintedToken {
  readonly token: Secret
  readonly jti: Jti
  readonly issuedAt: number
  readonly expiresAt: number
  readonly scopes: ScopeSet
  /** The key it is bound to; `undefined`: a bearer token. */
  readonly confirmation: Confirmation | undefined
  /** The granted `authorization_details` (RFC 9396 §7). */
  readonly details: readonly unknown[]
  /** The piece of work it is for; absent: it is in no session. */
  readonly txn?: string
}
