/**
 * A user at the broker's own sessions API, or at the door of its admin API, with a token that their identity provider issued
 * for the one or the other.
 *
 * Validates: what `issuer-token.ts` does; `aud` is what the issuer's entry names for that door and nothing else; the token is in
 * the user's own hands: about a user, not issued to a registered agent, carrying no `act`; form of `cnf`; the user is active.
 * Does not validate: scope (none is needed to see and end what runs on one's own behalf), possession of the key in `cnf`, nor cut-offs
 * and blocks.
 */
import { JwtError } from '../../jose/jwt-error.ts'
import type { PrincipalId } from '../../kernel/ids.ts'
import { Rejection } from '../../kernel/rejection.ts'
import type { Secret } from '../../kernel/secret.ts'
import type { Confirmation } from '../../model/confirmation.ts'
import type { Verified } from '../../model/evidence.ts'
import type { Issuer, User } from '../../model/issuer.ts'
import type { Registry } from '../../model/registry.ts'
import { JWT_TYP } from '../../protocol/oauth.ts'
import { type Claims, claim, confirmationOf, integerClaim, issuedTo } from '../claim.ts'
import { inSlot } from '../jwt-refusals.ts'
import { verified } from '../verified.ts'
import { findIssuer, type IssuerTokenDependencies, refuseClientTokens, verifyIssuerToken } from './issuer-token.ts'
import { activeUser, authentication, signedInAt } from './user-claims.ts'

export type UserBearer = Verified<{
  readonly principal: PrincipalId
  readonly user: User
  readonly issuer: Issuer
  /** The key that its issuer has bound it to; `undefined`: none. */
  readonly confirmation: Confirmation | undefined
  /** Epoch seconds; what revocations are compared with. */
  readonly signedInAt: number
  readonly issuedAt: number
  readonly expiresAt: number
  readonly digest: string
}>

/**
 * @param door what the issuer must have meant the token for
 * @throws Rejection `bearer_invalid`; `subject_issuer_unavailable` when its keys cannot be read at present
 */
export async function verifyUserBearer(
  token: Secret,
  deps: IssuerTokenDependencies,
  door: 'sessions' | 'admin',
): Promise<UserBearer> {
  try {
    return await inSlot('bearer', () => verifyBearer(token, deps, door))
  } catch (error) {
    // Coarse: the holder of a token that is not the user's must not learn which users and issuers are known.
    if (!(error instanceof Rejection) || error.reason === 'subject_issuer_unavailable') throw error
    throw new Rejection('bearer_invalid', 'the bearer token is not a live token of a user for this broker', {
      cause: error,
    })
  }
}

async function verifyBearer(
  token: Secret,
  deps: IssuerTokenDependencies,
  door: 'sessions' | 'admin',
): Promise<UserBearer> {
  const found = findIssuer(token, deps.registry)
  const { issuer } = found
  const audience = door === 'admin' ? issuer.adminAudience : issuer.userAudience
  if (audience === undefined) throw new JwtError('audience', 'tokens of this issuer are not accepted here')
  const isUntyped = issuer.acceptsIdTokens || issuer.accessTokenTyp === 'jwt'
  const typ = isUntyped ? [undefined, 'jwt', JWT_TYP.accessToken] : [JWT_TYP.accessToken]
  const jwt = await verifyIssuerToken(token, found, typ, deps)
  if (jwt.audience.length !== 1 || jwt.audience[0] !== audience) {
    throw new JwtError('audience', 'aud must be the audience configured for this and no other')
  }
  refuseClientTokens(jwt.claims)
  refuseOtherHands(jwt.claims, issuer, deps.registry)
  return verified({
    ...activeUser(jwt.claims, issuer, deps.registry),
    issuer,
    confirmation: confirmationOf(jwt.claims),
    signedInAt: signedInAt(issuer, authentication(jwt.claims, deps.now).authTime, integerClaim(jwt.claims, 'iat')),
    issuedAt: integerClaim(jwt.claims, 'iat'),
    expiresAt: jwt.expiresAt,
    digest: jwt.signingInputHash,
  })
}

/** An agent that holds a user's token works for the user at its own sessions; it must not pass as the user over all of them. */
function refuseOtherHands(claims: Claims, issuer: Issuer, registry: Registry): void {
  if (claim(claims, 'act') !== undefined) throw new JwtError('claims', 'a delegated token (act) is not the user')
  const holders = issuedTo(claims)
  const isAgents = registry.agents.some((agent) => {
    const upstream = agent.upstreamClientIds.get(issuer.slug)
    return upstream !== undefined && holders.includes(upstream)
  })
  if (isAgents) throw new JwtError('claims', 'the token was issued to an agent, not to the user')
}
