/**
 * How agents and servers of the demo speak to the broker: with openid-client, which nobody here wrote, and `private_key_jwt`.
 */
import * as openid from 'openid-client'
import { GRANT_TYPE, TOKEN_TYPE, type TokenTypeUri } from '../../protocol/oauth.ts'
import type { ClientKey } from './client-key.ts'

export interface ExchangeAsked {
  readonly subjectToken: string
  readonly subjectType: TokenTypeUri
  readonly requested: TokenTypeUri
  readonly resource?: string
  readonly audience?: string
  readonly details?: readonly unknown[]
}

export type ExchangeOutcome =
  | { readonly ok: true; readonly token: string; readonly scope: string }
  | {
      readonly ok: false
      readonly error: string
      readonly reason: string
      readonly description: string
      /** What would have been needed. */
      readonly missing: readonly string[]
    }

export interface TokenClient {
  readonly clientId: string
  exchange(asked: ExchangeAsked): Promise<ExchangeOutcome>
  /** RFC 7662, for a server's own tokens. */
  isActive(token: string): Promise<boolean>
  /** For the broker's own endpoints. */
  apiToken(scope: string): Promise<string>
}

export async function connectTokenClient(issuer: string, { clientId, kid, key }: ClientKey): Promise<TokenClient> {
  const signingKey = key.toCryptoKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign'])
  const configuration = await openid.discovery(
    new URL(issuer),
    clientId,
    undefined,
    openid.PrivateKeyJwt({ key: signingKey, kid }),
    { algorithm: 'oauth2', execute: [openid.allowInsecureRequests] }, // everything of the demo is on loopback
  )
  return {
    clientId,
    exchange: async (asked) => {
      try {
        const answer = await openid.genericGrantRequest(configuration, GRANT_TYPE.tokenExchange, parameters(asked))
        return { ok: true, token: answer.access_token, scope: answer.scope ?? '' }
      } catch (error) {
        return refusal(error)
      }
    },
    apiToken: async (scope) => {
      const asked = { resource: `${issuer}/api`, scope }
      return (await openid.clientCredentialsGrant(configuration, asked)).access_token
    },
    isActive: async (token) => (await openid.tokenIntrospection(configuration, token)).active,
  }
}

function parameters(asked: ExchangeAsked): URLSearchParams {
  const form = new URLSearchParams({
    subject_token: asked.subjectToken,
    subject_token_type: asked.subjectType,
    requested_token_type: asked.requested,
  })
  if (asked.resource !== undefined) form.set('resource', asked.resource)
  if (asked.audience !== undefined) form.set('audience', asked.audience)
  if (asked.details !== undefined) form.set('authorization_details', JSON.stringify(asked.details))
  return form
}

/** @throws what was no refusal: a fault is not a story. */
function refusal(error: unknown): ExchangeOutcome {
  if (!(error instanceof openid.ResponseBodyError)) throw error
  const body: Readonly<Record<string, unknown>> = error.cause
  return {
    ok: false,
    error: error.error,
    reason: typeof body['error_reason'] === 'string' ? body['error_reason'] : 'unsaid',
    description: error.error_description ?? 'no description',
    missing: Array.isArray(body['missing']) ? body['missing'].map(String) : [],
  }
}

export const openWith = (idToken: string, details: readonly unknown[]): ExchangeAsked => ({
  subjectToken: idToken,
  subjectType: TOKEN_TYPE.idToken,
  requested: TOKEN_TYPE.session,
  details,
})

export const continueAt = (sessionToken: string, resource: string): ExchangeAsked => ({
  subjectToken: sessionToken,
  subjectType: TOKEN_TYPE.session,
  requested: TOKEN_TYPE.accessToken,
  resource,
})

export const delegateTo = (sessionToken: string, audience: string, details: readonly unknown[]): ExchangeAsked => ({
  subjectToken: sessionToken,
  subjectType: TOKEN_TYPE.session,
  requested: TOKEN_TYPE.delegation,
  audience,
  details,
})

export const accept = (delegationToken: string): ExchangeAsked => ({
  subjectToken: delegationToken,
  subjectType: TOKEN_TYPE.delegation,
  requested: TOKEN_TYPE.session,
})
