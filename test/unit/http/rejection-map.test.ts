import { describe, expect, it } from 'vitest'
import { WIRE, wireOf } from '../../../src/http/rejection-map.ts'
import { REASONS, Rejection, type RejectionReason } from '../../../src/kernel/rejection.ts'

/**
 * RFC 6749 §5.2 and §4.1.2.1, RFC 8693 §2.2.2, RFC 8707 §2, RFC 9396 §5, RFC 6750 §3.1, RFC 7009 §2.2.1, RFC 9449 §5,
 * RFC 9470 §3; of the admin API RFC 9110 §15.5.10 and §15.5.13, RFC 6585 §3.
 */
const STATUS: Readonly<Record<string, readonly number[]>> = {
  invalid_request: [400, 405, 408, 409, 412, 413, 428, 431],
  invalid_client: [401],
  invalid_grant: [400],
  invalid_scope: [400],
  invalid_target: [400],
  invalid_authorization_details: [400],
  invalid_dpop_proof: [400],
  use_dpop_nonce: [400],
  unauthorized_client: [400],
  unsupported_grant_type: [400],
  unsupported_response_type: [400],
  unsupported_token_type: [400],
  invalid_token: [401],
  insufficient_scope: [403],
  insufficient_user_authentication: [401],
  not_found: [404],
  temporarily_unavailable: [429, 503],
}

const wire = (reason: RejectionReason) => [WIRE[reason].status, WIRE[reason].error]
const startingWith = (...prefixes: string[]) =>
  REASONS.filter((reason) => prefixes.some((prefix) => reason.startsWith(prefix)))

describe('the rejection map', () => {
  it('maps every reason, and nothing that is no reason', () => {
    expect(Object.keys(WIRE).sort()).toEqual([...REASONS].sort())
    expect(new Set(REASONS).size).toBe(REASONS.length)
  })

  it.each(REASONS)('gives %s an OAuth error with the status that its RFC asks for', (reason) => {
    const { status, error } = WIRE[reason]
    expect(STATUS[error]).toContain(status)
  })

  it('answers a bad subject or actor with invalid_request, whatever was bad about it (RFC 8693 §2.2.2)', () => {
    const bad = startingWith('subject_', 'actor_', 'may_act', 'foreign_', 'user_', 'session_', 'node_', 'evidence_')
    const uncertain: readonly RejectionReason[] = ['subject_issuer_unavailable']
    expect(bad.length).toBeGreaterThan(20)
    for (const reason of bad) {
      if (!uncertain.includes(reason)) expect([reason, ...wire(reason)]).toEqual([reason, 400, 'invalid_request'])
    }
  })

  it('answers the same of an assertion that is the grant with invalid_grant, and all else as ever (RFC 7523 §3.1)', () => {
    const ofGrant = (reason: RejectionReason) => wireOf(new Rejection(reason, 'why', { ofGrant: true })).error
    for (const reason of startingWith(
      'subject_token_',
      'actor_chain_',
      'user_',
      'evidence_',
      'principal_',
      'assertion_',
    )) {
      expect([reason, ofGrant(reason)]).toEqual([reason, 'invalid_grant'])
    }
    for (const reason of startingWith('client_', 'parameter_', 'resource_', 'details_', 'store_')) {
      expect([reason, ofGrant(reason)]).toEqual([reason, WIRE[reason].error])
    }
  })

  it('answers everything about the client’s credential with 401 invalid_client (RFC 6749 §5.2)', () => {
    const others = ['client_authentication_ambiguous', 'client_keys_unavailable', 'client_limited']
    const reasons = startingWith('client_').filter((reason) => !others.includes(reason))
    for (const reason of reasons) expect([reason, ...wire(reason)]).toEqual([reason, 401, 'invalid_client'])
    expect(wire('client_authentication_ambiguous')).toEqual([400, 'invalid_request'])
    expect(wire('client_keys_unavailable')).toEqual([503, 'temporarily_unavailable'])
    expect(wire('client_limited')).toEqual([429, 'temporarily_unavailable'])
    expect(wire('grant_type_not_allowed')).toEqual([400, 'unauthorized_client'])
  })

  it('answers what is not certain with 503, which clients repeat', () => {
    const uncertain: RejectionReason[] = [
      'store_unavailable',
      'audit_unavailable',
      'capture_unavailable',
      'cutoffs_stale',
      'keys_not_ready',
    ]
    for (const reason of [...uncertain, 'subject_issuer_unavailable'] as const) {
      expect([reason, ...wire(reason)]).toEqual([reason, 503, 'temporarily_unavailable'])
    }
  })

  it('answers targets, scopes and details with their own errors', () => {
    for (const reason of startingWith('resource_'))
      expect([reason, WIRE[reason].error]).toEqual([reason, 'invalid_target'])
    for (const reason of startingWith('scope_')) expect([reason, WIRE[reason].error]).toEqual([reason, 'invalid_scope'])
    for (const reason of startingWith('details_', 'intent_')) {
      expect([reason, WIRE[reason].error]).toEqual([reason, 'invalid_authorization_details'])
    }
    expect(wire('target_ambiguous')).toEqual([400, 'invalid_target'])
    expect(wire('target_missing')).toEqual([400, 'invalid_request'])
  })
})
