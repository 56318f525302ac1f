/**
 * Which key the answer is bound to (RFC 9449 §5, RFC 8705 §3). A bound parent never yields a bearer child: its own key is
 * proven again, or, where it is handed on, the one it is handed to proves a key of its own.
 *
 * A DPoP proof always binds: whoever makes one wants that. The certificate of the connection binds where its client is registered
 * for it, where the resource demands a bound token, and where the subject is bound; not session tokens, because one
 * is worth nothing without its client's authentication, and outlives the certificate of a workload.
 */
import { Rejection } from '../kernel/rejection.ts'
import type { Client } from '../model/client.ts'
import { type Confirmation, isSameKey, type ProvenKeys, type SenderConstraint } from '../model/confirmation.ts'
import type { SubjectEvidence } from '../model/evidence.ts'
import type { LiveSession } from '../sessions/session-repository.ts'
import type { Issue } from './flow.ts'

/** What the subject of the request demands of whoever presents it. */
export function constraintOf(evidence: SubjectEvidence, live: LiveSession | undefined): SenderConstraint | undefined {
  if (evidence.kind === 'user') return evidence.confirmation
  // The key is its sender's, who has proven it to the server; what comes of it must not be the weaker for it.
  if (evidence.kind === 'access') return evidence.confirmation === undefined ? undefined : { kind: 'own_key' }
  return live?.node.senderConstraint
}

/**
 * @returns the key of what is issued; `undefined`: a bearer token.
 * @throws Rejection `subject_token_unproven`, `sender_constraint_required`
 */
export function bindTo(
  demanded: SenderConstraint | undefined,
  { keys, certificate }: ProvenKeys,
  { certificateBound }: Pick<Client, 'certificateBound'>,
): Confirmation | undefined {
  const own = keys[0] ?? certificate
  if (demanded === undefined) return certificateBound ? (own ?? refuseUnbound()) : keys[0]
  if (demanded.kind === 'own_key') {
    if (own !== undefined) return own
    const missing = 'a DPoP proof, or a TLS connection with a certificate, by a key of your own'
    throw unproven('what this comes from is bound to a key', missing)
  }
  const proven = [...keys, certificate].find((key) => key !== undefined && isSameKey(key, demanded))
  if (proven !== undefined) return proven
  const what = demanded.kind === 'jkt' ? 'a DPoP proof by that key' : 'a TLS connection with that certificate'
  throw unproven('the subject token is bound to a key, and this request does not prove it', what)
}

/** What the use of a node demands whose opening or acceptance was bound to this key. */
export function constraintFrom(key: Confirmation | undefined): SenderConstraint | undefined {
  return key?.kind === 'x5t#S256' ? { kind: 'own_key' } : key
}

/** RFC 8705 §3.4: a client that wants bound tokens must not be given one that is not, because its connection has lost something. */
function refuseUnbound(): never {
  throw unbound('this client is registered for tokens that are bound to its certificate')
}

function unproven(what: string, missing: string): Rejection {
  return new Rejection('subject_token_unproven', what, { missing: [missing] })
}

function unbound(what: string): Rejection {
  return new Rejection('sender_constraint_required', what, {
    missing: [
      'a DPoP proof (RFC 9449) in the header DPoP of this request, or a TLS connection with a certificate (RFC 8705)',
    ],
  })
}

/** What is issued, with the key that its resource demands. @throws Rejection `sender_constraint_required` */
export function withDemandedKey({ mint, order, ...rest }: Issue, { certificate }: ProvenKeys): Issue {
  const bound = (confirmation: Confirmation | undefined): Issue => ({
    ...rest,
    mint,
    order: { ...order, confirmation },
  })
  const { confirmation } = order
  if (!('resource' in mint)) return bound(confirmation?.kind === 'x5t#S256' ? undefined : confirmation)
  const key = confirmation ?? (mint.resource.senderConstraint === 'required' ? certificate : undefined)
  if (key !== undefined || mint.resource.senderConstraint === 'optional') return bound(key)
  throw unbound('this resource takes only tokens that are bound to a key')
}
