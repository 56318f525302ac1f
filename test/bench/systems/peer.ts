/**
 * The peer: the token exchange that an experienced team would build on `oidc-provider` 9 today, with its own extension
 * points. The same algorithms, client authentication, IdP, clients, users and servers as Errand, on the same redis-server.
 *
 * It does: `private_key_jwt` with replay detection; the subject token's signature (cached key set), issuer, audience (this
 * client's at the IdP), times, and whether the user is active; which scopes of the server the client may have; an RFC 9068
 * access token for one server with `act`. Of its own tokens, exchanged again: signature, times, and the client.
 *
 * It does not: intents, constraints, sessions and trees of delegations, grants and denies by user, an audit record,
 * revocation (the package keeps no record of an access token that is a JWT). What makes it faster is done: one `SET … EX`
 * where the usual adapter sends a transaction, commands of one tick sent together, clients in memory, no logging, no grants.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Redis } from 'ioredis'
import { createLocalJWKSet, createRemoteJWKSet, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose'
import OidcProvider, * as oidc from 'oidc-provider'
import { keyPair } from '../company.ts'
import { answerCalls } from '../rpc.ts'
import { usageHandlers } from '../usage.ts'

export interface PeerOrder {
  readonly issuer: string
  readonly redisUrl: string
  readonly idp: string
  readonly clients: readonly { readonly clientId: string; readonly upstreamId: string; readonly publicJwk: unknown }[]
  readonly users: readonly string[]
  /** By URL, the scopes that clients may have there. */
  readonly resources: Readonly<Record<string, readonly string[]>>
}

/** As much of the package's interface as is used here: it ships no types of its own. */
interface Context {
  readonly oidc: {
    readonly params: Readonly<Record<string, string | undefined>>
    readonly client: { readonly clientId: string }
    entity(name: string, value: unknown): void
  }
  actor?: unknown
  body?: unknown
}
interface AccessToken {
  scope: string
  resourceServer: unknown
  readonly expiration: number
  readonly tokenType: string
  save(): Promise<string>
}
interface Provider {
  readonly AccessToken: new (of: { accountId: string; client: unknown; gty: string }) => AccessToken
  readonly ResourceServer: new (identifier: string, info: unknown) => unknown
  registerGrantType(name: string, handler: (context: Context) => Promise<void>, params: readonly string[]): void
  callback(): Parameters<typeof createServer>[1]
}
const { errors } = oidc as unknown as { errors: Readonly<Record<string, new (description: string) => Error>> }
const refused = (name: string, description: string): Error => new (errors[name] ?? Error)(description)

const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const ACCESS_TOKEN_TYPE = 'urn:ietf:params:oauth:token-type:access_token'
const ID_TOKEN_TYPE = 'urn:ietf:params:oauth:token-type:id_token'
const ACCESS_TOKEN_SECONDS = 300

answerCalls({
  ...usageHandlers(),
  start: async (order: PeerOrder): Promise<{ port: number }> => {
    const signer = keyPair('peer-key')
    const provider = createProvider(order, signer)
    provider.registerGrantType(TOKEN_EXCHANGE, tokenExchange(provider, order, signer.publicJwk), [
      'subject_token',
      'subject_token_type',
      'requested_token_type',
      'resource',
      'scope',
    ])
    const server = createServer(provider.callback())
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return { port: (server.address() as AddressInfo).port }
  },
})

function createProvider(order: PeerOrder, signer: ReturnType<typeof keyPair>): Provider {
  const configuration = {
    adapter: redisAdapter(new Redis(order.redisUrl, { enableAutoPipelining: true })),
    jwks: { keys: [{ ...signer.privateKey.export({ format: 'jwk' }), kid: signer.kid, alg: 'ES256', use: 'sig' }] },
    clients: order.clients.map(({ clientId, publicJwk }) => ({
      client_id: clientId,
      grant_types: [TOKEN_EXCHANGE],
      redirect_uris: [],
      response_types: [],
      token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_signing_alg: 'ES256',
      jwks: { keys: [publicJwk] },
    })),
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    clientAuthMethods: ['private_key_jwt'],
    enabledJWA: { clientAuthSigningAlgValues: ['ES256'] },
    scopes: [],
    ttl: { AccessToken: ACCESS_TOKEN_SECONDS },
    extraTokenClaims: (context: Context) => ({ act: context.actor }),
    features: {
      devInteractions: { enabled: false },
      resourceIndicators: { enabled: true, getResourceServerInfo: (_: Context, url: string) => serverInfo(order, url) },
    },
  }
  const construct = OidcProvider as unknown as new (issuer: string, configuration: unknown) => Provider
  return new construct(order.issuer, configuration)
}

