/**
 * A management token coming back to the admin API.
 *
 * Validates: what `own-token.ts` does of every token of ours; that it names an operator or a user who has signed in, and roles.
 * Does not validate: that the user still is an admin, nor the proof of the key it is bound to.
 */

import { JwtError } from '../jose/jwt-error.ts'
import type { Jti, PrincipalId } from '../kernel/ids.ts'
import { MANAGEMENT_TOKEN_LIFETIME_S } from '../kernel/limits.ts'
import type { Secret } from '../kernel/secret.ts'
import { parseUserPrincipal } from '../kernel/user-name.ts'
import { ADMIN_ROLES, type AdminRole, isAdminRole } from '../model/admin-role.ts'
import type { Confirmation } from '../model/confirmation.ts'
import type { Verified } from '../model/evidence.ts'
import { JWT_TYP } from '../protocol/oauth.ts'
import { type Claims, confirmationOf, integerClaim, nameClaim, nameListClaim } from './claim.ts'
import { inSlot } from './jwt-refusals.ts'
import { idClaim, type OwnTokenDependencies, verifyOwn } from './own-token.ts'
import { verified } from './verified.ts'

/** The sign-in that a management token was given for. */
export interface SignIn {
  readonly issuerSlug: string
  readonly sub: string
  /** Epoch seconds; what revocations are compared with. */
  readonly at: number
  /** Of the identity provider's token. */
  readonly digest: string
}

export type VerifiedManagement = Verified<{
  readonly operator: PrincipalId
  readonly roles: readonly AdminRole[]
  /** Of an admin who has signed in; `undefined`: made on the broker's own machine. */
  readonly signIn: SignIn | undefined
  readonly confirmation: Confirmation | undefined
  readonly jti: Jti
  readonly expiresAt: number
}>

/** For the admin API alone. @throws Rejection `bearer_invalid` */
export async function verifyManagementToken(
  token: Secret,
  deps: OwnTokenDependencies & { readonly environment: string },
): Promise<VerifiedManagement> {
  return await inSlot('bearer', async () => {
    const jwt = await verifyOwn(token, deps, {
      keyClass: 'internal',
      typ: JWT_TYP.management,
      audience: { sole: `${deps.issuer}/admin` },
      lifetimeSecondsMax: MANAGEMENT_TOKEN_LIFETIME_S,
    })
    // Whoever may read the keys of one environment administers that one, and none that shares them.
    if (nameClaim(jwt.claims, 'env') !== deps.environment) throw new JwtError('claims', 'env must be this environment')
    const sub = nameClaim(jwt.claims, 'sub')
    return verified({
      operator: sub as PrincipalId,
      roles: rolesOf(jwt.claims),
      signIn: signInOf(sub, jwt.claims),
      confirmation: confirmationOf(jwt.claims),
      jti: idClaim(jwt.claims, 'jti') as Jti,
      expiresAt: jwt.expiresAt,
    })
  })
}

/** One that is not known here could mean anything: the token is refused as a whole. */
function rolesOf(claims: Claims): readonly AdminRole[] {
  const roles = nameListClaim(claims, 'roles', 1, ADMIN_ROLES.length)
  if (!roles.every(isAdminRole)) throw new JwtError('claims', 'roles must be roles of admins')
  return roles
}

/** Who speaks as a user has signed in as one: without the time of that, no revocation could reach the token. */
function signInOf(sub: string, claims: Claims): SignIn | undefined {
  if (/^operator:./.test(sub)) return undefined
  const user = parseUserPrincipal(sub)
  if (user === undefined) throw new JwtError('claims', 'sub must name an operator or a user')
  return { ...user, at: integerClaim(claims, 'auth_time'), digest: nameClaim(claims, 'evidence') }
}
