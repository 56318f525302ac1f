/**
 * Who calls the broker's own bearer-protected endpoints: a client with an API token, a user with their IdP's token meant for
 * the broker, either bound to a key or not; or an operator with a management token. Each endpoint says which it serves; nothing is guessed from the path.
 *
 * Validates: the credential, the proof of the key it is bound to, and that client and user are active now.
 * Does not validate: cut-offs and blocks (`token` and `user` in the result: the caller of this checks them), nor that the
 * proof is seen for the first time.
 */
import { peekIssuer } from '../jose/decode-jws.ts'
import { JwtError } from '../jose/jwt-error.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { Secret } from '../kernel/secret.ts'
import type { KeyRing } from '../keys/key-ring.ts'
import type { Caller, OperatorCaller } from '../model/caller.ts'
import { isInService } from '../model/client.ts'
import type { SingleUse } from '../model/evidence.ts'
import type { Registry } from '../model/registry.ts'
import { apiAudience } from '../model/settings.ts'
import type { IssuerKeys } from '../net/issuer-keys.ts'
import { parseScope } from '../protocol/scope.ts'
import { type SignIn, verifyManagementToken } from './management-token.ts'
import { type VerifiedAccess, verifyAccessToken } from './own-token.ts'
import type { DpopNonces } from './proof/dpop-nonces.ts'
import { type PresentedToken, provePossession } from './proof/presented-token.ts'
import { type UserBearer, verifyUserBearer } from './user/user-bearer.ts'

export interface CallerSources {
  readonly registry: Registry
  readonly ring: KeyRing
  readonly keys: IssuerKeys
  readonly issuer: string
  readonly environment: string
  readonly nonces: DpopNonces | undefined
  readonly now: number
}

export interface IdentifiedCaller {
  readonly caller: Caller
  /** The API token, where it is one of ours: cut-offs concern it. */
  readonly token: VerifiedAccess | undefined
  /** The user's own evidence: cut-offs are compared with its time. */
  readonly user: UserBearer | undefined
  /** The proof that the token came with: still to be claimed. */
  readonly singleUse: SingleUse | undefined
}

/** @throws Rejection `bearer_missing`, `bearer_invalid`, `bearer_bound`, `dpop_*` */
export async function identifyCaller(
  presented: PresentedToken | undefined,
  sources: CallerSources,
): Promise<IdentifiedCaller> {
  if (presented === undefined) {
    throw new Rejection(
      'bearer_missing',
      'send Authorization: Bearer with an API token, or a user token meant for this broker',
    )
  }
  if (!isOurs(presented.token, sources.issuer)) {
    const user = await verifyUserBearer(presented.token, sources, 'sessions')
    const singleUse = await provePossession(presented, user.confirmation, sources)
    return { caller: { kind: 'user', principal: user.principal }, token: undefined, user, singleUse }
  }
  const token = await verifyAccessToken(presented.token, sources)
  const client = sources.registry.client(token.clientId)
  if (
    token.audience !== apiAudience(sources.issuer) ||
    client === undefined ||
    !isInService(client, sources.environment)
  ) {
    throw new Rejection('bearer_invalid', 'this is not an API token of an active client')
  }
  const singleUse = await provePossession(presented, token.confirmation, sources)
  const scopes = parseScope(token.scope)
  return { caller: { kind: 'client', principal: token.subject, client, scopes }, token, user: undefined, singleUse }
}

export interface IdentifiedOperator {
  /** With the roles the token gives; those who have signed in may have lost some since. */
  readonly caller: OperatorCaller
  readonly signIn: SignIn | undefined
  readonly singleUse: SingleUse | undefined
}

/** @throws Rejection `bearer_missing`, `bearer_invalid`, `bearer_bound`, `dpop_*` */
export async function identifyOperator(
  presented: PresentedToken | undefined,
  sources: CallerSources,
): Promise<IdentifiedOperator> {
  if (presented === undefined) {
    throw new Rejection('bearer_missing', 'send Authorization: Bearer with a management token (errand admin token)')
  }
  const { operator, roles, signIn, confirmation } = await verifyManagementToken(presented.token, sources)
  const singleUse = await provePossession(presented, confirmation, sources)
  return { caller: { kind: 'operator', principal: operator, roles }, signIn, singleUse }
}

/** Decoded, not believed: only chooses whose rules the token must pass. */
function isOurs(token: Secret, issuer: string): boolean {
  try {
    return peekIssuer(token) === issuer
  } catch (error) {
    if (error instanceof JwtError) throw new Rejection('bearer_invalid', 'the bearer token is not a JWT')
    throw error
  }
}
