/**
 * `AuthInfo` as both MCP SDKs hand it to tool handlers, made of a verified token; and the way back from it, so that a handler or
 * a later check has the typed token. The way back goes by identity: nothing that was put together elsewhere leads to a token.
 */
import { resourceMetadataUrl } from './challenge.ts'
import { currentActor, type TokenIntent, type VerifiedToken } from './verified-token.ts'

export interface AuthInfo {
  /** The text of the token. */
  token: string
  clientId: string
  scopes: string[]
  /** Epoch seconds. */
  expiresAt: number
  resource: URL
  resourceMetadataUrl: string
  extra: AuthExtra
}

export interface AuthExtra extends Record<string, unknown> {
  readonly iss: string
  readonly sub: string
  readonly jti: string
  readonly session: string
  readonly user?: string
  /** Who acts now. */
  readonly actor: string
  /** Newest first. */
  readonly actors: readonly string[]
  readonly intent?: TokenIntent
}

/** Kept for as long as somebody holds the `extra`: SDKs copy what is around it. */
const tokens = new WeakMap<object, VerifiedToken>()

export interface Presented {
  readonly issuer: string
  readonly resource: string
  /** The text of the token. */
  readonly bearer: string
}

export function authInfoOf(token: VerifiedToken, { issuer, resource, bearer }: Presented): AuthInfo {
  const extra: AuthExtra = {
    iss: issuer,
    sub: token.subject,
    jti: token.jti,
    session: token.session,
    ...(token.user === undefined ? {} : { user: token.user }),
    actor: currentActor(token),
    actors: token.actors,
    ...(token.intent === undefined ? {} : { intent: token.intent }),
  }
  tokens.set(extra, token)
  return {
    token: bearer,
    clientId: token.clientId,
    scopes: [...token.scopes],
    expiresAt: token.expiresAt,
    resource: new URL(resource),
    resourceMetadataUrl: resourceMetadataUrl(resource),
    extra,
  }
}

/** The token behind an `AuthInfo` that was made here; `undefined` for any other. */
export function verifiedOf(authInfo: { readonly extra?: object | undefined } | undefined): VerifiedToken | undefined {
  return authInfo?.extra === undefined ? undefined : tokens.get(authInfo.extra)
}
