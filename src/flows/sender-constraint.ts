/**
 * Which key the answer is bound to (RFC 9449 §5, RFC 8705 §3). A bound parent never yields a bearer child: its own key is
 * proven again, or, where it is handed on, the one it is handed to proves a key of its own.
 */
import { Rejection } from '../kernel/rejection.ts'
import { type Confirmation, isSameKey, type ProvenKeys, type SenderConstraint } from '../model/confirmation.ts'
import type { SubjectEvidence } from '../model/evidence.ts'
import type { Resource } from '../model/resource.ts'
import type { LiveSession } from '../sessions/session-repository.ts'

/** What the subject of the request demands of whoever presents it. */
export function constraintOf(evidence: SubjectEvidence, live: LiveSession | undefined): SenderConstraint | undefined {
  if (evidence.kind === 'user') return evidence.confirmation
  return live?.node.senderConstraint
}

/** @returns the key of what is issued; `undefined`: a bearer token. @throws Rejection `subject_token_unproven` */
export function bindTo(demanded: SenderConstraint | undefined, { keys }: ProvenKeys): Confirmation | undefined {
  const [preferred] = keys
  if (demanded === undefined) return preferred
  if (demanded.kind === 'own_key') {
    if (preferred !== undefined) return preferred
    throw unproven('this delegation comes from a session that is bound to a key', 'a DPoP proof by a key of your own')
  }
  const proven = keys.find((key) => isSameKey(key, demanded))
  if (proven !== undefined) return proven
  const what = demanded.kind === 'jkt' ? 'a DPoP proof by that key' : 'a TLS connection with that certificate'
  throw unproven('the subject token is bound to a key, and this request does not prove it', what)
}

function unproven(what: string, missing: string): Rejection {
  return new Rejection('subject_token_unproven', what, { missing: [missing] })
}

/** @throws Rejection `sender_constraint_required` */
export function assertResourceBound(resource: Resource, key: Confirmation | undefined): void {
  if (resource.senderConstraint === 'optional' || key !== undefined) return
  throw new Rejection('sender_constraint_required', 'this resource takes only tokens that are bound to a key', {
    missing: ['a DPoP proof (RFC 9449) in the header DPoP of this request'],
  })
}
