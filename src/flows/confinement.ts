/**
 * What a confined credential (an API key) may be used for: its agent's own work, at the servers and for the scopes that its
 * entry names. It never stands behind a user's token, a handle or the broker's own API, so that a key that leaks is worth no
 * more than it says; policy then takes away what the agent itself may not do.
 */
import { Rejection } from '../kernel/rejection.ts'
import type { VerifiedClient } from '../model/evidence.ts'
import type { Resource } from '../model/resource.ts'
import { GRANT_TYPE } from '../protocol/oauth.ts'
import type { ScopeSet } from '../protocol/scope.ts'
import { isForApi } from './api-token.ts'
import type { TokenRequest } from './token-request.ts'

/** Before any evidence is looked at. @throws Rejection `grant_type_not_allowed`, `api_key_target` */
export function assertWithinConfinement({ confinement }: VerifiedClient, request: TokenRequest, issuer: string): void {
  if (confinement === undefined) return
  if (request.grantType !== GRANT_TYPE.clientCredentials) {
    throw new Rejection('grant_type_not_allowed', 'an API key is good for client_credentials alone', {
      missing: ['a client_assertion (private_key_jwt) instead of the API key'],
    })
  }
  if (isForApi(request, issuer)) throw wrongTarget()
}

/** The scopes that the credential leaves at this server; `undefined`: all. @throws Rejection `api_key_target` */
export function confinedScopes({ confinement }: VerifiedClient, target: Resource): ScopeSet | undefined {
  if (confinement === undefined) return undefined
  if (!confinement.resources.has(target.url)) throw wrongTarget()
  return confinement.scopes
}

function wrongTarget(): Rejection {
  return new Rejection('api_key_target', 'this API key was not made for that resource')
}
