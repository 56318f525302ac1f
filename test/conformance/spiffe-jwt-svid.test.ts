/** JWT-SVIDs as client authentication (SPIFFE JWT-SVID, draft-ietf-oauth-spiffe-client-auth): what is accepted, and what is not. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { JWT_SVID_LIFETIME_S_MAX } from '../../src/kernel/credential-limits.ts'
import type { RejectionReason } from '../../src/kernel/rejection.ts'
import { startIssuer } from '../support/issuer.ts'
import { sign, type TestAlg, testKey, unsigned } from '../support/keys.ts'
import { expectRefused, invalidClient, invalidRequest } from '../support/refusal.ts'
import { jwtAuthority, startTrustDomain, type TestTrustDomain } from '../support/trust-domain.ts'
import { type Answer, type Params, registryDocument, startWorld, TYPE, WIKI, type World } from '../support/world.ts'

type Members = Record<string, unknown>

const SVID = 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe'
let domain: TestTrustDomain
let world: World

beforeEach(async () => {
  const idp = await startIssuer({ slug: 'corp' })
  domain = await startTrustDomain('example.org', { now: () => world.now() })
  world = await startWorld({ issuer: idp, registry: spiffeRegistry(registryDocument(idp), [domain.entry]) })
})
afterEach(async () => {
  await Promise.all([world.close(), domain.close()])
  await world.idp.close()
})

/** The orchestrator also as two workloads, of two versions; the researcher as another; the wiki's server as one. */
function spiffeRegistry(document: Members, domains: readonly unknown[]): Members {
  const bound: Readonly<Record<string, readonly unknown[]>> = {
    orchestrator: [
      { id: 'spiffe://example.org/ns/agents/sa/orchestrator', version: '3' },
      { id: 'spiffe://example.org/ns/agents/sa/orchestrator-next', version: '4' },
    ],
    researcher: [{ id: 'spiffe://example.org/researcher', version: '1' }],
    'wiki-server': [{ id: 'spiffe://example.org/wiki', version: '1' }],
  }
  const withIds = (entries: unknown) =>
    (entries as Members[]).map((entry) => ({ ...entry, spiffe_ids: bound[entry['client_id'] as string] ?? [] }))
  return {
    trust_domains: domains,
    agents: withIds(document['agents']),
    services: withIds(document['services']),
  }
}

const ORCHESTRATOR = '/ns/agents/sa/orchestrator'
const svid = (claims: Members = {}, header: Members = {}): string =>
  domain.svid(ORCHESTRATOR, world.issuer, claims, header)
const by = (assertion: string, more: Params = {}): Promise<Answer> =>
  world.post('/token', {
    grant_type: 'client_credentials',
    resource: WIKI,
    client_assertion_type: SVID,
    client_assertion: assertion,
    ...more,
  })
const accepted = async (answer: Promise<Answer>): Promise<Answer> => {
  const { status, body } = await answer
  expect(status, JSON.stringify(body)).toBe(200)
  return await answer
}

describe('an SVID', () => {
  test('#19 authenticates its client without iss and jti, as the version its SPIFFE ID is bound to', async () => {
    await accepted(by(svid()))
    await accepted(by(domain.svid(`${ORCHESTRATOR}-next`, world.issuer)))
    const records = (await world.audit()).filter(({ event }) => event === 'token.autonomous')
    expect(records.map(({ agent }) => agent)).toEqual([
      { id: 'orchestrator', version: '4' },
      { id: 'orchestrator', version: '3' },
    ])
    expect(records[1].client_auth).toMatchObject({ method: 'spiffe_jwt', credential: domain.id(ORCHESTRATOR) })
  })

  test('#47 is presented again until it expires, as workloads re-read theirs; each use is recorded under one name', async () => {
    const same = svid()
    for (const _ of [1, 2, 3]) await accepted(by(same))
    const names = (await world.audit()).map(({ client_auth }) => client_auth.reusable_assertion)
    expect([names.length, new Set(names).size]).toEqual([3, 1])
    await world.advance(331)
    await expectRefused(world, () => by(same), invalidClient('client_assertion_expired'))
  })

  test('opens a session for a user, introspects and revokes: it is client authentication like any other', async () => {
    const assertion = { client_assertion_type: SVID, client_assertion: svid() }
    const opened = await accepted(world.open(assertion))
    const wiki = { client_assertion_type: SVID, client_assertion: domain.svid('/wiki', world.issuer) }
    await accepted(world.post('/introspect', { ...wiki, token: 'a.b.c' }))
    await accepted(world.post('/revoke', { ...assertion, token: opened.body.access_token }))
  })

  test.each<[TestAlg, string]>([
    ['ES384', 'ES384'],
    ['RS256', 'RS256'],
    ['PS256', 'PS256'],
  ])('#40 may be signed with %s, also where the bundle does not say the algorithm', async (alg, named) => {
    const key = testKey('of-the-domain', alg)
    domain.bundle = { keys: [jwtAuthority(key, 'k2')] }
    const assertion = sign({ key, header: { alg: named, kid: 'k2' }, claims: claims() }).reveal()
    await accepted(by(assertion))
  })

  test('#40 may lack typ and kid, and its typ may be JOSE, in any case', async () => {
    for (const header of [{ typ: undefined, kid: undefined }, { typ: 'JOSE' }, { typ: 'jwt' }]) {
      await accepted(by(svid({}, header)))
    }
  })

  test('may come with the client_id it is registered for, or its SPIFFE ID', async () => {
    for (const client_id of ['orchestrator', domain.id(ORCHESTRATOR)]) await accepted(by(svid(), { client_id }))
    for (const client_id of ['researcher', domain.id('/researcher'), 'nobody']) {
      const refused = invalidClient('client_assertion_claims')
      await expectRefused(world, () => by(svid(), { client_id }), refused)
    }
  })
})

