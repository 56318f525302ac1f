/**
 * A real identity provider, `oidc-provider`, on a loopback port: ID tokens, JWT access tokens for a resource (RFC 8707), opaque
 * access tokens without one, refresh tokens, introspection. Users sign in by the authorization code flow with PKCE; who may is
 * decided by name. Its keys can be rotated, its tokens revoked, and its answers spoilt, path by path.
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import Provider from 'oidc-provider'
import * as openid from 'openid-client'
import { identityMemory } from '../../src/cli/demo/identity-memory.ts'
import { listenOnLoopback, stopServer } from '../../src/cli/demo/loopback.ts'
import type { Answer } from './issuer.ts'

export interface LiveProvider {
  readonly issuer: string
  /** The user signs in at the application with this client id, which asks for access to `resource`, or to nothing special. */
  login(user: string, clientId: string, resource?: string): Promise<LiveTokens>
  /** RFC 7009, by the application itself. */
  revoke(clientId: string, token: string): Promise<void>
  /** As after a restart with new keys: sessions and tokens stand, what is signed from now on is signed with the new one. */
  rotate(): void
  /** Answers paths that begin so like this instead; `undefined`: as usual. */
  misbehave(path: string, answer: Answer | undefined): void
  /** Requests for paths that begin so. */
  count(path: string): number
  close(): Promise<void>
}

export interface LiveTokens {
  readonly id: string
  readonly access: string
  readonly refresh: string
}

export interface LiveOptions {
  readonly clientIds: readonly string[]
  /** Of the client that may introspect, `errand`. */
  readonly secret: string
  /** Of resources, and of opaque tokens. */
  readonly scopes: readonly string[]
}

const REDIRECTS_MAX = 12
const HOUR = 3600

export async function startLiveProvider(options: LiveOptions): Promise<LiveProvider> {
  const server = createServer()
  const issuer = await listenOnLoopback(server)
  const adapter = identityMemory(() => Math.floor(Date.now() / 1000))
  const cookieKey = randomBytes(32).toString('base64url')
  const spoilt = new Map<string, Answer>()
  const requests: string[] = []
  let generation = 0
  let provider: Provider
  let answer: (request: IncomingMessage, response: ServerResponse) => Promise<void>
  const start = (): void => {
    generation += 1
    provider = new Provider(issuer, {
      ...configuration(options, issuer, `live-${generation}`),
      adapter,
      cookies: { keys: [cookieKey] },
    })
    answer = provider.callback()
  }
  start()
  server.on('request', (request, response) => {
    const url = request.url ?? ''
    requests.push(url)
    const misbehaviour = [...spoilt].find(([path]) => url.startsWith(path))?.[1]
    if (misbehaviour !== undefined) return misbehaviour(request, response)
    const handled = url.startsWith('/interaction/')
      ? consent(provider, options, request, response)
      : answer(request, response)
    handled.catch(() => response.destroy())
  })
  const application = (clientId: string) =>
    openid.discovery(new URL(issuer), clientId, undefined, openid.None(), { execute: [openid.allowInsecureRequests] })
  return {
    issuer,
    login: async (user, clientId, resource) =>
      signIn(await application(clientId), { user, resource, issuer, scopes: options.scopes }),
    revoke: async (clientId, token) => openid.tokenRevocation(await application(clientId), token),
    rotate: start,
    misbehave: (path, misbehaviour) => {
      if (misbehaviour === undefined) spoilt.delete(path)
      else spoilt.set(path, misbehaviour)
    },
    count: (path) => requests.filter((url) => url.startsWith(path)).length,
    close: () => stopServer(server),
  }
}

