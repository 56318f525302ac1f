/** Checklist G #77-#86, L #111-#112: the `jwt-bearer` grant with an ID-JAG, as MCP Enterprise-Managed Authorization has it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { holderKey, jktOf, proving } from '../support/dpop.ts'
import { openAccess } from '../support/hops.ts'
import { enterpriseRegistry, idJag, invalidGrant, JWT_BEARER, redeem } from '../support/id-jag.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import {
  expectRefused,
  invalidClient,
  invalidDetails,
  invalidRequest,
  invalidScope,
  invalidTarget,
  type Refusal,
  toStranger,
} from '../support/refusal.ts'
import { CALENDAR, claimsOf, type Params, SLACK, startWorld, TYPE, WIKI, type World } from '../support/world.ts'

let idp: TestIssuer
let world: World
beforeAll(async () => {
  idp = await startIssuer({ slug: 'corp' })
  world = await startWorld({ issuer: idp, registry: enterpriseRegistry(idp) })
})
afterAll(async () => {
  await world.close()
  await idp.close()
})

type Named = Readonly<Record<string, unknown>>
const jag = (claims: Named = {}, header: Named = {}) => idJag(world, claims, header)
const refused = (assertion: () => string, refusal: Refusal, params: Params = {}, client?: string) =>
  expectRefused(world, () => redeem(world, assertion(), params, client), refusal)

async function granted(assertion: string, params: Params = {}, client?: string) {
  const { status, body } = await redeem(world, assertion, params, client)
  expect(status, JSON.stringify(body)).toBe(200)
  // biome-ignore lint/suspicious/noExplicitAny: claims of many shapes
  return { body, claims: claimsOf(body.access_token) as any }
}

const details = (...objects: object[]) => JSON.stringify(objects)
const wiki = (tools: object) => ({ type: 'mcp_tools', locations: [WIKI], tools })

describe('#81 granted is what is requested, and the assertion says, and policy allows', () => {
  test('an access token of the user and the agent, for the resource of the assertion', async () => {
    const amr = ['mfa', 'hwk']
    const { claims } = await granted(jag({ acr: 'urn:acr:high', amr }))
    const now = world.now()
    expect(claims).toMatchObject({ aud: WIKI, sub: 'user:corp:alice', client_id: 'orchestrator' })
    expect(claims).toMatchObject({ scope: 'mcp:tools:read', acr: 'urn:acr:high', amr, auth_time: now - 10 })
    expect(claims.act).toEqual({ iss: world.issuer, sub: 'agent:orchestrator', sub_profile: 'ai_agent' })
    expect(claims.origin).toEqual({ type: 'user_request', asserted_by: 'agent:orchestrator' })
    // The session of an assertion lives exactly as long as its one token, and no longer than the assertion.
    expect(claims.exp).toBe(now + 295)
  })

  test('the assertion bounds what the request spells out', async () => {
    const authorization_details = details(
      { type: 'agent_intent', purpose: 'Correct a page' },
      wiki({ search: {}, read_page: {}, edit_page: {} }),
    )
    const { claims } = await granted(jag({ scope: 'mcp:tools:write' }), { authorization_details })
    expect(claims.scope).toBe('mcp:tools:write')
    expect(claims.authorization_details).toEqual([wiki({ edit_page: {} })])
  })

  test('the request bounds the assertion: asking for less is given less, not refused (EMA §7.2.1)', async () => {
    const authorization_details = details(
      { type: 'agent_intent', purpose: 'Correct a page' },
      wiki({ search: {}, read_page: {}, edit_page: {} }),
    )
    const both = { scope: 'mcp:tools:read mcp:tools:write' }
    const { claims } = await granted(jag(both), { scope: 'mcp:tools:read', authorization_details })
    expect(claims.scope).toBe('mcp:tools:read')
  })

  test('policy bounds both: nothing left is an error', async () => {
    await refused(() => jag(), invalidScope('nothing_granted'), { scope: 'mcp:tools:write' })
    await refused(() => jag({ scope: 'mcp:tools:write' }), invalidScope('nothing_granted'))
    await refused(() => jag({ client_id: 'scribe' }), invalidDetails('standing_intent_missing'), {}, 'scribe')
  })

  test('a resource that the assertion does not name is not given', async () => {
    await refused(() => jag(), invalidTarget('resource_not_in_session'), { resource: SLACK })
    await refused(() => jag(), invalidTarget('resource_not_in_session'), { resource: [WIKI, SLACK] })
    await refused(() => jag(), invalidTarget('resource_unknown'), { resource: 'https://elsewhere.example/mcp' })
  })

  test('of several that it names, the request says which', async () => {
    const resource = [WIKI, CALENDAR]
    await refused(() => jag({ resource }), invalidTarget('target_ambiguous'))
    expect((await granted(jag({ resource }), { resource: CALENDAR })).claims.aud).toBe(CALENDAR)
    // As registered, however the assertion and the request spell it.
    const spelled = await granted(jag({ resource: 'https://WIKI.example:443/mcp/' }), { resource: `${WIKI}/` })
    expect(spelled.claims.aud).toBe(WIKI)
  })

  test('details of the assertion bound like the authority above', async () => {
    const authorization_details = [wiki({ search: {} })]
    // The wiki checks scopes only: "read" would open more than the assertion allows.
    await refused(() => jag({ authorization_details }), invalidTarget('resource_cannot_enforce'))
    const listing = [{ type: 'mcp_tools', locations: [CALENDAR], tools: { list_events: {} } }]
    const both = { resource: CALENDAR, authorization_details: listing }
    expect((await granted(jag({ ...both, scope: undefined }))).claims.authorization_details).toEqual(listing)
    const other = [{ type: 'mcp_tools', locations: [CALENDAR], tools: { free_busy: {} } }]
    await refused(() => jag({ ...both, authorization_details: other }), invalidScope('nothing_granted'))
  })
})

describe('DESIGN §3: what the work is for', () => {
  test('where the agent has no standing intent for the resource, it falls under the resource’s', async () => {
    const { claims } = await granted(jag({ resource: CALENDAR }))
    expect(claims.authorization_details).toEqual([
      { type: 'mcp_tools', locations: [CALENDAR], tools: { list_events: {} } },
    ])
  })

  test('where there is none, it is refused', async () => {
    await refused(() => jag({ resource: SLACK }), invalidDetails('standing_intent_missing'))
  })

  test('the resource’s is for enterprise-managed users only', async () => {
    const answer = await openAccess(world, { resource: CALENDAR, authorization_details: undefined })
    expect(answer.body.error_reason).toBe('resource_not_in_session')
  })
})

describe('#77 what is not an ID-JAG for this broker is no grant', () => {
  test.each<[string, Parameters<typeof invalidGrant>[0], Named, Named?]>([
    ['another typ', 'subject_token_wrong_type', {}, { typ: 'JWT' }],
    ['the typ of access tokens', 'subject_token_wrong_type', {}, { typ: 'at+jwt' }],
    ['the typ of client assertions', 'subject_token_wrong_type', {}, { typ: 'client-authentication+jwt' }],
    ['no typ', 'subject_token_wrong_type', {}, { typ: undefined }],
    ['another audience', 'subject_token_audience', { aud: 'https://other.example' }],
    ['the token endpoint', 'subject_token_audience', { aud: 'http://127.0.0.1:4400/token' }],
    ['the issuer with a slash', 'subject_token_audience', { aud: 'http://127.0.0.1:4400/' }],
    ['no audience', 'subject_token_audience', { aud: undefined }],
    ['no subject', 'subject_token_claims', { sub: undefined }],
    ['no time of issue', 'subject_token_claims', { iat: undefined }],
    ['no end', 'subject_token_claims', { exp: undefined }],
    ['an end that is past', 'subject_token_expired', { iat: 1, exp: 100 }],
  ])('%s', async (_what, reason, claims, header) => {
    await refused(() => jag(claims, header), invalidGrant(reason))
  })

  test('two audiences, one of them ours; a list of ours alone is ours', async () => {
    await refused(() => jag({ aud: [world.issuer, 'https://other.example'] }), invalidGrant('subject_token_audience'))
    await granted(jag({ aud: [world.issuer] }))
  })

  test('one that lives too long (EMA §7.4.2)', async () => {
    await refused(() => jag({ exp: world.now() + 3_600 }), invalidGrant('subject_token_claims'))
  })

  test('an issuer that is not configured costs no network access; one that is, must be trusted with ID-JAGs', async () => {
    const stranger = await startIssuer({ slug: 'stranger' })
    const theirs = () => idJag({ idp: stranger, issuer: world.issuer, now: () => world.now() })
    await refused(theirs, invalidGrant('subject_issuer_unknown'))
    expect(stranger.countRequests()).toBe(0)
    const own = await startWorld({ issuer: idp, registry: { agents: enterpriseRegistry(idp)['agents'] } })
    await expectRefused(own, () => redeem(own, jag()), invalidGrant('subject_token_type_unsupported'))
    await own.close()
    await stranger.close()
  })

  test('what is no JWT is no grant, and an assertion that is missing no request (RFC 7523 §3.1)', async () => {
    await refused(() => 'not-a-jwt', toStranger(invalidGrant('assertion_malformed')))
    await refused(() => '', toStranger(invalidRequest('parameter_missing')))
  })
})

test('#78 an ID-JAG for another client is no grant', async () => {
  await refused(() => jag({ client_id: 'orchestrator-twin' }), invalidGrant('assertion_client'))
  await refused(() => jag({ client_id: undefined }), invalidGrant('assertion_client'))
  await refused(() => jag({ client_id: ['orchestrator'] }), invalidGrant('assertion_client'))
  await refused(() => jag(), invalidGrant('assertion_client'), {}, 'orchestrator-twin')
})

describe('#79 an ID-JAG is used once, and must have an id', () => {
  test('without one, it is no grant', async () => {
    await refused(() => jag({ jti: undefined }), invalidGrant('subject_token_claims'))
  })

  test('a second time it is no grant, signed again or not', async () => {
    const assertion = jag({ jti: 'twice' })
    await granted(assertion)
    await refused(() => assertion, invalidGrant('assertion_replayed'))
    await refused(() => jag({ jti: 'twice', sub: 'bob' }), invalidGrant('assertion_replayed'))
  })

  test('one that was refused for what it says of policy is used up too; one that was not its own is not', async () => {
    const assertion = jag()
    await refused(() => assertion, invalidGrant('assertion_client'), {}, 'scribe')
    await refused(() => assertion, invalidScope('nothing_granted'), { scope: 'mcp:tools:write' })
    await refused(() => assertion, invalidGrant('assertion_replayed'))
  })
})

test('#80 an ID-JAG names MCP servers and scopes that are registered here, and no others', async () => {
  const wrong = invalidGrant('assertion_target')
  await refused(() => jag({ resource: undefined }), wrong)
  await refused(() => jag({ resource: [] }), wrong)
  await refused(() => jag({ resource: 7 }), wrong)
  await refused(() => jag({ resource: 'https://elsewhere.example/mcp' }), wrong)
  await refused(() => jag({ resource: [WIKI, 'https://elsewhere.example/mcp'] }), wrong)
  await refused(() => jag({ resource: `${world.issuer}/api` }), wrong)
  await refused(() => jag({ scope: 'mcp:tools:read wiki:all' }), wrong)
  // Registered, but not for this resource.
  await refused(() => jag({ resource: CALENDAR, scope: 'mcp:tools:write' }), wrong)
  await refused(
    () => jag({ authorization_details: [{ type: 'mcp_tools', locations: [SLACK], tools: { list_channels: {} } }] }),
    wrong,
  )
  await refused(() => jag({ authorization_details: [{ type: 'other' }] }), invalidGrant('subject_token_claims'))
})

test('ID-JAG §6: of an issuer that serves many tenants, only the one whose users these are', async () => {
  const wrong = invalidGrant('subject_token_claims')
  await refused(() => jag({ tenant: 'acme' }), wrong)
  await refused(() => jag({ aud_tenant: 'ours' }), wrong)
  const document = enterpriseRegistry(idp)
  const issuers = (document['issuers'] as object[]).map((entry) => ({ ...entry, id_jag_tenant: 'acme' }))
  const own = await startWorld({ issuer: idp, registry: { ...document, issuers } })
  expect((await redeem(own, jag({ tenant: 'acme' }))).status).toBe(200)
  for (const tenant of [undefined, 'umbrella', ['acme']]) {
    await expectRefused(own, () => redeem(own, jag({ tenant })), wrong)
  }
  await own.close()
})

test('#80 a server that takes tokens of another authorization server is none of ours', async () => {
  const document = enterpriseRegistry(idp)
  const url = 'https://theirs.example/mcp'
  const theirs = { id: 'theirs', url, owner: 'them', authorization_server: 'as', tools: { read: { category: 'read' } } }
  const own = await startWorld({
    issuer: idp,
    registry: {
      ...document,
      authorization_servers: [{ issuer: 'https://as.example', slug: 'as' }],
      resources: [...(document['resources'] as object[]), theirs],
    },
  })
  await expectRefused(own, () => redeem(own, jag({ resource: url })), invalidGrant('assertion_target'))
  await own.close()
})

test('#81 no scope is no authority, unless the issuer’s assertions are about identity only', async () => {
  await refused(() => jag({ scope: undefined }), invalidGrant('subject_token_claims'))
  await refused(() => jag({ scope: '' }), invalidGrant('subject_token_claims'))
  const own = await startWorld({ issuer: idp, registry: enterpriseRegistry(idp, 'identity_only') })
  expect((await redeem(own, jag({ scope: undefined }))).body.scope).toBe('mcp:tools:read')
  // What one does say bounds all the same.
  const write = jag({ scope: 'mcp:tools:write' })
  await expectRefused(own, () => redeem(own, write), invalidScope('nothing_granted'))
  await own.close()
})

describe('#82 an ID-JAG and the key it is bound to (ID-JAG, Proof-of-Possession)', () => {
  const key = holderKey()
  const bound = () => jag({ cnf: { jkt: jktOf(key) } })
  const sent = (assertion: string, headers: Record<string, string>) =>
    redeem(world, assertion, {}, 'orchestrator', headers)

  test('without the proof, or with that of another key, it is no grant', async () => {
    const unproven = invalidGrant('subject_token_unproven')
    await refused(bound, unproven)
    await expectRefused(world, () => sent(bound(), proving(world, holderKey('other'))), unproven)
  })

  test('with it, the token carries the same key', async () => {
    const { status, body } = await sent(bound(), proving(world, key))
    expect(status, JSON.stringify(body)).toBe(200)
    expect(body.token_type).toBe('DPoP')
    expect(claimsOf(body.access_token)['cnf']).toEqual({ jkt: jktOf(key) })
  })

  test('one that is not bound gives a bound token to whoever proves a key', async () => {
    const { body } = await sent(jag(), proving(world, key))
    expect(claimsOf(body.access_token)['cnf']).toEqual({ jkt: jktOf(key) })
  })

  test('bound in a way that nobody here can check, it is no grant', async () => {
    await refused(() => jag({ cnf: {} }), invalidGrant('subject_token_claims'))
    await refused(() => jag({ cnf: { kid: 'k' } }), invalidGrant('subject_token_claims'))
    await refused(() => jag({ cnf: { jkt: 'short' } }), invalidGrant('subject_token_claims'))
  })

  test('a resource that takes bound tokens only gives none without a proof', async () => {
    const document = enterpriseRegistry(idp)
    const resources = (document['resources'] as object[]).map((entry) => ({ ...entry, sender_constraint: 'required' }))
    const own = await startWorld({ issuer: idp, registry: { ...document, resources } })
    await expectRefused(own, () => redeem(own, jag()), invalidGrant('sender_constraint_required'))
    await own.close()
  })
})

test('#83 an ID-JAG of this broker’s own is for another authorization server', async () => {
  const own = jag({ iss: world.issuer })
  await refused(() => own, invalidGrant('subject_token_presenter'))
})

test('#84 the answer names the granted resource, scope and details, and no refresh token', async () => {
  const { body } = await granted(jag())
  expect(body).toEqual({
    access_token: expect.any(String),
    issued_token_type: TYPE.access,
    token_type: 'Bearer',
    expires_in: 295,
    resource: WIKI,
    scope: 'mcp:tools:read',
    authorization_details: [wiki({ read_page: {}, search: {} })],
    txn: expect.stringMatching(/^txn_/),
    decision_id: expect.any(String),
  })
})

describe('#86 one JWT fills one slot', () => {
  test('a client assertion is no grant, and an ID-JAG no client assertion, subject or actor', async () => {
    const assertion = world.assertion('orchestrator')
    await refused(() => assertion, invalidGrant('subject_issuer_unknown'))
    const authentication = { ...world.authentication('orchestrator'), client_assertion: jag() }
    await expectRefused(
      world,
      () => world.post('/token', { grant_type: JWT_BEARER, ...authentication, assertion: jag() }),
      invalidClient('client_unknown'),
    )
    const subject_token = jag({ aud: 'orchestrator-at-idp' })
    await expectRefused(world, () => world.open({ subject_token }), invalidRequest('subject_token_wrong_type'))
    const actor = { actor_token: jag(), actor_token_type: TYPE.jwt }
    await expectRefused(world, () => world.open(actor), invalidRequest('actor_mismatch'))
  })
})

test('the client must be registered for the grant, and the user known here', async () => {
  const agents = (enterpriseRegistry(idp)['agents'] as { grant_types: string[] }[]).map((agent) => ({
    ...agent,
    grant_types: ['token-exchange'],
  }))
  const own = await startWorld({ issuer: idp, registry: { ...enterpriseRegistry(idp), agents } })
  const unauthorized: Refusal = { status: 400, error: 'unauthorized_client', reason: 'grant_type_not_allowed' }
  await expectRefused(own, () => redeem(own, jag()), unauthorized)
  await own.close()
  await refused(() => jag({ sub: 'nobody' }), invalidGrant('user_not_listed'))
  await refused(() => jag({ sub: 'mallory' }), invalidGrant('user_inactive'))
  await refused(() => jag({ may_act: { sub: 'agent:scribe' } }), invalidGrant('may_act_mismatch'))
  await refused(() => jag({ act: { iss: 'https://x.example', sub: 'y' } }), invalidGrant('foreign_actor_not_accepted'))
})

describe('#111, #112: metadata', () => {
  test('says that ID-JAGs are taken where they are, and nobody’s name', async () => {
    const { body } = await world.request('/.well-known/oauth-authorization-server')
    expect(body.authorization_grant_profiles_supported).toEqual(['urn:ietf:params:oauth:grant-profile:id-jag'])
    expect(body.grant_types_supported).toContain(JWT_BEARER)
    const text = JSON.stringify(body)
    for (const secret of [idp.url, 'corp', 'orchestrator']) expect(text).not.toContain(secret)
  })

  test('says nothing of it where they are not', async () => {
    const own = await startWorld({ issuer: idp })
    const { body } = await own.request('/.well-known/oauth-authorization-server')
    expect(body).not.toHaveProperty('authorization_grant_profiles_supported')
    expect(body.grant_types_supported).not.toContain(JWT_BEARER)
    await own.close()
  })
})