const claims = (more: Members = {}): Members => ({
  sub: domain.id(ORCHESTRATOR),
  aud: [world.issuer],
  exp: world.now() + 60,
  ...more,
})

describe('refused is', () => {
  const broken: readonly (readonly [string, () => string, RejectionReason])[] = [
    ['#40 another typ', () => svid({}, { typ: 'at+jwt' }), 'client_assertion_claims'],
    ['#42 a WIT-SVID', () => svid({ aud: undefined }, { typ: 'wit+jwt' }), 'client_assertion_claims'],
    ['an assertion by typ', () => svid({}, { typ: 'client-authentication+jwt' }), 'client_assertion_claims'],
    ['#40 no aud', () => svid({ aud: undefined }), 'client_assertion_audience'],
    ['#40 an empty aud', () => svid({ aud: [] }), 'client_assertion_audience'],
    [
      '#19 an aud beside ours',
      () => svid({ aud: [world.issuer, 'https://other.example'] }),
      'client_assertion_audience',
    ],
    ['the token endpoint as aud', () => svid({ aud: `${world.issuer}/token` }), 'client_assertion_audience'],
    ['another aud', () => svid({ aud: 'https://other.example' }), 'client_assertion_audience'],
    ['#40 no exp', () => svid({ exp: undefined }), 'client_assertion_claims'],
    ['an expired one', () => svid({ exp: world.now() - 31, iat: world.now() - 90 }), 'client_assertion_expired'],
    ['one made in the future', () => svid({ iat: world.now() + 90 }), 'client_assertion_claims'],
    ['one not valid yet', () => svid({ nbf: world.now() + 90 }), 'client_assertion_claims'],
    [
      'one for longer than an hour',
      () => svid({ exp: world.now() + JWT_SVID_LIFETIME_S_MAX + 60 }),
      'client_assertion_lifetime',
    ],
    ['no sub', () => svid({ sub: undefined }), 'client_assertion_claims'],
    ['the client id as sub', () => svid({ sub: 'orchestrator' }), 'client_assertion_claims'],
    ['a sub that is a list', () => svid({ sub: [domain.id(ORCHESTRATOR)] }), 'client_assertion_claims'],
    ['another workload', () => domain.svid('/ns/agents/sa/other', world.issuer), 'client_unknown'],
    ['a workload below', () => domain.svid(`${ORCHESTRATOR}/child`, world.issuer), 'client_unknown'],
    ['the trust domain itself', () => domain.svid('', world.issuer), 'client_unknown'],
    ['another case of the path', () => domain.svid('/ns/agents/sa/Orchestrator', world.issuer), 'client_unknown'],
    [
      'another case of the domain',
      () => svid({ sub: `spiffe://EXAMPLE.org${ORCHESTRATOR}` }),
      'client_assertion_claims',
    ],
    ['a trailing slash', () => svid({ sub: `${domain.id(ORCHESTRATOR)}/` }), 'client_assertion_claims'],
    ['a dot segment', () => svid({ sub: domain.id('/ns/agents/sa/x/../orchestrator') }), 'client_assertion_claims'],
    ['percent-encoding', () => svid({ sub: domain.id('/ns/agents/sa/%6frchestrator') }), 'client_assertion_claims'],
    ['#40 a domain nobody configured', () => svid({ sub: `spiffe://other.example${ORCHESTRATOR}` }), 'client_unknown'],
    ['an unknown kid', () => svid({}, { kid: 'other' }), 'client_assertion_signature'],
    [
      'a stranger key of that kid',
      () => sign({ key: testKey('stranger'), header: { kid: 'authority' }, claims: claims() }).reveal(),
      'client_assertion_signature',
    ],
    [
      "the client's own key",
      () => sign({ key: testKey('orchestrator-key'), header: {}, claims: claims() }).reveal(),
      'client_assertion_signature',
    ],
    [
      '#40 EdDSA',
      () => sign({ key: testKey('ed', 'Ed25519'), header: { kid: 'authority' }, claims: claims() }).reveal(),
      'client_assertion_signature',
    ],
    [
      'an unsecured JWT',
      () => `${unsigned({ key: domain.key, header: {}, claims: claims() }).reveal()}AA`,
      'client_assertion_signature',
    ],
    ['a token inside', () => svid({}, { cty: 'JWT' }), 'client_assertion_malformed'],
    ['a key it brings along', () => svid({}, { jwk: {} }), 'client_assertion_malformed'],
  ]

  test.each(broken)('%s', async (_, assertion, reason) => {
    await expectRefused(world, () => by(assertion()), invalidClient(reason))
  })

  test.each([
    ['#40 published for X.509-SVIDs', { use: 'x509-svid' }],
    ['#42 published for WIT-SVIDs', { use: 'wit-svid' }],
    ['published for signatures in general', { use: 'sig' }],
    ['published for no use', { use: undefined }],
    ['whose use is spelled otherwise', { use: 'JWT-SVID' }],
    ['without a kid', { kid: undefined }],
    ['published to encrypt', { key_ops: ['encrypt'] }],
  ])('one signed with a key %s', async (_, change: Members) => {
    domain.bundle = { keys: [{ ...jwtAuthority(domain.key, 'authority'), ...change }] }
    await expectRefused(world, () => by(svid({}, { kid: undefined })), invalidClient('client_assertion_signature'))
    await expectRefused(world, () => by(svid()), invalidClient('client_assertion_signature'))
  })

  test('an SVID of a suspended agent, once it is known whose it is', async () => {
    const idp = await startIssuer({ slug: 'corp' })
    const registry = spiffeRegistry(registryDocument(idp), [domain.entry])
    const agents = (registry['agents'] as Members[]).map((agent) => ({ ...agent, state: 'suspended' }))
    const other = await startWorld({ issuer: idp, registry: { ...registry, agents } })
    try {
      const request = () =>
        other.post('/token', {
          grant_type: 'client_credentials',
          resource: WIKI,
          client_assertion_type: SVID,
          client_assertion: svid({ aud: other.issuer }),
        })
      await expectRefused(other, request, invalidRequest('agent_inactive'))
    } finally {
      await other.close()
      await idp.close()
    }
  })

  test('a private_key_jwt called an SVID, and an SVID called private_key_jwt', async () => {
    const wrong = world.assertion('orchestrator')
    await expectRefused(world, () => by(wrong), invalidClient('client_assertion_claims'))
    const jwtBearer = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
    for (const [assertion, reason] of [
      [svid(), 'client_assertion_claims'],
      [svid({ iss: 'orchestrator' }), 'client_assertion_signature'],
    ] as const) {
      const request = () => by(assertion, { client_assertion_type: jwtBearer })
      await expectRefused(world, request, invalidClient(reason))
    }
  })

  test('an SVID beside a secret: one method per request', async () => {
    const request = () => by(svid(), { client_secret: 'x' })
    const refusal = { status: 400, error: 'invalid_request', stranger: true } as const
    await expectRefused(world, request, { ...refusal, reason: 'client_authentication_ambiguous' })
  })

  test('an SVID as a user: no user stands behind it', async () => {
    const request = () => world.open({ subject_token: svid(), subject_token_type: TYPE.id })
    await expectRefused(world, request, invalidRequest('subject_issuer_unknown'))
  })
})

test('discovery names the method where a trust domain is configured, and nowhere else', async () => {
  const path = '/.well-known/oauth-authorization-server'
  const { body } = await world.request(path)
  for (const endpoint of ['token', 'introspection', 'revocation']) {
    expect(body[`${endpoint}_endpoint_auth_methods_supported`]).toContain('spiffe_jwt')
  }
  const plain = await startWorld()
  try {
    const { body } = await plain.request(path)
    expect(body.token_endpoint_auth_methods_supported).not.toContain('spiffe_jwt')
  } finally {
    await plain.close()
  }
})
