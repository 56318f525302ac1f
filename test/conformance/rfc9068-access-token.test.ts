/** Checklist F 69–76: the issued token, read by verifiers nobody here wrote, and the answer that carries it. */
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'
import * as oauth from 'oauth4webapi'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type Claims,
  details,
  type Grant,
  granted,
  intent,
  openAccess,
  openDeep,
  tools,
  type Walk,
  walk,
} from '../support/hops.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { publicJwk, testKey } from '../support/keys.ts'
import {
  CALENDAR,
  headerOf,
  INTENT,
  registryDocument,
  SLACK,
  startWorld,
  TYPE,
  WAREHOUSE,
  type World,
} from '../support/world.ts'

let world: World
let hops: Walk
let calendar: Grant
beforeAll(async () => {
  world = await startWorld()
  hops = await walk(world)
  calendar = await granted(
    openAccess(world, {
      resource: CALENDAR,
      authorization_details: details(intent(), tools(CALENDAR, { free_busy: {} })),
    }),
  )
})
afterAll(() => world.close())

const jwks = async (): Promise<JSONWebKeySet> => (await world.request('/jwks')).body

/** As an MCP server that trusts the published metadata only. */
async function verifyAsServer(token: string, audience: string): Promise<Claims> {
  const fetchFromBroker = async (url: string) => world.broker.app.request(new URL(url).pathname)
  const metadata = await oauth.processDiscoveryResponse(
    new URL(world.issuer),
    await world.broker.app.request('/.well-known/oauth-authorization-server'),
  )
  const request = new Request(audience, { headers: { authorization: `Bearer ${token}` } })
  return oauth.validateJwtAccessToken(metadata, request, audience, {
    [oauth.customFetch]: fetchFromBroker,
    [oauth.allowInsecureRequests]: true,
  })
}

describe('RFC 9068 §2 the access token', () => {
  test('RFC 9068 §2.1 its header has typ at+jwt, an asymmetric alg and a kid of the published key set', async () => {
    // 69
    const { keys } = await jwks()
    for (const [grant, alg] of [
      [hops.access, 'ES256'],
      [calendar, 'RS256'],
    ] as const) {
      const header = headerOf(grant.token)
      expect(Object.keys(header).sort()).toEqual(['alg', 'kid', 'typ'])
      expect(header).toMatchObject({ typ: 'at+jwt', alg })
      const published = keys.filter(({ kid }) => kid === header['kid'])
      expect(published).toHaveLength(1)
      expect(published[0]).toMatchObject({ alg, use: 'sig' })
    }
  })

  test('RFC 9068 §2.2 it has iss, exp, aud, sub, client_id, iat, jti and, as scopes were granted, scope', () => {
    // 69
    for (const { claims } of [hops.access, calendar]) {
      for (const name of ['iss', 'aud', 'sub', 'client_id', 'jti', 'scope'])
        expect(typeof claims[name], name).toBe('string')
      for (const name of ['exp', 'iat', 'rv', 'not_after']) expect(Number.isSafeInteger(claims[name]), name).toBe(true)
      expect(claims.scope).not.toBe('')
    }
    expect(new Set([hops.access.claims.jti, calendar.claims.jti]).size).toBe(2)
  })

  test('RFC 9068 §4 oauth4webapi verifies it against the published keys, ES256 and RS256 alike', async () => {
    // 69, 70
    const es256 = await verifyAsServer(hops.access.token, WAREHOUSE)
    expect(es256).toMatchObject({ sub: 'user:corp:alice', client_id: 'scribe', aud: WAREHOUSE })
    const rs256 = await verifyAsServer(calendar.token, CALENDAR)
    expect(rs256).toMatchObject({ sub: 'user:corp:alice', client_id: 'orchestrator', aud: CALENDAR })
  })

  test('RFC 9068 §4 jose verifies it, and refuses it for another audience, another issuer and after its end', async () => {
    const keys = createLocalJWKSet(await jwks())
    const options = { issuer: world.issuer, audience: WAREHOUSE, typ: 'at+jwt' }
    await jwtVerify(hops.access.token, keys, options)
    await expect(jwtVerify(hops.access.token, keys, { ...options, audience: SLACK })).rejects.toThrow(/aud/)
    await expect(jwtVerify(hops.access.token, keys, { ...options, issuer: `${world.issuer}/` })).rejects.toThrow(/iss/)
    const after = { ...options, currentDate: new Date((hops.access.claims.exp + 1) * 1000) }
    await expect(jwtVerify(hops.access.token, keys, after)).rejects.toThrow(/exp/)
  })

  test('RFC 9068 §4 a server cannot take a session or delegation token for an access token: their keys are not published', async () => {
    const keys = createLocalJWKSet(await jwks())
    for (const { token } of [hops.root, hops.toResearcher, hops.researcher]) {
      await expect(jwtVerify(token, keys)).rejects.toThrow(/no applicable key/)
      await expect(verifyAsServer(token, world.issuer)).rejects.toThrow()
    }
  })

  test('RFC 9068 §3 aud is one resource, byte for byte as registered, however the request spelled it', async () => {
    // 71
    const { token } = await openDeep(world)
    for (const spelling of [
      WAREHOUSE,
      'https://WAREHOUSE.example/mcp',
      'https://warehouse.example:443/mcp',
      `${WAREHOUSE}/`,
    ]) {
      const { claims } = await granted(world.continue(token, { resource: spelling }))
      expect(claims.aud, spelling).toBe(WAREHOUSE)
    }
    const { claims } = await granted(world.continue(token, { resource: undefined, audience: 'warehouse' }))
    expect(claims.aud).toBe(WAREHOUSE)
  })

  test('exp − iat is minutes, never more than configured for the broker or the resource', async () => {
    // 74
    expect(hops.access.claims.exp - hops.access.claims.iat).toBe(300)
    const idp = await startIssuer({ slug: 'corp' })
    const resources = (registryDocument(idp)['resources'] as object[]).map((one) => ({
      ...one,
      access_token_seconds: 45,
    }))
    const hasty = await startWorld({ issuer: idp, registry: { resources }, settings: { accessTokenSeconds: 120 } })
    try {
      const { claims } = await granted(openAccess(hasty))
      expect(claims.exp - claims.iat).toBe(45)
    } finally {
      await hasty.close()
      await idp.close()
    }
  })

  test('an access token opened at once has a session that lives exactly as long as it', async () => {
    const { claims } = await granted(openAccess(world))
    expect(claims.not_after).toBe(claims.exp)
    expect(claims.exp - claims.iat).toBe(300)
  })
})

