/** Single-use ids: one atomic write, after all cryptography, before the decision. */
import { CLOCK_SKEW_S } from '../kernel/limits.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { SingleUse } from '../model/evidence.ts'
import type { ClaimStore } from '../store/ports.ts'

/**
 * @param nonce the request's own: a retry within the request sees its claim as its own
 * @param everythingAtMs when everything was cut off last: what was issued before may have been claimed in a store that is lost
 * @throws Rejection `client_assertion_replayed`, `actor_token_unacceptable`
 */
export async function claimOnce(
  claims: ClaimStore,
  use: SingleUse,
  { nonce, everythingAtMs }: { readonly nonce: string; readonly everythingAtMs: number },
): Promise<void> {
  const isSince = use.issuedAtMs > everythingAtMs + CLOCK_SKEW_S * 1000 || everythingAtMs === 0
  if (isSince && (await claims.claim(use.key, nonce, use.expiresAtMs))) return
  if (use.slot === 'actor_token') {
    throw new Rejection('actor_token_unacceptable', 'this actor_token was used before: sign a new one with a new jti')
  }
  throw new Rejection('client_assertion_replayed', 'this assertion was used before: sign a new one with a new jti')
}
