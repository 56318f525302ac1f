/** Who is calling one of the broker's own bearer-protected endpoints, after verification. */
import type { PrincipalId } from '../kernel/ids.ts'
import type { ScopeSet } from '../protocol/scope.ts'
import type { AdminRole } from './admin-role.ts'
import type { Client } from './client.ts'

export type Caller =
  | { readonly kind: 'client'; readonly principal: PrincipalId; readonly client: Client; readonly scopes: ScopeSet }
  | { readonly kind: 'user'; readonly principal: PrincipalId }
  | OperatorCaller

/** An admin: what they may do is in their roles, and each endpoint asks. */
export interface OperatorCaller {
  readonly kind: 'operator'
  readonly principal: PrincipalId
  readonly roles: readonly AdminRole[]
}
