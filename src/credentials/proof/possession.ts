/**
 * What the sender of a request proves to hold beside its client authentication: keys that tokens are bound to. Nothing is
 * computed where no proof is sent.
 *
 * Validates: a DPoP proof, for this request (`jose/dpop-proof.ts`), and its nonce where one is required.
 * Does not validate: the certificate of the TLS connection, whose handshake has proven its key and which need not be anybody's
 * (RFC 8705 §3); that a DPoP proof is seen for the first time (`singleUse`: the caller claims it); whether anything demands it.
 */
import { verifyDpopProof } from '../../jose/dpop-proof.ts'
import { DPOP_PROOF_AGE_S_MAX } from '../../kernel/credential-limits.ts'
import { sha256 } from '../../kernel/digest.ts'
import { CLOCK_SKEW_S } from '../../kernel/limits.ts'
import { Rejection } from '../../kernel/rejection.ts'
import type { Secret } from '../../kernel/secret.ts'
import type { Confirmation, ProvenKeys } from '../../model/confirmation.ts'
import type { RequestFacts } from '../../model/request-facts.ts'
import { inSlot } from '../jwt-refusals.ts'
import { verified } from '../verified.ts'
import type { DpopNonces } from './dpop-nonces.ts'

export interface ProofContext {
  readonly method: string
  /** The endpoint asked, as clients know it. */
  readonly url: string
  /** Where certificates are asked for at a URL of their own, that URL of the same endpoint. */
  readonly alias?: string | undefined
  /** The token that is presented with the proof; `undefined`: none is. */
  readonly token: Secret | undefined
  /** Where proofs must carry one of ours; `undefined`: they need none. */
  readonly nonces: Pick<DpopNonces, 'isGood'> | undefined
  /** Epoch seconds. */
  readonly now: number
}

type Shown = Pick<RequestFacts, 'dpopProof' | 'certificates'>

/** @throws Rejection `dpop_proof_invalid`, `dpop_nonce_required`; StoreUnavailable */
export async function provenKeys({ dpopProof, certificates }: Shown, context: ProofContext): Promise<ProvenKeys> {
  const certificate = certificateKey(certificates)
  if (dpopProof === undefined) return verified({ keys: [], certificate, singleUse: undefined })
  const { jkt, jti, issuedAt, nonce } = await inSlot('dpop_proof', () => verifyDpopProof(dpopProof, context))
  // Only of a proof that is one: a client is told once, and a stranger not at all (RFC 9449 §8).
  if (context.nonces !== undefined && (nonce === undefined || !(await context.nonces.isGood(nonce)))) {
    throw new Rejection(
      'dpop_nonce_required',
      'put the nonce of the header DPoP-Nonce into the proof, and send it again',
    )
  }
  return verified({
    keys: [{ kind: 'jkt', thumbprint: jkt }],
    certificate,
    singleUse: {
      slot: 'dpop_proof',
      // RFC 9449 §11.1: unique per URL. Of the key too, so that nobody can use up what another will send.
      key: `dpop:${sha256(`${context.url}\n${jkt}\n${jti}`)}`,
      issuedAtMs: issuedAt * 1000,
      expiresAtMs: (issuedAt + DPOP_PROOF_AGE_S_MAX + 2 * CLOCK_SKEW_S) * 1000,
    },
  })
}

/** RFC 8705 §3.1. */
function certificateKey(certificates: RequestFacts['certificates']): Confirmation | undefined {
  const own = certificates === 'unreadable' ? undefined : certificates?.[0]
  return own === undefined ? undefined : { kind: 'x5t#S256', thumbprint: sha256(own) }
}
