/**
 * An agent's own workload token as the subject of its request: it works for itself (DESIGN §3, flow 5).
 *
 * Validates: what `workload-token.ts` does; that the token is for the agent that has authenticated; that it is not the JWT it
 * has authenticated with.
 * Does not validate: by which key it was first shown (`singleUse`: claim it); revocation.
 */
import { JwtError } from '../jose/jwt-error.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { Secret } from '../kernel/secret.ts'
import type { Agent } from '../model/client.ts'
import type { ProvenKeys } from '../model/confirmation.ts'
import type { SingleUse, VerifiedClient, WorkloadEvidence, WorkloadToken } from '../model/evidence.ts'
import type { WorkloadIssuer } from '../model/workload.ts'
import { inSlot } from './jwt-refusals.ts'
import { verified } from './verified.ts'
import { heldBy, workloadTokenKey } from './workload-binding.ts'
import { platformOf, prepareWorkloadToken, type WorkloadTokenDependencies } from './workload-token.ts'

export interface WorkloadCaller {
  readonly agent: Agent
  readonly verified: VerifiedClient
  readonly proven: ProvenKeys
}

/** @throws Rejection `subject_*`, `token_malformed`, `workload_*` */
export async function verifyWorkloadEvidence(
  token: Secret,
  caller: WorkloadCaller,
  deps: WorkloadTokenDependencies,
): Promise<{ readonly evidence: WorkloadEvidence; readonly singleUse: SingleUse }> {
  const platform = await inSlot('subject_token', () => configured(token, deps))
  const verify = await prepareWorkloadToken(token, 'subject_token', platform, deps)
  const workload = await verify()
  if (workload.client.clientId !== caller.agent.clientId) {
    throw new Rejection('subject_token_presenter', 'the subject token is of a workload of another client')
  }
  if (workloadTokenKey(workload) === caller.verified.assertionKey) {
    throw new Rejection('subject_token_presenter', 'one JWT fills one slot: authenticate with another than the subject')
  }
  return {
    evidence: workloadEvidence(caller.agent, workload),
    singleUse: heldBy(workload, 'subject_token', caller.proven),
  }
}

/** Of a token that is verified as this agent's own. */
export function workloadEvidence(agent: Agent, token: WorkloadToken): WorkloadEvidence {
  return verified({ kind: 'workload', agent, token })
}

function configured(token: Secret, { registry }: WorkloadTokenDependencies): WorkloadIssuer {
  const platform = platformOf(token, registry)
  if (platform === undefined)
    throw new JwtError('issuer', 'a plain JWT is a subject only where a platform vouches for it')
  return platform
}
