/**
 * What the sender of a request proves to hold beside its client authentication: keys that tokens are bound to. Nothing is
 * computed where no proof is sent.
 *
 * Validates: a DPoP proof, for this request (`jose/dpop-proof.ts`).
 * Does not validate: that it is seen for the first time (`singleUse`: the caller claims it); whether anything demands it.
 */
import { verifyDpopProof } from '../jose/dpop-proof.ts'
import { sha256 } from '../kernel/digest.ts'
import { CLOCK_SKEW_S, DPOP_PROOF_AGE_S_MAX } from '../kernel/limits.ts'
import type { Secret } from '../kernel/secret.ts'
import type { ProvenKeys } from '../model/confirmation.ts'
import type { RequestFacts } from '../model/request-facts.ts'
import { inSlot } from './jwt-refusals.ts'
import { verified } from './verified.ts'

export interface ProofContext {
  readonly method: string
  /** The endpoint asked, as clients know it. */
  readonly url: string
  /** The token that is presented with the proof; `undefined`: none is. */
  readonly token: Secret | undefined
  /** Epoch seconds. */
  readonly now: number
}

const NOTHING: ProvenKeys = verified({ keys: [], singleUse: undefined })

/** @throws Rejection `dpop_proof_invalid` */
export async function provenKeys(facts: Pick<RequestFacts, 'dpopProof'>, context: ProofContext): Promise<ProvenKeys> {
  const { dpopProof } = facts
  if (dpopProof === undefined) return NOTHING
  const { jkt, jti, issuedAt } = await inSlot('dpop_proof', () => verifyDpopProof(dpopProof, context))
  return verified({
    keys: [{ kind: 'jkt', thumbprint: jkt }],
    singleUse: {
      slot: 'dpop_proof',
      // RFC 9449 §11.1: unique per URL. Of the key too, so that nobody can use up what another will send.
      key: `dpop:${sha256(`${context.url}\n${jkt}\n${jti}`)}`,
      issuedAtMs: issuedAt * 1000,
      expiresAtMs: (issuedAt + DPOP_PROOF_AGE_S_MAX + 2 * CLOCK_SKEW_S) * 1000,
    },
  })
}
