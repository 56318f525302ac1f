/**
 * An access token of ours as subject (DESIGN §3, flow 7): from the server it was made for, and from nobody else. Whoever else has
 * seen one, its own agent and the server it was passed on to included, cannot make anything of it here.
 *
 * Validates: what `verifyAccessToken` does; that it belongs to a session; that the presenter is the registered `server_client` of
 * exactly its `aud`.
 * Does not validate: the key it is bound to. That is its sender's, whose proof the server has checked and cannot make; a server
 * that goes on with a bound token proves a key of its own instead (`flows/sender-constraint.ts`). Nor session and cut-offs.
 */
import { agentsOf } from '../authority/named.ts'
import { buildOf } from '../authority/token-facts.ts'
import type { ClientId, ResourceUrl } from '../kernel/ids.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { Secret } from '../kernel/secret.ts'
import type { Service } from '../model/client.ts'
import type { InboundEvidence } from '../model/evidence.ts'
import type { Registry } from '../model/registry.ts'
import { type OwnTokenDependencies, type VerifiedAccess, verifyAccessToken } from './own-token.ts'
import { verified } from './verified.ts'

/** @throws Rejection `subject_*` | `actor_chain_*` */
export async function verifyInbound(
  token: Secret,
  server: Pick<Service, 'clientId'>,
  deps: OwnTokenDependencies & { readonly registry: Pick<Registry, 'resources'> },
): Promise<InboundEvidence> {
  const access = await verifyAccessToken(token, deps, 'subject_token')
  const { session, audience } = access
  const isOwn = deps.registry.resources.some(({ url, serverClient }) => {
    return url === audience && serverClient === server.clientId
  })
  if (session === undefined || !isOwn) {
    throw new Rejection('subject_token_presenter', 'an access token is presented by the server that it is for')
  }
  const agent = nearestAgent(access, deps.issuer)
  return verified({ ...access, kind: 'access' as const, session, audience: audience as ResourceUrl, agent })
}

function nearestAgent(access: VerifiedAccess, issuer: string): InboundEvidence['agent'] {
  const [id] = agentsOf(access, issuer)
  if (id === undefined) throw new Rejection('subject_token_claims', 'the token names no agent')
  return { id: id as ClientId, version: buildOf(id, access.versions) }
}