function configuration(
  { clientIds, secret, scopes }: LiveOptions,
  issuer: string,
  kid: string,
): Record<string, unknown> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const scope = scopes.join(' ')
  return {
    clients: [
      ...clientIds.map((client_id) => ({
        client_id,
        redirect_uris: [`${issuer}/signed-in`],
        response_types: ['code'],
        grant_types: ['authorization_code', 'refresh_token'],
        token_endpoint_auth_method: 'none',
        id_token_signed_response_alg: 'ES256',
        require_auth_time: true,
      })),
      { client_id: 'errand', client_secret: secret, grant_types: [], response_types: [], redirect_uris: [] },
    ],
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'ES256' }] },
    scopes: ['openid', 'offline_access', ...scopes],
    features: {
      devInteractions: { enabled: false },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: (_context: unknown, audience: string) => ({
          ...{ scope, audience, accessTokenFormat: 'jwt', accessTokenTTL: HOUR, jwt: { sign: { alg: 'ES256' } } },
        }),
      },
    },
    issueRefreshToken: () => true,
    findAccount: (_context: unknown, id: string) => ({ accountId: id, claims: () => ({ sub: id }) }),
    interactions: { url: (_context: unknown, interaction: { uid: string }) => `/interaction/${interaction.uid}` },
    ttl: {
      AccessToken: HOUR,
      AuthorizationCode: 60,
      Grant: HOUR,
      IdToken: HOUR,
      Interaction: 600,
      Session: HOUR,
      RefreshToken: HOUR,
    },
  }
}

interface GrantOf {
  addResourceScope(resource: string, scope: string): void
}

/** Whoever `login_hint` names signs in, and agrees to everything. */
async function consent(
  provider: Provider,
  { scopes }: LiveOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { prompt, params } = await provider.interactionDetails(request, response)
  const accountId = String(params['login_hint'])
  if (prompt.name === 'login') return await provider.interactionFinished(request, response, { login: { accountId } })
  const grant = new provider.Grant({ clientId: String(params['client_id']), accountId })
  grant.addOIDCScope(`openid offline_access ${scopes.join(' ')}`)
  const resource = params['resource']
  if (typeof resource === 'string') (grant as unknown as GrantOf).addResourceScope(resource, scopes.join(' '))
  await provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } })
}

interface SignIn {
  readonly user: string
  readonly resource: string | undefined
  readonly issuer: string
  readonly scopes: readonly string[]
}

async function signIn(
  application: openid.Configuration,
  { user, resource, issuer, scopes }: SignIn,
): Promise<LiveTokens> {
  const pkceCodeVerifier = openid.randomPKCECodeVerifier()
  const [expectedNonce, expectedState] = [openid.randomNonce(), openid.randomState()]
  const targeted = resource === undefined ? {} : { resource }
  const begin = openid.buildAuthorizationUrl(application, {
    redirect_uri: `${issuer}/signed-in`,
    scope: `openid offline_access ${scopes.join(' ')}`,
    prompt: 'consent',
    login_hint: user,
    code_challenge: await openid.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
    nonce: expectedNonce,
    state: expectedState,
    ...targeted,
  })
  const end = await browse(begin.href, `${issuer}/signed-in?`)
  const checks = { pkceCodeVerifier, expectedNonce, expectedState, idTokenExpected: true }
  const tokens = await openid.authorizationCodeGrant(application, new URL(end), checks, targeted)
  const { id_token: id, access_token: access, refresh_token: refresh } = tokens
  if (id === undefined || refresh === undefined) throw new Error('the provider left out a token')
  return { id, access, refresh }
}

/** A browser: keeps cookies and follows redirects, until the application takes over. */
async function browse(begin: string, end: string): Promise<string> {
  const cookies = new Map<string, string>()
  let address = begin
  for (let visits = 0; visits < REDIRECTS_MAX; visits += 1) {
    if (address.startsWith(end)) return address
    const headers = { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') }
    const answer = await fetch(address, { headers, redirect: 'manual' })
    for (const cookie of answer.headers.getSetCookie()) {
      const [pair = ''] = cookie.split(';', 1)
      cookies.set(pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1))
    }
    const location = answer.headers.get('location')
    if (location === null) throw new Error(`sign-in stopped with ${answer.status}: ${await answer.text()}`)
    address = new URL(location, address).href
  }
  throw new Error('sign-in went in circles')
}