describe('RFC 8693 §2.2.1 the answer', () => {
  test.each([
    ['session', () => hops.root, TYPE.session, 'N_A'],
    ['delegation', () => hops.toResearcher, TYPE.delegation, 'N_A'],
    ['access', () => hops.access, TYPE.access, 'Bearer'],
  ] as const)('of a %s token names its type, its life, its scope and its details', (_kind, grant, type, name) => {
    // 72, 73
    const { body, claims } = grant()
    expect(Object.keys(body).sort()).toEqual([
      'access_token',
      'authorization_details',
      'decision_id',
      'expires_in',
      'issued_token_type',
      'scope',
      'token_type',
      'txn',
    ])
    expect(body).toMatchObject({ issued_token_type: type, token_type: name, scope: claims.scope })
    expect(body.expires_in).toBe(claims.exp - claims.iat)
    expect(body.authorization_details).toEqual(claims.authorization_details)
    expect(body).not.toHaveProperty('refresh_token')
  })

  test('RFC 6749 §5.1 it is JSON and not to be stored, and its decision can be looked up', async () => {
    const answer = await world.open()
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(answer.headers.get('content-type')).toMatch(/^application\/json/)
    const record = (await world.audit()).find(({ id }) => id === answer.body.decision_id)
    expect(record).toMatchObject({ outcome: 'granted', event: 'session.open', by: 'agent:orchestrator' })
  })

  test('RFC 8693 §2.2.1 an API token has its scope and no details', async () => {
    const { body, claims } = await granted(
      world.clientCredentials('orchestrator', { resource: `${world.issuer}/api`, scope: 'sessions' }),
    )
    expect(body).toMatchObject({ token_type: 'Bearer', scope: 'sessions', issued_token_type: TYPE.access })
    expect(claims).toMatchObject({ sub: 'agent:orchestrator', aud: `${world.issuer}/api` })
    expect(claims).not.toHaveProperty('sid')
    expect(body).not.toHaveProperty('authorization_details')
  })
})