function serverInfo({ resources }: PeerOrder, url: string) {
  const scopes = resources[url]
  if (scopes === undefined) throw refused('InvalidTarget', 'not a registered server')
  return {
    scope: scopes.join(' '),
    audience: url,
    accessTokenTTL: ACCESS_TOKEN_SECONDS,
    accessTokenFormat: 'jwt',
    jwt: { sign: { alg: 'ES256' } },
  }
}

function tokenExchange(provider: Provider, order: PeerOrder, ownKey: object) {
  const { AccessToken, ResourceServer } = provider
  const upstream = new Map(order.clients.map(({ clientId, upstreamId }) => [clientId, upstreamId]))
  const users = new Set(order.users)
  const idpKeys = createRemoteJWKSet(new URL(`${order.idp}/jwks`), { cacheMaxAge: 600_000 })
  const ownKeys = createLocalJWKSet({ keys: [ownKey as never] })

  const verifySubject = async (context: Context): Promise<JWTPayload> => {
    const { params, client } = context.oidc
    const token = params['subject_token'] ?? ''
    if (params['subject_token_type'] === ID_TOKEN_TYPE) {
      const audience = upstream.get(client.clientId) ?? ''
      const claims = await verifyJwt(token, idpKeys, { issuer: order.idp, audience })
      if (!users.has(claims.sub ?? '')) throw refused('InvalidRequest', 'not an active user')
      return claims
    }
    if (params['subject_token_type'] !== ACCESS_TOKEN_TYPE) throw refused('InvalidRequest', 'subject_token_type')
    const claims = await verifyJwt(token, ownKeys, { issuer: order.issuer, typ: 'at+jwt' })
    if (claims['client_id'] !== client.clientId) throw refused('InvalidRequest', 'issued to another client')
    return claims
  }

  return async (context: Context): Promise<void> => {
    const { params, client } = context.oidc
    const subject = await verifySubject(context)
    const url = params['resource'] ?? ''
    const info = serverInfo(order, url)
    const allowed = new Set(info.scope.split(' '))
    const scope = (params['scope'] ?? '').split(' ').filter((member) => allowed.has(member))
    if (scope.length === 0) throw refused('InvalidScope', 'nothing of what was asked for may be had')
    const act = subject['act']
    context.actor = { sub: client.clientId, ...(act === undefined ? {} : { act }) }
    const token = new AccessToken({ accountId: subject.sub ?? '', client, gty: 'token_exchange' })
    token.resourceServer = new ResourceServer(url, info)
    token.scope = scope.join(' ')
    context.oidc.entity('AccessToken', token)
    context.body = {
      access_token: await token.save(),
      issued_token_type: ACCESS_TOKEN_TYPE,
      expires_in: token.expiration,
      scope: token.scope,
      token_type: token.tokenType,
    }
  }
}

async function verifyJwt(
  token: string,
  keys: JWTVerifyGetKey,
  expected: { issuer: string; audience?: string; typ?: string },
): Promise<JWTPayload> {
  try {
    const options = { ...expected, algorithms: ['ES256'], requiredClaims: ['sub', 'exp', 'iat'] }
    return (await jwtVerify(token, keys, options)).payload
  } catch (cause) {
    throw refused('InvalidRequest', cause instanceof Error ? cause.message : 'the subject token does not verify')
  }
}

/** oidc-provider's adapter contract, as far as tokens and replay detection need it. */
function redisAdapter(redis: Redis) {
  return class {
    readonly #model: string

    constructor(model: string) {
      this.#model = model
    }

    async upsert(id: string, payload: unknown, expiresInSeconds: number): Promise<void> {
      await redis.set(this.#key(id), JSON.stringify(payload), 'EX', expiresInSeconds)
    }

    async find(id: string): Promise<unknown> {
      const text = await redis.get(this.#key(id))
      return text === null ? undefined : JSON.parse(text)
    }

    async destroy(id: string): Promise<void> {
      await redis.del(this.#key(id))
    }

    #key(id: string): string {
      return `oidc:${this.#model}:${id}`
    }
  }
}
