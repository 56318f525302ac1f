/**
 * Rejection: an expected refusal. Reasons state the fact, are stable on the wire (`error_reason`) and closed: a new one
 * breaks the build until `http/rejection-map.ts` maps it, and `test/tidy.test.ts` until a test names it.
 *
 * Thrown, not returned: a forgotten check of a result fails open, a forgotten `catch` fails closed. Anything thrown that is
 * not a Rejection is a fault of ours and becomes `server_error`.
 */

import type { PrincipalId } from './ids.ts'

export const REASONS = [
  // the request, before anyone is known
  'request_malformed',
  'request_timeout',
  'headers_too_large',
  'connections_exceeded',
  'route_unknown',
  'method_not_allowed',
  'media_type_unsupported',
  'body_too_large',
  'body_malformed',
  'parameter_duplicated',
  'parameter_missing',
  'parameter_malformed',
  'token_malformed',
  'grant_type_unsupported',
  'response_type_unsupported',
  // admission
  'source_limited',
  'source_client_limited',
  'strangers_limited',
  'client_limited',
  'issuer_limited',
  'issuance_limited',
  'streams_exceeded',
  // the client
  'client_authentication_missing',
  'client_authentication_ambiguous',
  'client_assertion_type_unsupported',
  'client_assertion_malformed',
  'client_unknown',
  'client_ambiguous',
  'client_assertion_signature',
  'client_assertion_audience',
  'client_assertion_expired',
  'client_assertion_lifetime',
  'client_assertion_claims',
  'client_assertion_replayed',
  'client_assertion_bound',
  'client_assertion_revoked',
  'client_keys_unavailable',
  'client_metadata_refused',
  'client_authentication_unsupported',
  'client_secret_malformed',
  'client_secret_wrong',
  'client_secret_expired',
  'api_key_malformed',
  'api_key_wrong',
  'api_key_expired',
  'api_key_target',
  'client_certificate_malformed',
  'client_certificate_client_id',
  'client_certificate_expired',
  'client_certificate_untrusted',
  'client_certificate_unacceptable',
  'grant_type_not_allowed',
  'agent_inactive',
  'certification_overdue',
  'agent_orphaned',
  'service_inactive',
  'dpop_proof_invalid',
  'dpop_proof_replayed',
  'dpop_nonce_required',
  // the subject and the actor
  'subject_token_type_unsupported',
  'requested_token_type_unsupported',
  'saml_unsupported',
  'subject_issuer_unknown',
  'subject_issuer_unavailable',
  'subject_issuer_mismatch',
  'subject_token_wrong_type',
  'subject_token_signature',
  'subject_token_expired',
  'subject_token_inactive',
  'subject_token_not_yet_valid',
  'subject_token_audience',
  'subject_token_claims',
  'subject_token_revoked',
  'subject_token_presenter',
  'subject_token_unproven',
  'subject_token_bound',
  'workload_unmatched',
  'workload_ambiguous',
  'workload_review_unavailable',
  'subject_scope_undeclared',
  'may_act_mismatch',
  'foreign_actor_not_accepted',
  'actor_token_unacceptable',
  'actor_mismatch',
  'actor_chain_malformed',
  'actor_chain_too_deep',
  'actor_chain_cycle',
  'assertion_malformed',
  'assertion_replayed',
  'assertion_bound',
  'assertion_revoked',
  'assertion_client',
  'assertion_target',
  'user_not_listed',
  'user_inactive',
  'evidence_blocked',
  'principal_blocked',
  // the session
  'session_absent',
  'session_not_issuing',
  'session_expired',
  'node_revoked',
  'delegation_consumed',
  'nodes_per_session_exceeded',
  'delegate_unknown',
  'delegate_not_allowed',
  'delegation_depth_exceeded',
  'delegation_not_narrower',
  // the call
  'calls_exhausted',
  'budget_exhausted',
  'attempt_reused',
  'outcome_conflict',
  // the target
  'target_missing',
  'target_ambiguous',
  'resource_malformed',
  'resource_unknown',
  'resource_inactive',
  'resource_unreviewed',
  'resource_elsewhere',
  'authorization_server_unknown',
  'resource_not_in_session',
  'resource_cannot_enforce',
  'sender_constraint_required',
  // what is asked for
  'scope_malformed',
  'nothing_granted',
  'details_malformed',
  'details_unknown',
  'details_widening',
  'details_empty',
  'intent_missing',
  'intent_unexpected',
  'standing_intent_missing',
  'correlation_missing',
  'token_too_large',
  // bearer-protected endpoints
  'bearer_missing',
  'bearer_invalid',
  'bearer_bound',
  'bearer_scope',
  'admin_forbidden',
  'sign_in_too_old',
  'precondition_missing',
  'object_changed',
  'object_read_only',
  'transition_illegal',
  'review_same_person',
  'not_found',
  'token_type_not_revocable',
  'token_of_another_client',
  // not certain
  'external_policy_unavailable',
  'store_unavailable',
  'write_unreplicated',
  'audit_unavailable',
  'capture_unavailable',
  'cutoffs_stale',
  'keys_not_ready',
  'policy_unavailable',
  // publishing a policy
  'policy_invalid',
  'policy_contended',
  // resolving a challenge
  'challenge_not_approvable',
  'challenge_same_person',
  // a person's yes to a call
  'approval_required',
  'approval_denied',
  'approval_arguments',
  'approvals_exceeded',
  'approval_over',
  'approval_same_person',
  'approval_person_unknown',
] as const

export type RejectionReason = (typeof REASONS)[number]

export interface RejectionExtras {
  /** What would have been needed, one line each: "tool drop_table at https://… is not delegable to agents". */
  readonly missing?: readonly string[]
  readonly retryAfterSeconds?: number
  /** What failed underneath; for the log only, never for the wire. */
  readonly cause?: unknown
  /** Whom the refused request was authenticated as: its record is theirs, though they may do nothing here. */
  readonly by?: PrincipalId
  /** Set where the evidence refused is an authorization grant (RFC 7523 §3.1): its wire code is another. */
  readonly ofGrant?: boolean
}

export class Rejection extends Error {
  readonly reason: RejectionReason
  readonly missing: readonly string[]
  readonly retryAfterSeconds: number | undefined
  readonly by: PrincipalId | undefined
  readonly ofGrant: boolean

  /** @param description for the developer who reads the response: what is wrong and what to do; never token text. */
  constructor(reason: RejectionReason, description: string, extras: RejectionExtras = {}) {
    super(description, extras.cause === undefined ? undefined : { cause: extras.cause })
    this.name = 'Rejection'
    this.reason = reason
    this.missing = extras.missing ?? []
    this.retryAfterSeconds = extras.retryAfterSeconds
    this.by = extras.by
    this.ofGrant = extras.ofGrant ?? false
  }
}

/** The arm a `switch` over a closed union falls to when the union was widened by a cast: always a fault, never a grant. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`)
}
