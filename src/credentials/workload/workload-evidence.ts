/**
 * An agent's own workload token as the subject of its request: it works for itself (DESIGN §3, flow 5).
 *
 * Validates: what `own-workload.ts` does; that it is not the JWT that the agent has authenticated with.
 * Does not validate: by which key it was first shown (`singleUse`: claim it); revocation.
 */
import { Rejection } from '../../kernel/rejection.ts'
import type { Secret } from '../../kernel/secret.ts'
import type { Agent } from '../../model/client.ts'
import type { ProvenKeys } from '../../model/confirmation.ts'
import type { SingleUse, VerifiedClient, WorkloadEvidence, WorkloadToken } from '../../model/evidence.ts'
import { verified } from '../verified.ts'
import { type OwnWorkloadDependencies, verifyOwnWorkload } from './own-workload.ts'
import { heldBy, workloadTokenKey } from './workload-binding.ts'

export interface WorkloadCaller {
  readonly agent: Agent
  readonly verified: VerifiedClient
  readonly proven: ProvenKeys
}

/** @throws Rejection `subject_*`, `token_malformed`, `workload_*` */
export async function verifyWorkloadEvidence(
  token: Secret,
  caller: WorkloadCaller,
  deps: OwnWorkloadDependencies,
): Promise<{ readonly evidence: WorkloadEvidence; readonly singleUse: SingleUse }> {
  const workload = await verifyOwnWorkload(token, 'subject_token', caller.agent, deps)
  if (workload === undefined) {
    const who = 'a platform or a trust domain vouches for it'
    throw new Rejection('subject_issuer_unknown', `subject_token: a plain JWT is a subject only where ${who}`)
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
