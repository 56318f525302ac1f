/**
 * A token presented at an endpoint of the broker's own, and how: as a bearer token, or with the proof of the key it is bound to.
 *
 * Validates: a bound token is never taken as a bearer token, nor an unbound one with a proof (RFC 9449 §7.1, §7.2); the proof
 * is for this request, this token (`ath`) and by its key.
 * Does not validate: the token itself; that the proof is seen for the first time (the caller claims what this returns).
 */
import { Rejection } from '../../kernel/rejection.ts'
import type { Secret } from '../../kernel/secret.ts'
import { type Confirmation, isSameKey } from '../../model/confirmation.ts'
import type { SingleUse } from '../../model/evidence.ts'
import type { RequestFacts } from '../../model/request-facts.ts'
import { type ProofContext, provenKeys } from './possession.ts'

export interface PresentedToken {
  readonly token: Secret
  /** Of `Authorization`. */
  readonly scheme: 'bearer' | 'dpop'
  readonly method: string
  /** The endpoint asked, as clients know it. */
  readonly url: string
  readonly facts: RequestFacts
}

/** @throws Rejection `bearer_bound`, `bearer_invalid`, `dpop_*` */
export async function provePossession(
  presented: PresentedToken,
  bound: Confirmation | undefined,
  at: Pick<ProofContext, 'nonces' | 'now'>,
): Promise<SingleUse | undefined> {
  const { scheme, method, url, token, facts } = presented
  if (bound === undefined) {
    if (scheme === 'bearer') return undefined
    throw new Rejection('bearer_invalid', 'a token that is bound to no key is not presented with the scheme DPoP')
  }
  if (scheme !== (bound.kind === 'jkt' ? 'dpop' : 'bearer')) throw unproven()
  const { keys, certificate, singleUse } = await provenKeys(facts, { ...at, method, url, token })
  if (![...keys, certificate].some((key) => key !== undefined && isSameKey(key, bound))) throw unproven()
  return singleUse
}

function unproven(): Rejection {
  return new Rejection(
    'bearer_bound',
    'this token is bound to a key: send it with the scheme DPoP and a proof by that key (RFC 9449 section 7.1), or over TLS with that certificate (RFC 8705 section 3)',
  )
}
