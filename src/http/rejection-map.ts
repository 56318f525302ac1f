/**
 * The one place where a reason becomes a wire answer (RFC 6749 §5.2, RFC 8693 §2.2.2, RFC 8707 §2, RFC 9396 §5, RFC 6750
 * §3.1, RFC 7009 §2.2.1). Exhaustive: a new reason does not compile until it is mapped. A bad subject or actor token is
 * `invalid_request` whatever was bad about it, as RFC 8693 §2.2.2 demands; the same of an assertion that is the grant is
 * `invalid_grant` (RFC 7523 §3.1).
 */
import type { Rejection, RejectionReason } from '../kernel/rejection.ts'
import type { OAuthError } from '../protocol/oauth.ts'

export interface WireError {
  readonly status: 400 | 401 | 403 | 404 | 405 | 408 | 409 | 412 | 413 | 428 | 429 | 431 | 500 | 503
  readonly error: OAuthError
}

const BAD_REQUEST = { status: 400, error: 'invalid_request' } as const
/** What is wrong with whom or what the request brings as evidence. */
const BAD_EVIDENCE = { status: 400, error: 'invalid_request' } as const
const BAD_GRANT = { status: 400, error: 'invalid_grant' } as const
const BAD_CLIENT = { status: 401, error: 'invalid_client' } as const
const BAD_DETAILS = { status: 400, error: 'invalid_authorization_details' } as const
const BAD_TARGET = { status: 400, error: 'invalid_target' } as const
const BAD_SCOPE = { status: 400, error: 'invalid_scope' } as const
const BAD_BEARER = { status: 401, error: 'invalid_token' } as const
/** RFC 9449 §5. */
const BAD_PROOF = { status: 400, error: 'invalid_dpop_proof' } as const
/** RFC 6585 §4; OAuth has no code of its own for it. */
const TOO_MANY = { status: 429, error: 'temporarily_unavailable' } as const
const LATER = { status: 503, error: 'temporarily_unavailable' } as const

