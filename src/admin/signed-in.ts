/** Whoever has signed in, user or admin: whether what let them in may still be believed. */
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
  const isBlocked = cutoffs.set.blocked('user', principal, clock.nowMs()) !== undefined
  if (isBlocked || cutoffs.set.evidenceRefusal(evidence) !== undefined) {
    throw new Rejection('bearer_invalid', 'access of this user was cut off: sign in again, or ask an operator')
  }
}
