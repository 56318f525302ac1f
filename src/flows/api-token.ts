/** The API token (DESIGN §2): for the broker's own endpoints, in no session, scopes as the client's record lists them. */
import { pairKey } from '../authority/dimensions.ts'
import { agentPrincipal, servicePrincipal } from '../kernel/ids.ts'
import { API_TOKEN_LIFETIME_S } from '../kernel/limits.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { ProvenKeys } from '../model/confirmation.ts'
import type { VerifiedClient } from '../model/evidence.ts'
import type { MintedToken } from '../model/minted.ts'
import { apiAudience } from '../model/settings.ts'
import { canonicalResource } from '../protocol/resource.ts'
import { intersectScopes, type ScopeSet } from '../protocol/scope.ts'
import type { LiveCutoffs } from '../sessions/live-cutoffs.ts'
import { isClientBlocked } from '../sessions/liveness.ts'
import type { Minter } from '../tokens/minter.ts'
import { bindTo } from './sender-constraint.ts'
import type { TokenRequest } from './token-request.ts'

export interface ApiTokenFacts {
  readonly proven: ProvenKeys
  readonly rv: number
  /** Epoch seconds. */
  readonly now: number
}

/** Whether any of what the request names is the API of this broker: beside it, nothing else may be named. */
export function isForApi(request: TokenRequest, issuer: string): boolean {
  const api = canonicalResource(apiAudience(issuer))
  return [...request.resources, ...request.audiences].some(
    (name) => URL.canParse(name) && canonicalResource(name) === api,
  )
}

/** @throws Rejection `target_ambiguous`, `principal_blocked`, `nothing_granted`, `details_unknown` */
export function grantedApiScopes(
  request: TokenRequest,
  { client, version }: VerifiedClient,
  { cutoffs, nowMs }: { readonly cutoffs: LiveCutoffs; readonly nowMs: number },
): ScopeSet {
  if (request.resources.length + request.audiences.length > 1) {
    throw new Rejection('target_ambiguous', 'an API token is for the API of this broker alone')
  }
  if (request.details !== undefined) {
    throw new Rejection('details_unknown', 'API tokens carry scopes only, no authorization_details')
  }
  if (isClientBlocked(client.clientId, [pairKey(client.clientId, version)], cutoffs, nowMs)) {
    throw new Rejection('principal_blocked', 'this client is blocked until an operator lifts the block')
  }
  const scopes = request.scope === undefined ? client.apiScopes : intersectScopes(request.scope, client.apiScopes)
  if (scopes.length === 0) {
    throw new Rejection('nothing_granted', 'none of the requested scopes is granted to this client at the API', {
      missing: [`one of the requested scopes in the api_scopes of ${client.clientId}`],
    })
  }
  return scopes
}

export function mintApiToken(
  minter: Minter,
  { client, version }: VerifiedClient,
  scopes: ScopeSet,
  { proven, rv, now }: ApiTokenFacts,
): Promise<MintedToken> {
  return minter.api({
    subject: client.kind === 'agent' ? agentPrincipal(client.clientId) : servicePrincipal(client.clientId),
    profile: client.kind === 'agent' ? 'ai_agent' : 'service',
    clientId: client.clientId,
    agentVersion: client.kind === 'agent' ? version : undefined,
    scopes,
    confirmation: bindTo(undefined, proven, client),
    rv,
    now,
    expiresAt: now + API_TOKEN_LIFETIME_S,
  })
}
