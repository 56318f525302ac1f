/**
 * JwtError → Rejection, per slot a token can fill: the same fault of a JWT is another fact when it is a client's assertion,
 * a subject, or a bearer. Exhaustive: a new JwtError code breaks the build here.
 */
import { JwtError, type JwtErrorCode } from '../jose/jwt-error.ts'
import { Rejection, type RejectionReason } from '../kernel/rejection.ts'

export type Slot = 'client_assertion' | 'subject_token' | 'actor_token' | 'assertion' | 'bearer' | 'dpop_proof'

const CLIENT_ASSERTION: Readonly<Record<JwtErrorCode, RejectionReason>> = {
  malformed: 'client_assertion_malformed',
  too_large: 'client_assertion_malformed',
  algorithm: 'client_assertion_signature',
  key: 'client_assertion_signature',
  signature: 'client_assertion_signature',
  typ: 'client_assertion_claims',
  issuer: 'client_assertion_claims',
  audience: 'client_assertion_audience',
  expired: 'client_assertion_expired',
  not_yet_valid: 'client_assertion_claims',
  claims: 'client_assertion_claims',
  lifetime: 'client_assertion_lifetime',
}

const SUBJECT_TOKEN: Readonly<Record<JwtErrorCode, RejectionReason>> = {
  malformed: 'token_malformed',
  too_large: 'token_malformed',
  algorithm: 'subject_token_signature',
  key: 'subject_token_signature',
  signature: 'subject_token_signature',
  typ: 'subject_token_wrong_type',
  issuer: 'subject_issuer_unknown',
  audience: 'subject_token_audience',
  expired: 'subject_token_expired',
  not_yet_valid: 'subject_token_not_yet_valid',
  claims: 'subject_token_claims',
  lifetime: 'subject_token_claims',
}

function reasonFor(slot: Slot, code: JwtErrorCode): RejectionReason {
  switch (slot) {
    case 'client_assertion':
      return CLIENT_ASSERTION[code]
    case 'subject_token':
      return SUBJECT_TOKEN[code]
    case 'assertion':
      return code === 'malformed' || code === 'too_large' ? 'assertion_malformed' : SUBJECT_TOKEN[code]
    case 'actor_token':
      return 'actor_token_unacceptable'
    case 'dpop_proof':
      return 'dpop_proof_invalid'
    case 'bearer':
      return 'bearer_invalid'
  }
}

/** For `catch`: a JwtError becomes the slot's Rejection; anything else is a fault of ours and passes through. */
export function asRejection(slot: Slot, error: unknown): unknown {
  if (!(error instanceof JwtError)) return error
  return new Rejection(reasonFor(slot, error.code), `${slot}: ${error.message}`, { cause: error })
}

/** Runs `work`, its JwtErrors as Rejections of the slot. */
export async function inSlot<T>(slot: Slot, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw asRejection(slot, error)
  }
}
