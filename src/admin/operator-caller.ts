/**
 * Admins, checked anew at each request: whoever has signed in is one for as long as the configuration and the registry say so
 * and nobody has cut them off, whatever their token says.
 */
import { identifyOperator } from '../credentials/caller.ts'
import type { SignIn } from '../credentials/management-token.ts'
import type { PresentedToken } from '../credentials/proof/presented-token.ts'
import { userPrincipal } from '../kernel/ids.ts'
import { Rejection } from '../kernel/rejection.ts'
import { parseUserPrincipal } from '../kernel/user-name.ts'
import { type AdminRole, adminRolesOf, type Permission, permits } from '../model/admin-role.ts'
import type { OperatorCaller } from '../model/caller.ts'
import { findUser } from '../model/find-user.ts'
import { type CallerParts, claimProof } from './callers.ts'
import { assertStillStands, isSignInBlocked } from './signed-in.ts'

/**
 * An admin whose roles give what the endpoint asks for. Where the revocations are not certain, whoever has signed in may
 * still end things, and nothing else; a token made on the broker's own machine is nobody's that could be cut off.
 * @throws Rejection `bearer_*`, `dpop_*`, `admin_forbidden`, `cutoffs_stale`
 */
export async function operatorCaller(
  presented: PresentedToken | undefined,
  parts: CallerParts,
  permission: Permission,
): Promise<OperatorCaller> {
  const nowMs = parts.clock.nowMs()
  const registry = parts.registries.current
  const sources = { ...parts, registry, now: Math.floor(nowMs / 1000) }
  const { caller, signIn, singleUse } = await identifyOperator(presented, sources)
  if (singleUse !== undefined) await claimProof(singleUse, permission === 'security' ? 'ending' : 'reading', parts)
  if (signIn === undefined) return permitted(caller, permission)
  if (permission !== 'security') parts.cutoffs.assertFresh()
  const roles = rolesNow(signIn, parts)
  return permitted({ ...caller, roles: caller.roles.filter((role) => roles.includes(role)) }, permission)
}

/** @throws Rejection `admin_forbidden`, recorded as theirs */
export function permitted(caller: OperatorCaller, permission: Permission): OperatorCaller {
  if (permits(caller.roles, permission)) return caller
  throw new Rejection('admin_forbidden', `this needs the permission ${permission}, which none of your roles gives`, {
    by: caller.principal,
    missing: [`permission ${permission}`],
  })
}

/** Whether a word that this admin has given earlier still counts. Of a token made on the broker's own machine there is no more to ask. */
export function stillMay(
  principal: string,
  permission: Permission,
  { registries, admins, cutoffs, clock }: Pick<CallerParts, 'registries' | 'admins' | 'cutoffs' | 'clock'>,
): boolean {
  const name = parseUserPrincipal(principal)
  if (name === undefined) return principal.startsWith('operator:')
  const user = findUser(registries.current, name)
  const isBlocked = isSignInBlocked(principal, { cutoffs, clock })
  return user?.active === true && !isBlocked && permits(adminRolesOf(user, admins), permission)
}

function rolesNow(signIn: SignIn, parts: CallerParts): readonly AdminRole[] {
  const { issuerSlug, sub, at, digest } = signIn
  const registry = parts.registries.current
  const issuer = registry.issuerBySlug(issuerSlug)
  const user = issuer?.adminAudience === undefined ? undefined : registry.user(issuer, sub)
  if (user?.active !== true) throw new Rejection('bearer_invalid', 'this admin is no longer known here, or not active')
  assertStillStands({ principal: userPrincipal(issuerSlug, sub), signedInAt: at, digest }, parts, issuerSlug)
  return adminRolesOf(user, parts.admins)
}
