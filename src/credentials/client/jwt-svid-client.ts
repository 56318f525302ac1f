/**
 * Client authentication by a JWT-SVID as `client_assertion` (draft-ietf-oauth-spiffe-client-auth §3.1). It says by itself which
 * client it is; a `client_id` parameter that is sent must name that client, or its SPIFFE ID.
 *
 * Validates: what `jwt-svid.ts` does.
 * Does not validate: replay, which has another form here (`workload-binding.ts`).
 */
import { recordedName } from '../../kernel/digest.ts'
import { SHOWN_CHARS_MAX } from '../../kernel/limits.ts'
import { Rejection } from '../../kernel/rejection.ts'
import type { Secret } from '../../kernel/secret.ts'
import type { VerifiedClient } from '../../model/evidence.ts'
import { CLIENT_AUTH_METHOD } from '../../protocol/oauth.ts'
import { verified } from '../verified.ts'
import { prepareJwtSvid, type SvidDependencies } from '../workload/jwt-svid.ts'
import { workloadTokenKey } from '../workload/workload-binding.ts'
import type { PresentedClient } from './presented-client.ts'

/** @throws Rejection `client_*` */
export async function prepareSvidClient(
  svid: Secret,
  { clientId }: Pick<PresentedClient, 'clientId'>,
  deps: SvidDependencies,
): Promise<() => Promise<VerifiedClient>> {
  const verify = await prepareJwtSvid(svid, 'client_assertion', deps)
  return async () => {
    const workload = await verify()
    const { client, version, sub, digest } = workload
    if (clientId !== undefined && clientId !== client.clientId && clientId !== sub) {
      throw new Rejection('client_assertion_claims', 'client_assertion: the client_id parameter names another client')
    }
    return verified({
      client,
      version,
      authentication: {
        method: CLIENT_AUTH_METHOD.jwtSvid,
        credential: recordedName(sub, SHOWN_CHARS_MAX),
        reusable_assertion: digest,
      },
      assertionKey: workloadTokenKey(workload),
      singleUse: undefined,
      workload: { token: workload, slot: 'client_assertion' },
    })
  }
}
