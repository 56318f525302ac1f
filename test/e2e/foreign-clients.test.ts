/**
 * Clients and verifiers that nobody here wrote, over a real socket: what they take for an authorization server, a token
 * response, an access token, an introspection or a revocation is what we are held to.
 */
import { createRemoteJWKSet, errors as joseErrors, jwtVerify } from 'jose'
import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type BrokerProcess, type Fleet, startFleet } from '../support/broker-process.ts'
import { freePort } from '../support/free-port.ts'
import { privateJwk, testKey } from '../support/keys.ts'
import { CALENDAR, DELEGATED, INTENT, patient, SLACK, TYPE, WAREHOUSE, WIKI } from '../support/world.ts'

const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'

let fleet: Fleet
let broker: BrokerProcess
let issuer: URL

beforeAll(async () => {
  const port = await freePort()
  fleet = await startFleet((directory) => ({
    store: { kind: 'embedded', directory: `${directory}/store` },
    settings: { issuer: `http://127.0.0.1:${port}` },
  }))
  broker = patient(await fleet.start({ port }))
  issuer = new URL(fleet.issuer)
})
afterAll(() => fleet?.close())

function importKey(client: string): Promise<oauth.CryptoKey> {
  const jwk = privateJwk(testKey(`${client}-key`))
  return crypto.subtle.importKey('jwk', jwk, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign'])
}

describe('openid-client', () => {
  async function connect(client: string, algorithm: 'oauth2' | 'oidc' = 'oauth2'): Promise<openid.Configuration> {
    const authentication = openid.PrivateKeyJwt({ key: await importKey(client), kid: `${client}-key` })
    return openid.discovery(issuer, client, undefined, authentication, {
      algorithm,
      execute: [openid.allowInsecureRequests],
    })
  }

  const open = async (config: openid.Configuration, more: Record<string, string> = {}) =>
    openid.genericGrantRequest(config, TOKEN_EXCHANGE, {
      subject_token: broker.idToken(),
      subject_token_type: TYPE.id,
      requested_token_type: TYPE.session,
      authorization_details: JSON.stringify(INTENT),
      ...more,
    })

  test.each(['oauth2', 'oidc'] as const)('discovers the broker (%s)', async (algorithm) => {
    const metadata = (await connect('orchestrator', algorithm)).serverMetadata()
    expect(metadata.issuer).toBe(fleet.issuer)
    expect(metadata.token_endpoint).toBe(`${fleet.issuer}/token`)
    expect(metadata.grant_types_supported).toContain(TOKEN_EXCHANGE)
  })

  test('plays the whole story: open, continue, delegate, accept, introspect, revoke', async () => {
    const [orchestrator, researcher, warehouse] = await Promise.all([
      connect('orchestrator'),
      connect('researcher'),
      connect('warehouse-server'),
    ])
    const opened = await open(orchestrator)
    // RFC 8693 §2.2.1: what is no access token has the type N_A.
    expect(opened).toMatchObject({ issued_token_type: TYPE.session, token_type: 'n_a' })
    const access = await openid.genericGrantRequest(orchestrator, TOKEN_EXCHANGE, {
      subject_token: opened.access_token,
      subject_token_type: TYPE.session,
      resource: WAREHOUSE,
    })
    expect(access).toMatchObject({ issued_token_type: TYPE.access, token_type: 'bearer', scope: 'mcp:tools:read' })
    expect(access.expiresIn()).toBeGreaterThan(290)
    const delegated = await openid.genericGrantRequest(orchestrator, TOKEN_EXCHANGE, {
      subject_token: opened.access_token,
      subject_token_type: TYPE.session,
      requested_token_type: TYPE.delegation,
      audience: 'researcher',
      authorization_details: JSON.stringify(DELEGATED),
    })
    const accepted = await openid.genericGrantRequest(researcher, TOKEN_EXCHANGE, {
      subject_token: delegated.access_token,
      subject_token_type: TYPE.delegation,
      resource: WAREHOUSE,
    })
    for (const [token, actor] of [
      [access.access_token, 'orchestrator'],
      [accepted.access_token, 'researcher'],
    ] as const) {
      const live = await openid.tokenIntrospection(warehouse, token)
      expect(live).toMatchObject({ active: true, client_id: actor, aud: WAREHOUSE, act: { sub: `agent:${actor}` } })
    }
    await openid.tokenRevocation(orchestrator, opened.access_token)
    for (const token of [access.access_token, accepted.access_token]) {
      expect(await openid.tokenIntrospection(warehouse, token)).toEqual({ active: false })
    }
    // RFC 7009 §2.2: revoking what is dead, or never was, is a success.
    await openid.tokenRevocation(orchestrator, opened.access_token)
    await openid.tokenRevocation(orchestrator, 'never-issued', { token_type_hint: 'access_token' })
  })

  test('sends several resources, and reads a refusal as RFC 6749 §5.2 has it', async () => {
    const config = await connect('orchestrator')
    const params = new URLSearchParams([
      ['subject_token', broker.idToken()],
      ['subject_token_type', TYPE.id],
      ['requested_token_type', TYPE.session],
      ['authorization_details', JSON.stringify(INTENT)],
      ['resource', WAREHOUSE],
      ['resource', SLACK],
    ])
    const opened = await openid.genericGrantRequest(config, TOKEN_EXCHANGE, params)
    const details = opened['authorization_details'] as { type: string; locations?: string[] }[]
    expect(details.flatMap((detail) => detail.locations ?? []).sort()).toEqual([SLACK, WAREHOUSE])
    const refusal = await openid
      .genericGrantRequest(config, TOKEN_EXCHANGE, {
        subject_token: opened.access_token,
        subject_token_type: TYPE.session,
        resource: WIKI,
      })
      .catch((error: unknown) => error)
    expect(refusal).toBeInstanceOf(openid.ResponseBodyError)
    expect(refusal).toMatchObject({ error: 'invalid_target', status: 400 })
    expect((refusal as openid.ResponseBodyError).cause).toMatchObject({ error_reason: 'resource_not_in_session' })
  })

  test('is refused with a stranger’s key as invalid_client', async () => {
    const authentication = openid.PrivateKeyJwt({ key: await importKey('stranger'), kid: 'orchestrator-key' })
    const config = await openid.discovery(issuer, 'orchestrator', undefined, authentication, {
      algorithm: 'oauth2',
      execute: [openid.allowInsecureRequests],
    })
    await expect(open(config)).rejects.toMatchObject({ error: 'invalid_client', status: 401 })
  })

  test('gets tokens of its own by client_credentials: for the API, and for a server of its standing intent', async () => {
    const config = await connect('orchestrator')
    const api = await openid.clientCredentialsGrant(config, { resource: `${fleet.issuer}/api`, scope: 'sessions' })
    expect(api).toMatchObject({ token_type: 'bearer', scope: 'sessions' })
    const wiki = await openid.clientCredentialsGrant(config, { resource: WIKI })
    expect(wiki).toMatchObject({ token_type: 'bearer', scope: 'mcp:tools:read' })
    const listed = await openid.fetchProtectedResource(
      config,
      api.access_token,
      new URL(`${fleet.issuer}/sessions`),
      'GET',
    )
    expect(listed.status).toBe(200)
  })
})

describe('oauth4webapi', () => {
  const insecure = { [oauth.allowInsecureRequests]: true } as const

  const discover = async (algorithm: 'oauth2' | 'oidc' = 'oauth2') =>
    oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm, ...insecure }))

  const authenticate = async (client: string) =>
    oauth.PrivateKeyJwt({ key: await importKey(client), kid: `${client}-key` })

  async function accessTo(resource: string, tools: Record<string, object>): Promise<oauth.TokenEndpointResponse> {
    const [as, client] = [await discover(), { client_id: 'orchestrator' }]
    const details = [
      { type: 'agent_intent', purpose: 'Be verified by others' },
      { type: 'mcp_tools', locations: [resource], tools },
    ]
    const response = await oauth.genericTokenEndpointRequest(
      as,
      client,
      await authenticate('orchestrator'),
      TOKEN_EXCHANGE,
      {
        subject_token: broker.idToken(),
        subject_token_type: TYPE.id,
        resource,
        authorization_details: JSON.stringify(details),
      },
      insecure,
    )
    return oauth.processGenericTokenEndpointResponse(as, client, response)
  }

  const bearer = (token: string, resource: string) =>
    new Request(resource, { headers: { authorization: `Bearer ${token}` } })

  test.each(['oauth2', 'oidc'] as const)('discovers the broker (%s)', async (algorithm) => {
    expect(await discover(algorithm)).toMatchObject({ issuer: fleet.issuer, jwks_uri: `${fleet.issuer}/jwks` })
  })

  test('client_credentials, introspection and revocation as it reads them (RFC 6749 §4.4, 7662, 7009)', async () => {
    const as = await discover()
    const client = { client_id: 'orchestrator' }
    const granted = await oauth.processClientCredentialsResponse(
      as,
      client,
      await oauth.clientCredentialsGrantRequest(
        as,
        client,
        await authenticate('orchestrator'),
        { resource: WIKI },
        insecure,
      ),
    )
    const server = { client_id: 'wiki-server' }
    const introspect = async () =>
      oauth.processIntrospectionResponse(
        as,
        server,
        await oauth.introspectionRequest(as, server, await authenticate('wiki-server'), granted.access_token, insecure),
      )
    const live = await introspect()
    expect(live).toMatchObject({ active: true, iss: fleet.issuer, aud: WIKI, sub: 'agent:orchestrator' })
    expect(live).not.toHaveProperty('act')
    await oauth.processRevocationResponse(
      await oauth.revocationRequest(as, client, await authenticate('orchestrator'), granted.access_token, insecure),
    )
    expect(await introspect()).toEqual({ active: false })
  })

  test.each([
    ['ES256', WAREHOUSE, { query: { table: { const: 'revenue' } } }],
    ['RS256', CALENDAR, { list_events: {} }],
  ])('takes our %s access token for an RFC 9068 one, at its resource and nowhere else', async (alg, resource, tools) => {
    const as = await discover()
    const { access_token: token } = await accessTo(resource, tools)
    const claims = await oauth.validateJwtAccessToken(as, bearer(token, resource), resource, insecure)
    expect(claims).toMatchObject({
      iss: fleet.issuer,
      sub: 'user:corp:alice',
      client_id: 'orchestrator',
      act: { sub: 'agent:orchestrator' },
      scope: 'mcp:tools:read',
    })
    expect(JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString())).toMatchObject({
      alg,
      typ: 'at+jwt',
    })
    const elsewhere = oauth.validateJwtAccessToken(as, bearer(token, WIKI), WIKI, insecure)
    await expect(elsewhere).rejects.toMatchObject({ code: oauth.JWT_CLAIM_COMPARISON })
  })
})

