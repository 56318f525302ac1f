/** Checklist G #77-#84: the `jwt-bearer` grant with an ID-JAG, as MCP Enterprise-Managed Authorization asks for it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { RejectionReason } from '../../src/kernel/rejection.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { expectRefused, invalidTarget, type Refusal } from '../support/refusal.ts'
import { type Answer, claimsOf, type Params, registryDocument, startWorld, WIKI, type World } from '../support/world.ts'

const invalidGrant = (reason: RejectionReason): Refusal => ({ status: 400, error: 'invalid_grant', reason })
const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'

let idp: TestIssuer
let world: World
beforeAll(async () => {
  idp = await startIssuer({ slug: 'corp' })
  const document = registryDocument(idp)
  const [corp] = document['issuers'] as [{ accepts: object }]
  const agents = (document['agents'] as { grant_types: string[] }[]).map((agent) => ({
    ...agent,
    grant_types: [...agent.grant_types, 'jwt-bearer'],
  }))
  const issuers = [{ ...corp, accepts: { ...corp.accepts, id_jag: 'ceiling' } }]
  world = await startWorld({ issuer: idp, registry: { issuers, agents } })
})
afterAll(async () => {
  await world.close()
  await idp.close()
})

let count = 0
function idJag(claims: Readonly<Record<string, unknown>> = {}, header: Readonly<Record<string, unknown>> = {}): string {
  count += 1
  const now = world.now()
  const base = {
    sub: 'alice',
    aud: world.issuer,
    client_id: 'orchestrator',
    jti: `jag-${count}`,
    iat: now - 5,
    exp: now + 300,
    auth_time: now - 10,
    resource: WIKI,
    scope: 'mcp:tools:read',
  }
  return idp.sign({ ...base, ...claims }, { typ: 'oauth-id-jag+jwt', ...header }).reveal()
}

const redeem = (assertion: string, params: Params = {}, client = 'orchestrator'): Promise<Answer> =>
  world.post('/token', { grant_type: JWT_BEARER, ...world.authentication(client), assertion, ...params })

const refused = (assertion: () => string, refusal: Refusal, params: Params = {}, client?: string) =>
  expectRefused(world, () => redeem(assertion(), params, client), refusal)

// "read" opens more tools of the wiki than one agent's standing intent may hold: all of those are in it.
test('#81 an ID-JAG gives an access token for its resource, and nothing else', async () => {
  const { status, body } = await redeem(idJag())
  expect(status, JSON.stringify(body)).toBe(200)
  const claims = claimsOf(body.access_token)
  expect(claims).toMatchObject({
    aud: WIKI,
    sub: 'user:corp:alice',
    client_id: 'orchestrator',
    scope: 'mcp:tools:read',
  })
  expect(claims['act']).toEqual({ iss: world.issuer, sub: 'agent:orchestrator', sub_profile: 'ai_agent' })
})

describe('#77 what is not an ID-JAG for this broker is no grant', () => {
  test.each([
    ['another typ', 'subject_token_wrong_type', {}, { typ: 'JWT' }],
    ['an access token’s typ', 'subject_token_wrong_type', {}, { typ: 'at+jwt' }],
    ['no typ', 'subject_token_wrong_type', {}, { typ: undefined }],
    ['another audience', 'subject_token_audience', { aud: 'https://other.example' }, {}],
    ['the token endpoint as audience', 'subject_token_audience', { aud: 'http://127.0.0.1:4400/token' }, {}],
  ] as const)('%s', async (_what, reason, claims, header) => {
    await refused(() => idJag(claims, header), invalidGrant(reason))
  })

  test('two audiences, one of them ours', async () => {
    const aud = [world.issuer, 'https://other.example']
    await refused(() => idJag({ aud }), invalidGrant('subject_token_audience'))
  })

  test('our issuer as the only member of a list is accepted', async () => {
    expect((await redeem(idJag({ aud: [world.issuer] }))).status).toBe(200)
  })
})

test('#78 an ID-JAG for another client is no grant', async () => {
  await refused(() => idJag({ client_id: 'orchestrator-twin' }), invalidGrant('assertion_client'))
  await refused(() => idJag({ client_id: undefined }), invalidGrant('assertion_client'))
  await refused(() => idJag(), invalidGrant('assertion_client'), {}, 'orchestrator-twin')
})

test('#79 an ID-JAG is used once, and must have an id', async () => {
  const assertion = idJag()
  expect((await redeem(assertion)).status).toBe(200)
  await refused(() => assertion, invalidGrant('assertion_replayed'))
  await refused(() => idJag({ jti: undefined }), invalidGrant('subject_token_claims'))
})

test('#80 an ID-JAG names MCP servers and scopes that are registered here', async () => {
  await refused(() => idJag({ resource: undefined }), invalidGrant('assertion_target'))
  await refused(() => idJag({ resource: 'https://elsewhere.example/mcp' }), invalidGrant('assertion_target'))
  await refused(() => idJag({ resource: [WIKI, 'https://elsewhere.example/mcp'] }), invalidGrant('assertion_target'))
  await refused(() => idJag({ scope: 'mcp:tools:read wiki:all' }), invalidGrant('assertion_target'))
})

test('#81 a resource that the assertion does not name is not given', async () => {
  await refused(() => idJag(), invalidTarget('resource_not_in_session'), { resource: 'https://slack.example/mcp' })
})

test('RFC 7523 §3.1: what is no JWT is no grant, and an assertion that is missing no request', async () => {
  const refusal = { ...invalidGrant('assertion_malformed'), stranger: true }
  await refused(() => 'not-a-jwt', refusal)
})
