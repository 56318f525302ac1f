/** Keys that tokens are bound to (RFC 9449, RFC 8705), and what a request has proven of them. */
import type { Confirmation } from '../jose/cnf.ts'
import type { SingleUse, Verified } from './evidence.ts'

export type { Confirmation } from '../jose/cnf.ts'

/**
 * What whoever uses a node must prove: that they hold this key; or a key of their own, whichever: while a delegation from a
 * bound parent waits to be accepted, and for good where the key is a certificate's, which workloads renew within the hour.
 */
export type SenderConstraint = Confirmation | { readonly kind: 'own_key' }

/** Keys whose possession the sender of one request has proven. */
export type ProvenKeys = Verified<{
  /** Proven for this request: what is issued is bound to the first. Empty: none. */
  readonly keys: readonly Confirmation[]
  /**
   * Of the certificate shown in the TLS handshake. A mesh shows one for everybody, whatever they ask: what is issued is bound to
   * it only where its client, its resource or its subject demand that.
   */
  readonly certificate: Confirmation | undefined
  /** The proof itself, where it is one that must not be seen twice. */
  readonly singleUse: SingleUse | undefined
}>

export function isSameKey(one: Confirmation, other: Confirmation): boolean {
  return one.kind === other.kind && one.thumbprint === other.thumbprint
}

/** RFC 7800 §3.1. */
export function cnfClaim({ kind, thumbprint }: Confirmation): Readonly<Record<string, string>> {
  return { [kind]: thumbprint }
}
