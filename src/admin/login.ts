/**
 * An admin signs in with a token that their identity provider issued for exactly this, and gets a management token.
 *
 * Validates: what `user-bearer.ts` does, for the issuer's `admin_audience`; that the user is active, not blocked and not cut
 * off since; a sign-in within the last hour; that the configuration names them, and with the roles asked for; the proof of a
 * key, where one comes or the token is bound to one; and that the token signs in for the first time.
 */
import type { Auditor } from '../audit/auditor.ts'
import { provenKeys } from '../credentials/proof/possession.ts'
import { type UserBearer, verifyUserBearer } from '../credentials/user/user-bearer.ts'
import { newNonce } from '../kernel/ids.ts'
import { ADMIN_SIGN_IN_AGE_S_MAX, CLOCK_SKEW_S, MANAGEMENT_TOKEN_LIFETIME_S } from '../kernel/limits.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { Secret } from '../kernel/secret.ts'
import { type AdminRole, adminRolesOf } from '../model/admin-role.ts'
import { type Confirmation, isSameKey, type ProvenKeys } from '../model/confirmation.ts'
import type { RequestFacts } from '../model/request-facts.ts'
import { claimOnce } from '../sessions/replay-guard.ts'
import type { Minter } from '../tokens/minter.ts'
import type { CallerParts } from './callers.ts'
import { assertStillStands } from './signed-in.ts'

export interface LoginParts extends CallerParts {
  readonly minter: Minter
  readonly auditor: Auditor
}

export interface LoginRequest {
  /** The identity provider's. */
  readonly token: Secret
  /** Those wanted; `undefined`: all that the admin has. */
  readonly roles: readonly AdminRole[] | undefined
  /** The endpoint, as clients know it. */
  readonly url: string
  readonly facts: RequestFacts
}

export interface LoggedIn {
  readonly principal: string
  readonly token: Secret
  readonly confirmation: Confirmation | undefined
  readonly expiresInSeconds: number
  readonly roles: readonly AdminRole[]
}

/** @throws RefusedRequest */
export async function login(request: LoginRequest, parts: LoginParts): Promise<LoggedIn> {
  const draft = parts.auditor.begin(request.facts)
  try {
    parts.cutoffs.assertFresh()
    const now = Math.floor(parts.clock.nowMs() / 1000)
    const user = await verifyUserBearer(request.token, { ...parts, registry: parts.registries.current, now }, 'admin')
    assertStillStands(user, parts, user.issuer.slug)
    const proven = await provenKeys(request.facts, {
      ...parts,
      method: 'POST',
      url: request.url,
      token: undefined,
      now,
    })
    const confirmation = keyOf(user, proven)
    assertRecent(user, now)
    const roles = rolesFor(user, request.roles, parts)
    await claimAll(user, proven, parts)
    draft.authenticatedAs(user.principal)
    const expiresAt = Math.min(now + MANAGEMENT_TOKEN_LIFETIME_S, user.expiresAt)
    const signIn = { at: user.signedInAt, digest: user.digest }
    const order = { operator: user.principal, roles, signIn, confirmation, now, expiresAt }
    const minted = await parts.minter.management(order)
    draft.add({
      event: 'admin.login',
      jti: minted.jti,
      expires_at: expiresAt,
      subject_token: request.token.fingerprint(),
      detail: `roles ${roles.join(' ')}`,
      ...(confirmation === undefined ? {} : { bound_to: `${confirmation.kind}:${confirmation.thumbprint}` }),
    })
    await parts.auditor.log.append(draft.id, draft.granted())
    const expiresInSeconds = expiresAt - now
    return { principal: user.principal, token: minted.token, confirmation, expiresInSeconds, roles }
  } catch (error) {
    throw await parts.auditor.refuse(draft, error, request.facts.source)
  }
}

/** A token that its issuer has bound to a key is worth nothing without it, and what it is traded for stays with that key. */
function keyOf({ confirmation: bound }: UserBearer, { keys, certificate }: ProvenKeys): Confirmation | undefined {
  if (bound === undefined) return keys[0]
  if ([...keys, certificate].some((key) => key !== undefined && isSameKey(key, bound))) return bound
  throw new Rejection('bearer_bound', 'this token is bound to a key: send a proof by that key, or its certificate')
}

function assertRecent({ principal, signedInAt }: UserBearer, now: number): void {
  if (signedInAt >= now - ADMIN_SIGN_IN_AGE_S_MAX - CLOCK_SKEW_S) return
  const minutes = ADMIN_SIGN_IN_AGE_S_MAX / 60
  throw new Rejection(
    'sign_in_too_old',
    `sign in again: auth_time must be within ${minutes} minutes; an issuer whose tokens never say it needs gives_auth_time: false`,
    { by: principal },
  )
}

function rolesFor(
  { user, principal }: UserBearer,
  wanted: readonly AdminRole[] | undefined,
  { admins }: LoginParts,
): readonly AdminRole[] {
  const given = adminRolesOf(user, admins)
  const missing = (wanted ?? []).filter((role) => !given.includes(role))
  if (given.length > 0 && missing.length === 0) return wanted ?? given
  throw new Rejection('admin_forbidden', 'the configuration of the broker gives this user no such role', {
    by: principal,
    missing: missing.length === 0 ? ['an entry of admins'] : missing.map((role) => `role ${role}`),
  })
}

async function claimAll(user: UserBearer, { singleUse }: ProvenKeys, { claims, cutoffs }: LoginParts): Promise<void> {
  const once = { nonce: newNonce(), cutoffs }
  if (singleUse !== undefined) await claimOnce(claims, singleUse, once)
  const own = {
    slot: 'sign_in',
    key: `sign-in:${user.digest}`,
    issuedAtMs: user.issuedAt * 1000,
    expiresAtMs: (user.expiresAt + 2 * CLOCK_SKEW_S) * 1000,
  } as const
  await claimOnce(claims, own, once)
}
