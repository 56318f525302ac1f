/** Whoever has signed in, user or admin: whether what let them in may still be believed. */
import { slugOf } from '../authority/dimensions.ts'
import type { Clock } from '../kernel/clock.ts'
import type { PrincipalId } from '../kernel/ids.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { LiveCutoffs } from '../sessions/live-cutoffs.ts'

export interface SignedIn {
  readonly principal: PrincipalId
  /** Epoch seconds. */
  readonly signedInAt: number
  readonly digest: string
}

/**
 * @param issuer slug of the issuer that vouched for them when they signed in; left out where its keys have vouched just now,
 * and a change of what is believed of it has already been asked about.
 * @throws Rejection `bearer_invalid` for whoever was blocked, or cut off since they signed in
 */
export function assertStillStands(
  { principal, signedInAt, digest }: SignedIn,
  { cutoffs, clock }: { readonly cutoffs: LiveCutoffs; readonly clock: Clock },
  issuer?: string,
): void {
  // The user in person, by no agent.
  const person = { digest, subject: principal, agent: '', user: principal, signedInAt }
  const evidence = issuer === undefined ? person : { ...person, issuer }
  if (isSignInBlocked(principal, { cutoffs, clock }) || cutoffs.set.evidenceRefusal(evidence) !== undefined) {
    throw new Rejection('bearer_invalid', 'access of this user was cut off: sign in again, or ask an operator')
  }
}

/** A standing block of this user, or of everybody of their issuer. */
export function isSignInBlocked(
  principal: string,
  { cutoffs, clock }: { readonly cutoffs: LiveCutoffs; readonly clock: Clock },
): boolean {
  const [nowMs, slug] = [clock.nowMs(), slugOf(principal)]
  if (cutoffs.set.blocked('user', principal, nowMs) !== undefined) return true
  return slug !== undefined && cutoffs.set.blocked('issuer', slug, nowMs) !== undefined
}
