/**
 * For MCP SDKs that take a provider instead of a `fetch`: `mcpAuthProvider` (SDK version 2) and `mcpOAuthProvider` (both, and
 * whatever copies their interface). Prefer `fetch`, where there is one to give: it alone sees a 403 and proves a key.
 *
 * The credential and the session go to the token endpoint of the configured broker, whatever the MCP server says about its
 * authorization server.
 */
import { formatScope, isScopeSubset, parseScope, type ScopeSet, scopeSet } from '../../protocol/scope.ts'
import { AgentError, NotTrusted } from './agent-errors.ts'
import type { AccessToken } from './token-cache.ts'
import type { TokenSeam } from './token-seam.ts'

/** An agent, or a session. */
export interface Source {
  seam(resource: string): TokenSeam
}

/** `AuthProvider` of `@modelcontextprotocol/client`. */
export interface McpAuthProvider {
  token(): Promise<string>
  onUnauthorized(): Promise<void>
}

/** @param resource the MCP server's URL. Throws what `fetch` would: `SessionEnded` when it is over */
export function mcpAuthProvider(source: Source, resource: string): McpAuthProvider {
  const seam = source.seam(resource)
  let last: AccessToken | undefined
  return {
    token: async () => {
      last = bearer(await seam.current())
      return last.secret.reveal()
    },
    onUnauthorized: async () => {
      if (last !== undefined) seam.reject(last)
      await seam.current()
    },
  }
}

function bearer(token: AccessToken): AccessToken {
  if (token.type === 'Bearer') return token
  throw new AgentError('tokens are bound to a key here, and a provider cannot prove it: give the SDK fetch instead')
}

interface Tokens {
  access_token: string
  token_type: string
  expires_in?: number | undefined
  scope?: string | undefined
}

/** `OAuthClientProvider` of both SDKs, as far as a client without a browser needs it. */
export interface McpOAuthProvider {
  readonly redirectUrl: undefined
  readonly clientMetadata: { redirect_uris: string[]; grant_types: string[]; client_name: string }
  clientInformation(): Promise<{ client_id: string; issuer: string }>
  tokens(): Promise<Tokens & { issuer: string }>
  saveTokens(tokens: Tokens): void
  redirectToAuthorization(): never
  saveCodeVerifier(): never
  codeVerifier(): never
  prepareTokenRequest(scope?: string): Promise<URLSearchParams>
  /** Called unbound by both SDKs. */
  readonly addClientAuthentication: (headers: Headers, params: URLSearchParams, url: string | URL) => Promise<void>
  discoveryState(): Promise<{
    authorizationServerUrl: string
    // The SDKs' types say which members there are: what the broker publishes has them.
    authorizationServerMetadata: never
    resourceMetadata: { resource: string; authorization_servers: string[] }
  }>
}

/** @param resource the MCP server's URL */
export function mcpOAuthProvider(source: Source, resource: string): McpOAuthProvider {
  const seam = source.seam(resource)
  const { endpoint } = seam
  let last: AccessToken | undefined
  const issuer = async () => (await endpoint.metadata()).issuer
  return {
    redirectUrl: undefined,
    clientMetadata: { redirect_uris: [], grant_types: [], client_name: 'errand' },
    // Stamped: the SDKs send nothing of it to another authorization server.
    clientInformation: async () => ({ client_id: endpoint.clientId ?? 'self', issuer: await issuer() }),
    tokens: async () => {
      last = bearer(await seam.current())
      const { secret, scopes } = last
      return { access_token: secret.reveal(), token_type: 'Bearer', scope: formatScope(scopes), issuer: await issuer() }
    },
    saveTokens: (tokens) => seam.adopt(endpoint.read({ ...tokens })),
    redirectToAuthorization: () => interactive(),
    saveCodeVerifier: () => interactive(),
    codeVerifier: () => interactive(),
    // It is called where a server has refused the last token. Nothing secret yet: the SDK has not said where it goes.
    prepareTokenRequest: async (asked) => {
      const scopes = wanted(seam.scopes(), last, asked)
      if (last !== undefined) seam.reject(last)
      return new URLSearchParams(scopes === undefined ? {} : { scope: formatScope(scopes) })
    },
    addClientAuthentication: async (headers, params, url) => {
      const { tokenEndpoint } = await endpoint.metadata()
      if (String(url) !== tokenEndpoint) {
        throw new NotTrusted('the MCP server names another token endpoint than the broker has: nothing is sent there')
      }
      const subject = seam.subject()
      const { form, headers: more } = await endpoint.authentication(subject['grant_type'])
      const all = { ...subject, ...form, resource: seam.resource }
      for (const [name, value] of Object.entries(all)) params.set(name, value)
      for (const [name, value] of Object.entries(more)) headers.set(name, value)
    },
    discoveryState: async () => {
      const { issuer, document } = await endpoint.metadata()
      return {
        authorizationServerUrl: issuer,
        authorizationServerMetadata: document as never,
        resourceMetadata: { resource: seam.resource, authorization_servers: [issuer] },
      }
    },
  }
}

/**
 * What the SDK wants may be all that the server's metadata list: it counts only where the agent has begun with
 * less, and then beside what is held.
 */
function wanted(first: ScopeSet | undefined, last: AccessToken | undefined, asked: string | undefined) {
  if (first === undefined || last === undefined || asked === undefined || asked === '') return first
  const more = parseScope(asked)
  return isScopeSubset(more, last.scopes) ? first : scopeSet([...last.scopes, ...more])
}

function interactive(): never {
  throw new AgentError('an agent does not sign in by a browser: its broker knows it by its credential')
}