export const WIRE: Readonly<Record<RejectionReason, WireError>> = {
  request_malformed: BAD_REQUEST,
  request_timeout: { status: 408, error: 'invalid_request' },
  headers_too_large: { status: 431, error: 'invalid_request' },
  connections_exceeded: LATER,
  route_unknown: { status: 404, error: 'not_found' },
  method_not_allowed: { status: 405, error: 'invalid_request' },
  media_type_unsupported: BAD_REQUEST,
  body_too_large: { status: 413, error: 'invalid_request' },
  body_malformed: BAD_REQUEST,
  parameter_duplicated: BAD_REQUEST,
  parameter_missing: BAD_REQUEST,
  parameter_malformed: BAD_REQUEST,
  token_malformed: BAD_REQUEST,
  grant_type_unsupported: { status: 400, error: 'unsupported_grant_type' },
  response_type_unsupported: { status: 400, error: 'unsupported_response_type' },
  source_limited: TOO_MANY,
  source_client_limited: TOO_MANY,
  strangers_limited: TOO_MANY,
  client_limited: TOO_MANY,
  issuer_limited: TOO_MANY,
  issuance_limited: TOO_MANY,
  streams_exceeded: TOO_MANY,
  client_authentication_missing: BAD_CLIENT,
  client_authentication_ambiguous: BAD_REQUEST,
  client_assertion_type_unsupported: BAD_CLIENT,
  client_assertion_malformed: BAD_CLIENT,
  client_unknown: BAD_CLIENT,
  client_ambiguous: BAD_CLIENT,
  client_assertion_signature: BAD_CLIENT,
  client_assertion_audience: BAD_CLIENT,
  client_assertion_expired: BAD_CLIENT,
  client_assertion_lifetime: BAD_CLIENT,
  client_assertion_claims: BAD_CLIENT,
  client_assertion_replayed: BAD_CLIENT,
  client_assertion_bound: BAD_CLIENT,
  client_assertion_revoked: BAD_CLIENT,
  client_keys_unavailable: LATER,
  client_metadata_refused: BAD_CLIENT,
  client_authentication_unsupported: BAD_CLIENT,
  client_secret_malformed: BAD_CLIENT,
  client_secret_wrong: BAD_CLIENT,
  client_secret_expired: BAD_CLIENT,
  api_key_malformed: BAD_CLIENT,
  api_key_wrong: BAD_CLIENT,
  api_key_expired: BAD_CLIENT,
  api_key_target: BAD_TARGET,
  client_certificate_malformed: BAD_CLIENT,
  client_certificate_client_id: BAD_CLIENT,
  client_certificate_expired: BAD_CLIENT,
  client_certificate_untrusted: BAD_CLIENT,
  client_certificate_unacceptable: BAD_CLIENT,
  grant_type_not_allowed: { status: 400, error: 'unauthorized_client' },
  agent_inactive: BAD_EVIDENCE,
  certification_overdue: BAD_EVIDENCE,
  agent_orphaned: BAD_EVIDENCE,
  service_inactive: BAD_REQUEST,
  dpop_proof_invalid: BAD_PROOF,
  dpop_proof_replayed: BAD_PROOF,
  dpop_nonce_required: { status: 400, error: 'use_dpop_nonce' },
  subject_token_type_unsupported: BAD_EVIDENCE,
  requested_token_type_unsupported: BAD_REQUEST,
  saml_unsupported: BAD_REQUEST,
  subject_issuer_unknown: BAD_EVIDENCE,
  subject_issuer_unavailable: LATER,
  subject_issuer_mismatch: BAD_REQUEST,
  subject_token_wrong_type: BAD_EVIDENCE,
  subject_token_signature: BAD_EVIDENCE,
  subject_token_expired: BAD_EVIDENCE,
  subject_token_inactive: BAD_EVIDENCE,
  subject_token_not_yet_valid: BAD_EVIDENCE,
  subject_token_audience: BAD_EVIDENCE,
  subject_token_claims: BAD_EVIDENCE,
  subject_token_revoked: BAD_EVIDENCE,
  subject_token_presenter: BAD_EVIDENCE,
  subject_token_unproven: BAD_EVIDENCE,
  subject_token_bound: BAD_EVIDENCE,
  workload_unmatched: BAD_EVIDENCE,
  workload_ambiguous: BAD_EVIDENCE,
  workload_review_unavailable: LATER,
  subject_scope_undeclared: BAD_EVIDENCE,
  may_act_mismatch: BAD_EVIDENCE,
  foreign_actor_not_accepted: BAD_EVIDENCE,
  actor_token_unacceptable: BAD_REQUEST,
  actor_mismatch: BAD_REQUEST,
  actor_chain_malformed: BAD_EVIDENCE,
  actor_chain_too_deep: BAD_EVIDENCE,
  actor_chain_cycle: BAD_EVIDENCE,
  assertion_malformed: BAD_GRANT,
  assertion_replayed: BAD_GRANT,
  assertion_bound: BAD_GRANT,
  assertion_revoked: BAD_GRANT,
  assertion_client: BAD_GRANT,
  assertion_target: BAD_GRANT,
  user_not_listed: BAD_EVIDENCE,
  user_inactive: BAD_EVIDENCE,
  evidence_blocked: BAD_EVIDENCE,
  principal_blocked: BAD_EVIDENCE,
  session_absent: BAD_REQUEST,
  session_not_issuing: BAD_REQUEST,
  session_expired: BAD_REQUEST,
  node_revoked: BAD_REQUEST,
  delegation_consumed: BAD_REQUEST,
  nodes_per_session_exceeded: BAD_REQUEST,
  delegate_unknown: BAD_TARGET,
  delegate_not_allowed: BAD_REQUEST,
  delegation_depth_exceeded: BAD_REQUEST,
  delegation_not_narrower: BAD_SCOPE,
  calls_exhausted: { status: 403, error: 'insufficient_scope' },
  attempt_reused: { status: 409, error: 'invalid_request' },
  outcome_conflict: { status: 409, error: 'invalid_request' },
  target_missing: BAD_REQUEST,
  target_ambiguous: BAD_TARGET,
  resource_malformed: BAD_TARGET,
  resource_unknown: BAD_TARGET,
  resource_inactive: BAD_TARGET,
  resource_unreviewed: BAD_TARGET,
  resource_elsewhere: BAD_TARGET,
  authorization_server_unknown: BAD_TARGET,
  resource_not_in_session: BAD_TARGET,
  resource_cannot_enforce: BAD_TARGET,
  sender_constraint_required: BAD_EVIDENCE,
  scope_malformed: BAD_SCOPE,
  nothing_granted: BAD_SCOPE,
  details_malformed: BAD_DETAILS,
  details_unknown: BAD_DETAILS,
  details_widening: BAD_DETAILS,
  details_empty: BAD_DETAILS,
  intent_missing: BAD_DETAILS,
  intent_unexpected: BAD_DETAILS,
  standing_intent_missing: BAD_DETAILS,
  token_too_large: BAD_DETAILS,
  bearer_missing: BAD_BEARER,
  bearer_invalid: BAD_BEARER,
  bearer_bound: BAD_BEARER,
  bearer_scope: { status: 403, error: 'insufficient_scope' },
  admin_forbidden: { status: 403, error: 'insufficient_scope' },
  sign_in_too_old: { status: 401, error: 'insufficient_user_authentication' }, // RFC 9470 §3
  precondition_missing: { status: 428, error: 'invalid_request' }, // RFC 6585 §3
  object_changed: { status: 412, error: 'invalid_request' },
  object_read_only: { status: 409, error: 'invalid_request' },
  transition_illegal: { status: 409, error: 'invalid_request' },
  not_found: { status: 404, error: 'not_found' },
  token_type_not_revocable: { status: 400, error: 'unsupported_token_type' },
  token_of_another_client: BAD_REQUEST,
  external_policy_unavailable: LATER,
  store_unavailable: LATER,
  write_unreplicated: LATER,
  audit_unavailable: LATER,
  cutoffs_stale: LATER,
  keys_not_ready: LATER,
  policy_unavailable: LATER,
  policy_invalid: BAD_REQUEST,
  policy_contended: LATER,
  challenge_not_approvable: BAD_REQUEST,
  challenge_same_person: { status: 403, error: 'insufficient_scope' },
}

export function wireOf({ reason, ofGrant }: Rejection): WireError {
  const wire = WIRE[reason]
  return ofGrant && wire === BAD_EVIDENCE ? BAD_GRANT : wire
}