describe('RFC 9700 §4.15 names', () => {
  test('a user, an agent and a service that share a name are three principals', async () => {
    // 75
    const idp: TestIssuer = await startIssuer({ slug: 'corp' })
    const document = registryDocument(idp)
    const [agent] = document['agents'] as Record<string, unknown>[]
    const keys = [{ ...publicJwk(testKey('alice-key')), version: '1' }]
    const agents = [{ ...agent, client_id: 'alice', keys, delegates: [], upstream: { corp: 'alice' } }]
    const users = [
      { issuer: 'corp', sub: 'alice', groups: ['finance'] },
      { issuer: 'corp', sub: 'agent:alice', groups: ['finance'] },
    ]
    const named = await startWorld({ issuer: idp, registry: { agents, users } })
    try {
      const asking = { resource: WAREHOUSE, authorization_details: details(...INTENT) }
      const as = (sub: string) =>
        named.exchange('alice', {
          ...asking,
          subject_token: named.idToken({ sub, aud: 'alice' }),
          subject_token_type: TYPE.id,
        })
      const alone = details(intent({ origin: { type: 'schedule' } }), tools(WAREHOUSE, { list_tables: {} }))
      const subs = [
        await granted(as('alice')),
        await granted(as('agent:alice')),
        await granted(named.clientCredentials('alice', { resource: WAREHOUSE, authorization_details: alone })),
      ].map(({ claims }) => claims.sub)
      expect(subs).toEqual(['user:corp:alice', 'user:corp:agent:alice', 'agent:alice'])
    } finally {
      await named.close()
      await idp.close()
    }
  })

  test('one sub at two issuers is two principals', async () => {
    const [first, second] = [await startIssuer({ slug: 'corp' }), await startIssuer({ slug: 'acme' })]
    const document = registryDocument(first)
    const [corp] = document['issuers'] as Record<string, unknown>[]
    const acme = { ...corp, issuer: second.url, slug: 'acme', jwks_uri: `${second.url}/jwks` }
    const agents = (document['agents'] as Record<string, unknown>[]).map((agent) =>
      agent['client_id'] === 'orchestrator'
        ? { ...agent, upstream: { corp: 'orchestrator-at-idp', acme: 'orchestrator-at-idp' } }
        : agent,
    )
    const users = [...(document['users'] as object[]), { issuer: 'acme', sub: 'alice', groups: [] }]
    const two = await startWorld({ issuer: first, registry: { issuers: [corp, acme], agents, users } })
    try {
      expect((await granted(two.open())).claims.sub).toBe('user:corp:alice')
      const now = two.now()
      const other = second
        .sign({ sub: 'alice', aud: 'orchestrator-at-idp', iat: now, exp: now + 600, auth_time: now })
        .reveal()
      // The namesake has no grants: those of corp's alice are not hers.
      const answer = await two.open({ subject_token: other })
      expect(answer.body).toMatchObject({ error: 'invalid_scope', error_reason: 'nothing_granted' })
    } finally {
      await two.close()
      await first.close()
      await second.close()
    }
  })
})

describe('what a token keeps to itself', () => {
  const everything = () => Object.values(hops).map(({ token }) => token)

  test('no prose of the intent is in any token: it is named by a salted hash, differently in every session', async () => {
    // 76
    const purposes = ['Summarise Q3 revenue', 'Find the Q3 revenue figures', 'Write them down']
    for (const token of everything()) {
      const text = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()
      for (const purpose of purposes) expect(text).not.toContain(purpose)
    }
    const [one, two] = [await openDeep(world), await openDeep(world)]
    expect(one.claims.intent).toMatch(/^[A-Za-z0-9_-]{43}$/)
    expect(one.claims.intent).not.toBe(two.claims.intent)
    expect(hops.access.claims.intent).toBe(hops.scribe.claims.intent)
    expect(hops.scribe.claims.intent).not.toBe(hops.researcher.claims.intent)
  })

  test('no input token, nor anything of the user’s profile that nobody asked for, is in any token', async () => {
    // 76
    const subject = world.idToken({ email: 'alice@corp.example', name: 'Alice', groups: ['treasury'], nonce: 'n-0S6' })
    const { token, claims } = await granted(world.open({ subject_token: subject }))
    const text = JSON.stringify(claims)
    for (const part of subject.split('.')) expect(token).not.toContain(part)
    for (const word of ['alice@corp.example', 'Alice', 'treasury', 'n-0S6', 'orchestrator-at-idp']) {
      expect(text).not.toContain(word)
    }
  })

  test('RFC 8693 §4.4 may_act of the subject is obeyed and never copied', async () => {
    const { claims } = await granted(
      world.open({ subject_token: world.idToken({ may_act: { sub: 'agent:orchestrator' } }) }),
    )
    expect(claims).not.toHaveProperty('may_act')
  })

  test('auth_time, acr and amr of the user’s sign-in are passed on, as RFC 9068 §2.2.1 has them', async () => {
    const subject_token = world.idToken({ acr: 'phr', amr: ['hwk', 'pin'] })
    const { claims } = await granted(openAccess(world, { subject_token }))
    expect(claims).toMatchObject({ acr: 'phr', amr: ['hwk', 'pin'], auth_time: expect.any(Number) })
  })

  test('every token is small enough for a header', () => {
    for (const token of everything()) expect(token.length).toBeLessThanOrEqual(6 * 1024)
  })
})

test('rv is the sequence number the broker had applied: a cut-off written in between makes the next one higher', async () => {
  const before = await openDeep(world)
  const { body } = await world.revoke((await openDeep(world)).token)
  const after = await openDeep(world)
  expect(before.claims.rv).toBeLessThan(body.revoked.seq)
  expect(after.claims.rv).toBeGreaterThanOrEqual(body.revoked.seq)
})
