/** Discovery: standards.md §8, section L (109–114), and mcp.md §1a for what unmodified clients need of it. */
import {
  constants,
  createPublicKey,
  generateKeyPairSync,
  type JsonWebKey,
  sign as signBytes,
  verify,
} from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { PUBLISH_SECONDS, rotate } from '../../src/keys/key-files.ts'
import { KEEP_SECONDS } from '../../src/keys/ring-view.ts'
import { expectRefused } from '../support/refusal.ts'
import {
  CALENDAR,
  claimsOf,
  headerOf,
  INTENT,
  type Params,
  registryDocument,
  startWorld,
  TYPE,
  WAREHOUSE,
  WIKI,
  type World,
} from '../support/world.ts'

let world: World
/** The same broker behind a path. */
let tenant: World
const BASE = '/tenants/one'
beforeAll(async () => {
  world = await startWorld()
  tenant = await startWorld({ settings: { issuer: `https://sts.example${BASE}` } })
})
afterAll(async () => {
  await Promise.all([world.close(), tenant.close()])
})

const OAUTH = '/.well-known/oauth-authorization-server'
const OPENID = '/.well-known/openid-configuration'

const metadata = async (at: World, path = OAUTH) => (await at.request(path)).body

describe('109: the issuer and where it is found', () => {
  test('RFC 8414 §3.1: an issuer with a path has its metadata at the inserted path, and nowhere else', async () => {
    const { status, body } = await tenant.request(`${OAUTH}${BASE}`)
    expect([status, body.issuer]).toEqual([200, `https://sts.example${BASE}`])
    for (const path of [OAUTH, `${BASE}${OAUTH}`, `${OAUTH}${BASE}/`, `${OAUTH}/tenants/two`, `${OAUTH}/tenants`]) {
      const refusal = { status: 404, error: 'not_found', reason: 'route_unknown', stranger: true } as const
      await expectRefused(tenant, () => tenant.request(path), refusal)
    }
  })

  test('OpenID Connect Discovery §4: the alias is at the inserted and at the appended path', async () => {
    const inserted = await metadata(tenant, `${OPENID}${BASE}`)
    expect(await metadata(tenant, `${BASE}${OPENID}`)).toEqual(inserted)
    expect(inserted).toMatchObject(await metadata(tenant, `${OAUTH}${BASE}`))
    expect((await tenant.request(OPENID)).status).toBe(404)
  })

  test('RFC 8414 §3.3: the issuer is the same string everywhere, and every endpoint lives below it', async () => {
    const document = await metadata(tenant, `${OAUTH}${BASE}`)
    const issuer = tenant.issuer
    expect(document.issuer).toBe(issuer)
    for (const [name, value] of Object.entries(document)) {
      if (name.endsWith('_endpoint') || name === 'jwks_uri') expect(String(value).startsWith(`${issuer}/`)).toBe(true)
    }
    const token = await tenant.post(`${BASE}/token`, opening(tenant))
    expect(token.status, JSON.stringify(token.body)).toBe(200)
    expect(claimsOf(token.body.access_token)).toMatchObject({ iss: issuer, aud: issuer, act: { iss: issuer } })
    const access = await tenant.post(`${BASE}/token`, {
      ...opening(tenant),
      requested_token_type: TYPE.access,
      resource: WAREHOUSE,
    })
    expect(claimsOf(access.body.access_token)['iss']).toBe(issuer)
    expect((await tenant.request('/token', { method: 'POST' })).status).toBe(404)
    expect((await tenant.request(`${BASE}/jwks`)).status).toBe(200)
  })

  test('RFC 8414 §3.3: it comes from configuration: Host and forwarding headers change nothing (H82)', async () => {
    const plain = await metadata(world)
    const headers = {
      Host: 'evil.example',
      'X-Forwarded-Host': 'evil.example',
      'X-Forwarded-Proto': 'https',
      'X-Forwarded-Prefix': '/evil',
      Forwarded: 'host=evil.example;proto=https',
    }
    const spoofed = await world.request(`http://evil.example${OAUTH}`, { headers })
    expect(spoofed.body).toEqual(plain)
    const opened = await world.post('/token', opening(world), headers)
    expect(JSON.stringify(claimsOf(opened.body.access_token))).not.toContain('evil')
  })

  test('RFC 8414 §2: the issuer has no trailing slash, query or fragment', async () => {
    for (const issuer of [world.issuer, tenant.issuer]) expect(issuer).toMatch(/^https?:\/\/[^?#]*[^/?#]$/)
  })
})

function opening(at: World): Params {
  return {
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    ...at.authentication('orchestrator'),
    subject_token: at.idToken(),
    subject_token_type: TYPE.id,
    requested_token_type: TYPE.session,
    authorization_details: JSON.stringify(INTENT),
  }
}

describe('110 and 111: what the document says', () => {
  test('RFC 8414 §2: it lists what this broker does, and nothing that it does not', async () => {
    const document = await metadata(world)
    const { scopes_supported, ...rest } = document
    const algorithms = expect.arrayContaining(['ES256', 'RS256'])
    expect(rest).toEqual({
      issuer: world.issuer,
      token_endpoint: `${world.issuer}/token`,
      introspection_endpoint: `${world.issuer}/introspect`,
      revocation_endpoint: `${world.issuer}/revoke`,
      jwks_uri: `${world.issuer}/jwks`,
      authorization_endpoint: `${world.issuer}/authorize`,
      response_types_supported: [],
      code_challenge_methods_supported: ['S256'],
      dpop_signing_alg_values_supported: ['ES256', 'ES384', 'Ed25519', 'EdDSA', 'PS256', 'RS256'],
      grant_types_supported: ['client_credentials', 'urn:ietf:params:oauth:grant-type:token-exchange'],
      authorization_details_types_supported: ['agent_intent', 'mcp_tools'],
      token_endpoint_auth_methods_supported: ['private_key_jwt'],
      token_endpoint_auth_signing_alg_values_supported: algorithms,
      introspection_endpoint_auth_methods_supported: ['private_key_jwt'],
      introspection_signing_alg_values_supported: ['ES256'],
      introspection_endpoint_auth_signing_alg_values_supported: algorithms,
      revocation_endpoint_auth_methods_supported: ['private_key_jwt'],
      revocation_endpoint_auth_signing_alg_values_supported: algorithms,
    })
    // Not the scopes that open nothing yet (evaluate, revocations).
    expect(scopes_supported).toEqual(['mcp:tools:destructive', 'mcp:tools:read', 'mcp:tools:write', 'sessions'])
    // The list above is closed: no EMA profile, no CIMD, no identity chaining until they exist (ID-JAG §7).
  })

  test('RFC 8414 §2: no algorithm is symmetric or none', async () => {
    const lists = Object.entries(await metadata(world)).filter(([name]) => name.endsWith('_alg_values_supported'))
    expect(lists).toHaveLength(5)
    for (const algorithm of lists.flatMap(([, list]) => list as string[])) {
      expect(algorithm).toMatch(/^(ES|RS|PS)(256|384|512)$|^Ed25519$|^EdDSA$/)
    }
  })

  test('RFC 8414 §2: every algorithm offered for client authentication works', async () => {
    const document = await metadata(world)
    const offered = document.token_endpoint_auth_signing_alg_values_supported as string[]
    const clients = offered.map((alg) => ({ alg, ...keyFor(alg) }))
    const own = await startWorld({
      issuer: world.idp,
      registry: {
        services: (registryDocument(world.idp)['services'] as object[]).concat(
          clients.map(({ alg, publicKey }) => ({
            client_id: `by-${alg}`,
            keys: [{ ...publicKey.export({ format: 'jwk' }), kid: alg, alg, use: 'sig', version: '1' }],
            api_scopes: ['revocations'],
            grant_types: ['client_credentials'],
          })),
        ),
      },
    })
    for (const { alg, privateKey, hash, signing } of clients) {
      const claims = { iss: `by-${alg}`, sub: `by-${alg}`, aud: own.issuer, exp: own.now() + 60, jti: alg }
      const input = [{ alg, kid: alg }, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      const signature = signBytes(hash, Buffer.from(input.join('.')), { key: privateKey, ...signing })
      const answer = await own.post('/token', {
        grant_type: 'client_credentials',
        resource: `${own.issuer}/api`,
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: [...input, signature.toString('base64url')].join('.'),
      })
      expect([alg, answer.status], JSON.stringify(answer.body)).toEqual([alg, 200])
    }
    await own.close()
  })

  test('OpenID Connect Discovery §3: the alias adds the members that its clients require', async () => {
    expect(await metadata(world, OPENID)).toEqual({
      ...(await metadata(world)),
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['ES256'],
    })
  })

  test('RFC 6749 §4.1.2.1: the authorization endpoint says why it is not used', async () => {
    for (const query of ['', '?response_type=code&client_id=orchestrator&redirect_uri=https%3A%2F%2Fevil.example']) {
      const refusal = {
        status: 400,
        error: 'unsupported_response_type',
        reason: 'response_type_unsupported',
        stranger: true,
      } as const
      const { answer } = await expectRefused(world, () => world.request(`/authorize${query}`), refusal)
      expect(answer.headers.get('location')).toBeNull()
      expect(answer.body.error_description).toMatch(/exchange/)
    }
  })
})

describe('112: what the document does not say', () => {
  test('ID-JAG §8: no issuers, users, agents, servers, or policy are listed', async () => {
    const text = JSON.stringify([await metadata(world), await metadata(world, OPENID), await metadata(world, '/jwks')])
    const secrets = [
      world.idp.url,
      'corp',
      'alice',
      'finance',
      'orchestrator',
      'researcher',
      'warehouse',
      'slack',
      'wiki',
    ]
    for (const secret of secrets) expect(text).not.toContain(secret)
  })
})

describe('113 and 114: keys', () => {
  const keysOf = async (at: World) => (await metadata(at, '/jwks')).keys as (JsonWebKey & Record<string, unknown>)[]

  test('RFC 7517 §4: public members only, each key with its own kid, alg and use', async () => {
    const keys = await keysOf(world)
    expect(keys.length).toBeGreaterThanOrEqual(2)
    expect(new Set(keys.map(({ kid }) => kid)).size).toBe(keys.length)
    for (const key of keys) {
      const members = { EC: ['crv', 'x', 'y'], RSA: ['n', 'e'], OKP: ['crv', 'x'] }[key.kty ?? ''] ?? []
      expect(Object.keys(key).sort()).toEqual([...members, 'alg', 'kid', 'kty', 'use'].sort())
      expect(key['use']).toBe('sig')
      expect(String(key['kid']).length).toBeGreaterThan(10)
    }
    expect(new Set(keys.map((key) => key['alg']))).toEqual(new Set(['ES256', 'RS256']))
  })

  test('RFC 9068 §2.1: access tokens verify with a published key of their algorithm; session tokens with none', async () => {
    const keys = await keysOf(world)
    const { session } = await world.opened()
    const wiki = await world.clientCredentials('orchestrator', { resource: WIKI })
    const calendarDetails = [
      { type: 'agent_intent', purpose: 'See what is on', origin: { type: 'schedule' } },
      { type: 'mcp_tools', locations: [CALENDAR], tools: { list_events: {} } },
    ]
    const calendar = await world.clientCredentials('orchestrator', {
      resource: CALENDAR,
      authorization_details: JSON.stringify(calendarDetails),
    })
    for (const [answer, alg] of [
      [await world.continue(session), 'ES256'],
      [wiki, 'ES256'],
      [calendar, 'RS256'],
    ] as const) {
      expect(answer.status, JSON.stringify(answer.body)).toBe(200)
      const header = headerOf(answer.body.access_token)
      const key = keys.find(({ kid }) => kid === header['kid'])
      expect([header['alg'], header['typ'], key?.['alg']]).toEqual([alg, 'at+jwt', alg])
      expect(verifies(answer.body.access_token, key ?? {})).toBe(true)
    }
    const delegation = (await world.delegate(session)).body.access_token
    for (const token of [session, delegation]) {
      expect(keys.map(({ kid }) => kid)).not.toContain(headerOf(token)['kid'])
      expect(keys.some((key) => verifies(token, key))).toBe(false)
    }
  })

  test('RFC 8725 §3.12: a key signs one class of tokens; no kid is shared between kinds', async () => {
    const { session } = await world.opened()
    const access = (await world.continue(session)).body.access_token
    const delegation = (await world.delegate(session)).body.access_token
    const api = await world.apiToken()
    const kid = (token: string) => headerOf(token)['kid']
    expect(kid(session)).toBe(kid(delegation))
    expect(kid(access)).toBe(kid(api))
    expect(kid(session)).not.toBe(kid(access))
    const described = world.broker.ring.describe(world.now())
    expect(new Set(described.map((key) => key.kid)).size).toBe(described.length)
    expect(new Set(described.map((key) => key.class))).toEqual(new Set(['access', 'internal', 'statement']))
  })

  test('RFC 7517 §5: a new key is published before it signs, the old one until its last token is over (H68)', async () => {
    const own = await startWorld({ issuer: world.idp })
    const kids = async () => (await keysOf(own)).map(({ kid }) => kid)
    const signedBy = async () => headerOf(await own.apiToken())['kid']
    const old = await signedBy()
    const request = { class: 'access', alg: 'ES256', now: own.now(), development: true } as const
    const next = await rotate(own.config.keys.directory, request)
    await own.broker.reloadKeys()
    expect(await kids()).toEqual(expect.arrayContaining([old, next.kid]))
    await own.advance(PUBLISH_SECONDS - 1)
    expect(await signedBy(), 'announced, not used yet').toBe(old)
    await own.advance(1)
    expect(await signedBy()).toBe(next.kid)
    await own.advance(KEEP_SECONDS.access - 1)
    expect(await kids(), 'verifiers may still meet its tokens').toContain(old)
    await own.advance(1)
    expect(await kids()).not.toContain(old)
    expect(await signedBy()).toBe(next.kid)
    await own.close()
  })
})

const CURVES: Readonly<Record<string, string>> = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' }

/** A key pair and how node:crypto signs with it. */
function keyFor(alg: string) {
  const hash = alg.startsWith('Ed') ? null : `sha${alg.slice(2)}`
  const namedCurve = CURVES[alg]
  if (namedCurve !== undefined) {
    return { ...generateKeyPairSync('ec', { namedCurve }), hash, signing: { dsaEncoding: 'ieee-p1363' } as const }
  }
  if (hash === null) return { ...generateKeyPairSync('ed25519'), hash, signing: {} }
  const padding = alg.startsWith('PS') ? constants.RSA_PKCS1_PSS_PADDING : constants.RSA_PKCS1_PADDING
  const pss = alg.startsWith('PS') ? { saltLength: constants.RSA_PSS_SALTLEN_DIGEST } : {}
  return { ...generateKeyPairSync('rsa', { modulusLength: 2048 }), hash, signing: { padding, ...pss } }
}

/** With node:crypto alone. */
function verifies(token: string, jwk: JsonWebKey): boolean {
  const [header = '', payload = '', signature = ''] = token.split('.')
  try {
    const key = createPublicKey({ key: jwk, format: 'jwk' })
    const options = { key, dsaEncoding: 'ieee-p1363' } as const
    return verify('sha256', Buffer.from(`${header}.${payload}`), options, Buffer.from(signature, 'base64url'))
  } catch {
    return false
  }
}

describe('reading it from a browser or through a cache', () => {
  const documents = [OAUTH, OPENID, '/jwks']

  test.each(documents)('Fetch §3.2: %s may be read by pages of any origin, credentials apart', async (path) => {
    const { headers, status } = await world.request(path, { headers: { Origin: 'https://client.example' } })
    expect([status, headers.get('access-control-allow-origin')]).toEqual([200, '*'])
    expect(headers.get('access-control-allow-credentials')).toBeNull()
    const preflight = await world.request(path, {
      method: 'OPTIONS',
      headers: {
        Origin: 'https://client.example',
        'Access-Control-Request-Method': 'GET',
        'Access-Control-Request-Headers': 'mcp-protocol-version',
      },
    })
    expect([preflight.status, preflight.body]).toEqual([204, undefined])
    expect(preflight.headers.get('access-control-allow-headers')?.toLowerCase()).toContain('mcp-protocol-version')
    expect(preflight.headers.get('access-control-allow-methods')).toBe('GET')
  })

  test.each(
    documents,
  )('RFC 9111 §5.2: %s may be cached for minutes, no longer than a key is announced', async (path) => {
    const { headers } = await world.request(path)
    expect(headers.get('cache-control')).toBe('public, max-age=300')
    expect(headers.get('content-type')).toBe('application/json')
  })

  test.each(documents)('RFC 9110 §9.3.2: HEAD of %s answers as GET would, POST is refused', async (path) => {
    const head = await world.request(path, { method: 'HEAD' })
    expect([head.status, head.body, head.headers.get('content-type')]).toEqual([200, undefined, 'application/json'])
    const refusal = { status: 405, error: 'invalid_request', reason: 'method_not_allowed', stranger: true } as const
    const { answer } = await expectRefused(world, () => world.request(path, { method: 'POST', body: 'x' }), refusal)
    expect(answer.headers.get('allow')?.split(', ')).toContain('GET')
  })
})
