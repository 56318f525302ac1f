/**
 * Client authentication by a platform's token: as `client_assertion`, or as the `assertion` of a `jwt-bearer` grant, which is
 * then both (MCP Workload Identity Federation). It says which client it is by its claims, so no `client_id` is needed; one
 * that is sent must say the same.
 *
 * Validates: what `workload-token.ts` does.
 * Does not validate: replay, which has another form here (`workload-binding.ts`).
 */

import { WORKLOAD_SUBJECT_SHOWN_CHARS_MAX } from '../../kernel/credential-limits.ts'
import { recordedName } from '../../kernel/digest.ts'
import { Rejection } from '../../kernel/rejection.ts'
import type { Secret } from '../../kernel/secret.ts'
import type { VerifiedClient, WorkloadToken } from '../../model/evidence.ts'
import type { WorkloadIssuer } from '../../model/workload.ts'
import { CLIENT_AUTH_METHOD } from '../../protocol/oauth.ts'
import { verified } from '../verified.ts'
import { workloadTokenKey } from '../workload/workload-binding.ts'
import { prepareWorkloadToken, type WorkloadTokenDependencies } from '../workload/workload-token.ts'

export interface PresentedWorkload {
  readonly token: Secret
  readonly slot: 'client_assertion' | 'assertion'
  readonly platform: WorkloadIssuer
  /** The `client_id` parameter. */
  readonly clientId: string | undefined
}

/** @throws Rejection `client_*`; of a grant `assertion_*`, `subject_*`, `workload_*` */
export async function prepareWorkloadClient(
  { token, slot, platform, clientId }: PresentedWorkload,
  deps: WorkloadTokenDependencies,
): Promise<() => Promise<VerifiedClient>> {
  const verify = await prepareWorkloadToken(token, slot, platform, deps)
  return async () => {
    const workload = await verify()
    const { client, version } = workload
    if (clientId !== undefined && clientId !== client.clientId) {
      const reason = slot === 'assertion' ? 'workload_unmatched' : 'client_assertion_claims'
      throw new Rejection(reason, 'the client_id parameter names another client than the token is for')
    }
    return verified({
      client,
      version,
      authentication: {
        method: CLIENT_AUTH_METHOD.workload,
        credential: shownSubject(workload),
        issuer: platform.slug,
      },
      assertionKey: workloadTokenKey(workload),
      singleUse: undefined,
      workload: { token: workload, slot },
    })
  }
}

/** As records name a workload. */
export function shownSubject({ sub }: WorkloadToken): string {
  return recordedName(sub, WORKLOAD_SUBJECT_SHOWN_CHARS_MAX)
}
