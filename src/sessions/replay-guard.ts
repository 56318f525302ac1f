/** Single-use ids: one atomic write, after all cryptography, before the decision. */
import { CLOCK_SKEW_S } from '../kernel/limits.ts'
import { Rejection, type RejectionReason } from '../kernel/rejection.ts'
import type { SingleUse } from '../model/evidence.ts'
import type { ClaimStore } from '../store/ports.ts'

export interface ClaimFacts {
  /** The request's own: a retry within the request sees its claim as its own. */
  readonly nonce: string
  readonly cutoffs: {
    /** When what the store knew of a claim was lost last: what was issued before may have been used. */
    readonly set: { forgottenAtMs(key: string): number }
    assertFresh(): void
  }
}

/**
 * Single use, or, of what says by whom it is held, use by that holder alone.
 * @throws Rejection `*_bound`, `client_assertion_replayed`, `actor_token_unacceptable`, `assertion_replayed`, `dpop_proof_replayed`;
 * `cutoffs_stale` where the broker's clock may be wrong: what is in time by it may have ended by the store's, and is not
 * therefore a replay
 */
export async function claimOnce(claims: ClaimStore, use: SingleUse, { nonce, cutoffs }: ClaimFacts): Promise<void> {
  if (use.holder !== undefined) return claimAsHolder(claims, use, use.holder, cutoffs)
  const isSince = isRemembered(use, cutoffs)
  if (isSince && (await claims.claim(use.key, nonce, use.expiresAtMs))) return
  cutoffs.assertFresh()
  if (use.slot === 'actor_token') {
    throw new Rejection('actor_token_unacceptable', 'this actor_token was used before: sign a new one with a new jti')
  }
  if (use.slot === 'assertion') {
    throw new Rejection('assertion_replayed', 'this assertion was used before: get a new one from its issuer')
  }
  if (use.slot === 'sign_in') {
    throw new Rejection('bearer_invalid', 'this token was used to sign in before: get a new one from its issuer')
  }
  if (use.slot === 'dpop_proof') {
    throw new Rejection('dpop_proof_replayed', 'this DPoP proof was used before: sign a new one with a new jti')
  }
  throw new Rejection('client_assertion_replayed', 'this assertion was used before: sign a new one with a new jti')
}

/** Held by the first who shows it, in one atomic write; whether it is too old by now is asked of the cut-offs by its user. */
async function claimAsHolder(
  claims: ClaimStore,
  use: SingleUse,
  holder: string,
  cutoffs: ClaimFacts['cutoffs'],
): Promise<void> {
  if (isRemembered(use, cutoffs) && (await claims.claim(use.key, holder, use.expiresAtMs))) return
  cutoffs.assertFresh()
  throw new Rejection(
    BOUND[use.slot],
    'this token was first shown with another key, or with none: show it with the same',
  )
}

/** Whether the store would know if it had been used: it was issued after all that was lost. */
function isRemembered({ key, issuedAtMs }: SingleUse, { set }: ClaimFacts['cutoffs']): boolean {
  const forgottenAtMs = set.forgottenAtMs(key)
  return forgottenAtMs === 0 || issuedAtMs > forgottenAtMs + CLOCK_SKEW_S * 1000
}

const BOUND: Readonly<Record<SingleUse['slot'], RejectionReason>> = {
  client_assertion: 'client_assertion_bound',
  assertion: 'assertion_bound',
  subject_token: 'subject_token_bound',
  actor_token: 'actor_token_unacceptable',
  dpop_proof: 'dpop_proof_replayed',
  sign_in: 'bearer_invalid',
}
