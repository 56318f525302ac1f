/** Single-use ids: one atomic write, after all cryptography, before the decision. */
import { Rejection } from '../kernel/rejection.ts'
import type { SingleUse } from '../model/evidence.ts'
import type { ClaimStore } from '../store/ports.ts'

/**
 * @param nonce the request's own: a retry within the request sees its claim as its own
 * @throws Rejection `client_assertion_replayed`, `actor_token_unacceptable`
 */
export async function claimOnce(claims: ClaimStore, use: SingleUse, nonce: string): Promise<void> {
  if (await claims.claim(use.key, nonce, use.expiresAtMs)) return
  if (use.slot === 'actor_token') {
    throw new Rejection('actor_token_unacceptable', 'this actor_token was used before: sign a new one with a new jti')
  }
  throw new Rejection('client_assertion_replayed', 'this assertion was used before: sign a new one with a new jti')
}
