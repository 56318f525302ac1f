/**
 * An explicit `actor_token` (RFC 8693 §2.1): optional, and only ever the authenticated client saying who it is once more. It
 * can neither add authority nor let one client act in another's name.
 *
 * Validates: type URI; a JWT of its own (not the client assertion again); no `act`; and that it is the client's: signed by its
 * registered key, `iss` = `sub` = the client, `aud` the issuer alone, short life, `jti`; or of its own workload (`own-workload.ts`).
 * Does not validate: that it is presented once (claim `singleUse`).
 */
import { peekIssuer } from '../../jose/decode-jws.ts'
import { verifyJwt } from '../../jose/verify-jwt.ts'
import { Rejection } from '../../kernel/rejection.ts'
import type { Secret } from '../../kernel/secret.ts'
import type { SingleUse, VerifiedClient } from '../../model/evidence.ts'
import type { ClientKeys } from '../../net/client-keys.ts'
import { TOKEN_TYPE } from '../../protocol/oauth.ts'
import { claim } from '../claim.ts'
import { inSlot } from '../jwt-refusals.ts'
import { type OwnWorkloadDependencies, verifyOwnWorkload } from '../workload/own-workload.ts'
import { heldBy } from '../workload/workload-binding.ts'
import type { WorkloadCaller } from '../workload/workload-evidence.ts'
import { assertionUse, clientTokenRules } from './client-assertion.ts'
import { keysOf } from './client-keys-of.ts'

export interface ActorTokenDependencies extends OwnWorkloadDependencies {
  /** Keys that clients publish themselves. */
  readonly clientKeys: Pick<ClientKeys, 'keysFor'>
}

/** @throws Rejection `actor_token_unacceptable` | `actor_mismatch` */
export async function verifyActorToken(
  token: Secret,
  type: string,
  { verified: caller, proven }: Pick<WorkloadCaller, 'verified' | 'proven'>,
  deps: ActorTokenDependencies,
): Promise<SingleUse> {
  if (type !== TOKEN_TYPE.jwt) throw unacceptable(`actor_token_type must be ${TOKEN_TYPE.jwt}`)
  return await inSlot('actor_token', async () => {
    const { client } = caller
    const workload = await verifyOwnWorkload(token, 'actor_token', client, deps)
    if (workload !== undefined) return notTheAssertion(heldBy(workload, 'actor_token', proven), caller)
    // Whatever else it proves, it would be about someone else.
    if (peekIssuer(token) !== client.clientId) throw mismatch()
    const keys = await keysOf(client, token, deps.clientKeys)
    const jwt = await verifyJwt(token, {
      ...clientTokenRules(keys, client.clientId, deps),
      typ: [undefined, 'jwt'],
    })
    if (jwt.subject !== client.clientId) throw mismatch()
    if (claim(jwt.claims, 'act') !== undefined) throw unacceptable('an actor_token must not carry act')
    return notTheAssertion(assertionUse(client, jwt, 'actor_token'), caller)
  })
}

/** By id, not by bytes: the same claims under another signature (ECDSA signs differently each time) are the same JWT. */
function notTheAssertion(use: SingleUse, { assertionKey }: VerifiedClient): SingleUse {
  if (use.key !== assertionKey) return use
  throw unacceptable('the actor_token must not be the client assertion: one JWT fills one slot')
}

function unacceptable(description: string): Rejection {
  return new Rejection('actor_token_unacceptable', description)
}

function mismatch(): Rejection {
  return new Rejection('actor_mismatch', 'the actor_token must be about the authenticated client')
}