describe('jose', () => {
  async function issued() {
    const opened = await broker.open()
    const access = await broker.continue(opened.body.access_token)
    expect(access.status, JSON.stringify(access.body)).toBe(200)
    return { session: opened.body.access_token as string, access: access.body.access_token as string }
  }
  const jwks = () => createRemoteJWKSet(new URL(`${fleet.issuer}/jwks`))
  const rules = () => ({ issuer: fleet.issuer, audience: WAREHOUSE, typ: 'at+jwt', algorithms: ['ES256'] })

  test('verifies an access token with the published keys, found by its kid', async () => {
    const { access } = await issued()
    const { payload, protectedHeader } = await jwtVerify(access, jwks(), {
      ...rules(),
      requiredClaims: ['iss', 'sub', 'aud', 'exp', 'iat', 'jti', 'client_id', 'scope', 'sid'],
    })
    expect(payload.aud).toBe(WAREHOUSE)
    expect(protectedHeader.kid).toEqual(expect.any(String))
  })

  test('finds no key for a session token: it cannot be taken for anything outside', async () => {
    const { session } = await issued()
    await expect(jwtVerify(session, jwks())).rejects.toBeInstanceOf(joseErrors.JWKSNoMatchingKey)
  })

  test('refuses an access token with one claim changed', async () => {
    const { access } = await issued()
    const [header = '', payload = '', signature = ''] = access.split('.')
    const claims = { ...JSON.parse(Buffer.from(payload, 'base64url').toString()), scope: 'mcp:tools:destructive' }
    const forged = [header, Buffer.from(JSON.stringify(claims)).toString('base64url'), signature].join('.')
    await expect(jwtVerify(forged, jwks(), rules())).rejects.toBeInstanceOf(joseErrors.JWSSignatureVerificationFailed)
  })
})
