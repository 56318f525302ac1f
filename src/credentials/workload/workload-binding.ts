/**
 * What stands in for single use where a workload's token is presented again and again: it stays with the first key that was
 * proven beside it, or with none where none was. Whoever takes the token alone can use it only where its workload proves no
 * key, and whoever comes first with a key of their own is noticed by the workload, which is then refused.
 *
 * Only keys of DPoP proofs count: a certificate is renewed while the token lives.
 */
import { CLOCK_SKEW_S } from '../../kernel/limits.ts'
import type { ProvenKeys } from '../../model/confirmation.ts'
import type { SingleUse, WorkloadSlot, WorkloadToken } from '../../model/evidence.ts'

/** One name for a token, however it is presented. */
export function workloadTokenKey({ digest }: Pick<WorkloadToken, 'digest'>): string {
  return `workload:${digest}`
}

/** To be claimed with the request's single-use ids: by one atomic write, kept as long as the token could be presented. */
export function heldBy(token: WorkloadToken, slot: WorkloadSlot, { keys }: ProvenKeys): SingleUse {
  const key = keys.find(({ kind }) => kind === 'jkt')
  return {
    slot,
    key: workloadTokenKey(token),
    holder: key === undefined ? 'no key' : `jkt ${key.thumbprint}`,
    issuedAtMs: token.issuedAt * 1000,
    expiresAtMs: (token.expiresAt + CLOCK_SKEW_S) * 1000,
  }
}
