/** Keys that tokens are bound to (RFC 9449, RFC 8705), and what a request has proven of them. */
import type { Confirmation } from '../jose/cnf.ts'
import type { SingleUse, Verified } from './evidence.ts'

export type { Confirmation } from '../jose/cnf.ts'

/**
 * What whoever uses a node must prove: that they hold this key; or, while a delegation from a bound parent waits to be
 * accepted, a key of their own, which the node is then bound to.
 */
export type SenderConstraint = Confirmation | { readonly kind: 'own_key' }

/** Keys whose possession the sender of one request has proven; what is issued is bound to the first. Empty: none. */
export type ProvenKeys = Verified<{
  readonly keys: readonly Confirmation[]
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
