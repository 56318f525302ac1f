/** What a verified token of an identity provider says about its user and how they signed in. */
import { claimAt } from '../../jose/claim-at.ts'
import { JwtError } from '../../jose/jwt-error.ts'
import { isName } from '../../jose/name.ts'
import { type PrincipalId, userPrincipal } from '../../kernel/ids.ts'
import { AMR_MEMBERS_MAX, CLOCK_SKEW_S } from '../../kernel/limits.ts'
import { Rejection } from '../../kernel/rejection.ts'
import type { Issuer, User } from '../../model/issuer.ts'
import type { Registry } from '../../model/registry.ts'
import type { RiskLevel } from '../../model/risk.ts'
import { parseTxn } from '../../model/transaction.ts'
import { type Claims, claim, integerClaim, nameClaim, nameListClaim, optionalNameClaim } from '../claim.ts'

/** @throws Rejection `user_not_listed` | `user_inactive` */
export function activeUser(
  claims: Claims,
  issuer: Issuer,
  registry: Registry,
): { readonly user: User; readonly principal: PrincipalId; readonly txn: string | undefined } {
  const sub = nameClaim(claims, 'sub')
  const user = registry.user(issuer, sub)
  if (user === undefined) throw new Rejection('user_not_listed', `the user is not listed for issuer "${issuer.slug}"`)
  if (!user.active) throw new Rejection('user_inactive', 'the user is not active')
  // From the token's issuer and subject, never from the directory's spelling: one sub at two issuers is two principals.
  const principal = userPrincipal(issuer.slug, sub)
  return { user: withEmail(user, claims), principal, txn: parseTxn(claim(claims, 'txn')) }
}

/** The directory's goes before what the token says, and one that the issuer itself doubts is none. */
function withEmail(user: User, claims: Claims): User {
  const email = claim(claims, 'email')
  const isDoubted = claim(claims, 'email_verified') === false
  return user.email !== undefined || isDoubted || !isName(email) ? user : { ...user, email }
}

/** What the issuer says of the sign-in, where its entry says how to read it. A value that is not written there says nothing. */
export function riskOf(claims: Claims, { riskClaim }: Issuer): RiskLevel | undefined {
  const value = riskClaim === undefined ? undefined : claimAt(claims, riskClaim.path)
  return typeof value === 'string' ? riskClaim?.levels.get(value) : undefined
}

interface Authentication {
  readonly authTime: number | undefined
  readonly acr: string | undefined
  readonly amr: readonly string[] | undefined
}

/**
 * When the user signed in, as far as the issuer lets us know: what revocations are compared with. Epoch seconds; 0, older
 * than any revocation, where a token does not say what its issuer's tokens say.
 */
export function signedInAt(issuer: Issuer, authTime: number | undefined, issuedAt: number): number {
  return authTime ?? (issuer.givesAuthTime ? 0 : issuedAt)
}

/** OpenID Connect Core §2. `auth_time` lifts blocks, so one from the future is refused like any other false time. */
export function authentication(claims: Claims, now: number): Authentication {
  const authTime = claim(claims, 'auth_time') === undefined ? undefined : integerClaim(claims, 'auth_time')
  if (authTime !== undefined && authTime > now + CLOCK_SKEW_S)
    throw new JwtError('claims', 'auth_time is in the future')
  const amr = claim(claims, 'amr') === undefined ? undefined : nameListClaim(claims, 'amr', 0, AMR_MEMBERS_MAX)
  return { authTime, acr: optionalNameClaim(claims, 'acr'), amr }
}
