/**
 * The demo's OpenID provider: a real `oidc-provider` on a free loopback port, with one user, alice. She signs in as a person
 * would: authorization code flow with PKCE, redirects, cookies and a form; only her browser is ours.
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { text as readText } from 'node:stream/consumers'
import Provider from 'oidc-provider'
import * as openid from 'openid-client'
import { type Clock, epochSeconds } from '../../kernel/clock.ts'
import { ask } from './http.ts'
import { identityMemory } from './identity-memory.ts'
import { listenOnLoopback, stopServer } from './loopback.ts'

const REDIRECTS_MAX = 12
const USER = 'alice'
const INTERACTION_PATH = '/interaction/'

export interface IdentityProvider {
  readonly issuer: string
  readonly jwksUri: string
  /** Alice signs in at the application with this client id. @returns her ID token */
  login(clientId: string): Promise<string>
  stop(): Promise<void>
}

/** @param clientIds of the applications alice may sign in at. */
export async function startIdentityProvider(clientIds: readonly string[], clock: Clock): Promise<IdentityProvider> {
  const server = createServer()
  const issuer = await listenOnLoopback(server)
  const redirectUri = `${issuer}/signed-in`
  const password = randomBytes(16).toString('base64url')
  const provider = new Provider(issuer, configuration(clientIds, redirectUri, clock))
  serve(server, provider, password)
  return {
    issuer,
    jwksUri: `${issuer}/jwks`,
    login: (clientId) => login(issuer, clientId, redirectUri, password),
    stop: () => stopServer(server),
  }
}

function configuration(
  clientIds: readonly string[],
  redirectUri: string,
  clock: Clock,
): Readonly<Record<string, unknown>> {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const hour = 3600
  return {
    adapter: identityMemory(() => epochSeconds(clock)),
    clients: clientIds.map((clientId) => ({
      client_id: clientId,
      redirect_uris: [redirectUri],
      response_types: ['code'],
      grant_types: ['authorization_code'],
      token_endpoint_auth_method: 'none',
      require_auth_time: true,
    })),
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: 'idp-1', use: 'sig', alg: 'RS256' }] },
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    features: { devInteractions: { enabled: false } },
    findAccount: (_context: unknown, id: string) =>
      id === USER ? { accountId: id, claims: () => ({ sub: id }) } : undefined,
    interactions: { url: (_context: unknown, interaction: { uid: string }) => INTERACTION_PATH + interaction.uid },
    clientBasedCORS: () => false,
    renderError: (context: { type: string; body: string }, out: { error: string }) => {
      context.type = 'text/plain'
      context.body = `sign-in failed: ${out.error}`
    },
    ttl: { AccessToken: hour, AuthorizationCode: 60, Grant: hour, IdToken: hour, Interaction: 600, Session: hour },
  }
}

/** The provider's own routes, and beside them the sign-in page. */
function serve(server: Server, provider: Provider, password: string): void {
  const callback = provider.callback()
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const answered = request.url?.startsWith(INTERACTION_PATH)
      ? interact(provider, password, request, response)
      : callback(request, response)
    answered.catch(() => {
      if (!response.headersSent) response.writeHead(500)
      response.end('sign-in failed')
    })
  })
}

async function interact(
  provider: Provider,
  password: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { prompt, params } = await provider.interactionDetails(request, response)
  if (request.method !== 'POST') {
    response.writeHead(200, { 'content-type': 'text/html' })
    response.end(
      '<form method="post"><input name="user"><input name="password" type="password"><button>ok</button></form>',
    )
    return
  }
  const form = new URLSearchParams(await readText(request))
  if (form.get('user') !== USER || form.get('password') !== password) {
    response.writeHead(401)
    response.end('wrong user or password')
    return
  }
  if (prompt.name === 'login') {
    await provider.interactionFinished(request, response, { login: { accountId: USER } })
    return
  }
  const grant = new provider.Grant({ clientId: String(params['client_id']), accountId: USER })
  grant.addOIDCScope('openid')
  await provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } })
}

async function login(issuer: string, clientId: string, redirectUri: string, password: string): Promise<string> {
  const application = await openid.discovery(
    new URL(issuer),
    clientId,
    { redirect_uris: [redirectUri] },
    openid.None(),
    { execute: [openid.allowInsecureRequests] }, // loopback only: ask() refuses every other host
  )
  const pkceCodeVerifier = openid.randomPKCECodeVerifier()
  const expectedNonce = openid.randomNonce()
  const expectedState = openid.randomState()
  const start = openid.buildAuthorizationUrl(application, {
    redirect_uri: redirectUri,
    scope: 'openid',
    code_challenge: await openid.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
    nonce: expectedNonce,
    state: expectedState,
  })
  const end = await browse(start.href, redirectUri, new URLSearchParams({ user: USER, password }))
  const tokens = await openid.authorizationCodeGrant(application, new URL(end), {
    pkceCodeVerifier,
    expectedNonce,
    expectedState,
    idTokenExpected: true,
  })
  if (tokens.id_token === undefined) throw new Error('the identity provider issued no ID token')
  return tokens.id_token
}

/** Alice's browser: keeps cookies, follows redirects, fills in the sign-in form; stops where the application takes over. */
async function browse(start: string, redirectUri: string, form: URLSearchParams): Promise<string> {
  const cookies = new Map<string, string>()
  let address = start
  let submitting = false
  for (let visits = 0; visits < REDIRECTS_MAX; visits += 1) {
    if (address.startsWith(`${redirectUri}?`)) return address
    const headers = { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') }
    const answer = await ask(address, submitting ? { method: 'POST', headers, form } : { headers })
    for (const cookie of answer.headers['set-cookie'] ?? []) keepCookie(cookies, cookie)
    if (answer.headers.location !== undefined) {
      address = new URL(answer.headers.location, address).href
      submitting = false
    } else if (answer.status === 200 && !submitting) {
      submitting = true
    } else {
      throw new Error(`sign-in stopped with status ${answer.status}`)
    }
  }
  throw new Error('sign-in went in circles')
}

function keepCookie(cookies: Map<string, string>, header: string): void {
  const [pair = ''] = header.split(';', 1)
  const at = pair.indexOf('=')
  const name = pair.slice(0, at)
  const value = pair.slice(at + 1)
  if (value === '') cookies.delete(name)
  else cookies.set(name, value)
}
