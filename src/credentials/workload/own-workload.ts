/**
 * A token about a workload beside client authentication, as subject or actor: of a platform (`workload-token.ts`) or of a SPIFFE
 * trust domain (`jwt-svid.ts`), whoever is configured to vouch for it.
 *
 * Validates: what those do; that the token is of the client that has authenticated; that its cluster, where it has to be
 * asked, still vouches for it (`workload-review.ts`).
 * Does not validate: that it is not the JWT that the client has authenticated with, nor by which key it was first shown.
 */
import { Rejection } from '../../kernel/rejection.ts'
import type { Secret } from '../../kernel/secret.ts'
import type { Client } from '../../model/client.ts'
import type { WorkloadToken } from '../../model/evidence.ts'
import type { Registry } from '../../model/registry.ts'
import { inSlot } from '../jwt-refusals.ts'
import { claimsSpiffeId, prepareJwtSvid, type SvidDependencies } from './jwt-svid.ts'
import { assertVouchedFor, type ReviewDependencies } from './workload-review.ts'
import { platformOf, prepareWorkloadToken, type WorkloadTokenDependencies } from './workload-token.ts'

export interface OwnWorkloadDependencies extends WorkloadTokenDependencies, SvidDependencies, ReviewDependencies {
  readonly registry: Pick<Registry, 'workloadIssuer' | 'workloads' | 'trustDomain' | 'clientBySpiffeId'>
}

/** @returns `undefined`: nobody who vouches for workloads is named in it. @throws Rejection of the slot */
export async function verifyOwnWorkload(
  token: Secret,
  slot: 'subject_token' | 'actor_token',
  client: Pick<Client, 'clientId'>,
  deps: OwnWorkloadDependencies,
): Promise<WorkloadToken | undefined> {
  const verify = await prepare(token, slot, deps)
  if (verify === undefined) return undefined
  const workload = await verify()
  if (workload.client.clientId === client.clientId) {
    await assertVouchedFor(workload, slot, deps)
    return workload
  }
  throw slot === 'actor_token'
    ? new Rejection('actor_mismatch', 'the actor_token must be about the authenticated client')
    : new Rejection('subject_token_presenter', 'the subject token is of a workload of another client')
}

async function prepare(token: Secret, slot: 'subject_token' | 'actor_token', deps: OwnWorkloadDependencies) {
  const platform = await inSlot(slot, () => platformOf(token, deps.registry))
  if (platform !== undefined) return prepareWorkloadToken(token, slot, platform, deps)
  const isSvid = await inSlot(slot, () => claimsSpiffeId(token))
  return isSvid ? prepareJwtSvid(token, slot, deps) : undefined
}
