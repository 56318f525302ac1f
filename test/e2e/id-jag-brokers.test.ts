/**
 * ID-JAG end to end, between two brokers that know nothing of each other but issuer and keys: one mints the assertion for its
 * agent's user, the other takes it as the grant. Then the same with the MCP SDK's own Cross-App Access client on both sides.
 */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { auth, CrossAppAccessProvider, discoverAndRequestJwtAuthGrant } from '@modelcontextprotocol/client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { newClientSecret } from '../../src/credentials/client/client-secret.ts'
import { createAgent, IdpRefused, privateKeyJwt } from '../../src/sdk/agent/agent.ts'
import { type BrokerProcess, type Fleet, startFleet } from '../support/broker-process.ts'
import { freePort } from '../support/free-port.ts'
import { details, granted, intent, tools } from '../support/hops.ts'
import { redeem } from '../support/id-jag.ts'
import { privateJwk, testKey } from '../support/keys.ts'
import { claimsOf, type Params, patient } from '../support/world.ts'

const ID_JAG = 'urn:ietf:params:oauth:token-type:id-jag'
const READ = 'mcp:tools:read'
const ALICE_THERE = 'user:company-a:user:corp:alice'
const secret = newClientSecret()

type Entry = Record<string, unknown>

let companyA: Fleet
let companyB: Fleet
let a: BrokerProcess
let b: BrokerProcess
let wiki: Server
let resource = ''
const wikiSaw: (string | undefined)[] = []

beforeAll(async () => {
  wiki = createServer(({ url, headers }, response) => {
    if (url === '/mcp' && headers.authorization === undefined) {
      response.writeHead(401).end()
      return
    }
    wikiSaw.push(headers.authorization)
    const document = { resource, authorization_servers: [companyB.issuer], scopes_supported: [READ] }
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(document))
  })
  await new Promise<void>((resolve) => wiki.listen(0, '127.0.0.1', resolve))
  resource = `http://127.0.0.1:${(wiki.address() as AddressInfo).port}/mcp`
  const [portA, portB] = [await freePort(), await freePort()]
  const issuerA = `http://127.0.0.1:${portA}`
  const issuerB = `http://127.0.0.1:${portB}`
  companyA = await startFleet((directory) => ({
    store: { kind: 'embedded', directory: `${directory}/store` },
    settings: { issuer: issuerA },
    registry: (document) => asCompanyA(document, issuerB),
  }))
  companyB = await startFleet((directory) => ({
    store: { kind: 'embedded', directory: `${directory}/store` },
    settings: { issuer: issuerB, clientSecretBasic: true },
    registry: (document) => asCompanyB(document, issuerA),
  }))
  const both = await Promise.all([companyA.start({ port: portA }), companyB.start({ port: portB })])
  ;[a, b] = both.map(patient) as [BrokerProcess, BrokerProcess]
})
afterAll(async () => {
  await Promise.all([companyA?.close(), companyB?.close()])
  wiki?.close()
})

const READING = { search: {}, read_page: {} }

/** Knows the wiki as another's, and the orchestrator's name there. */
function asCompanyA(document: Readonly<Entry>, issuerB: string): Entry {
  const theirs = {
    id: 'their-wiki',
    url: resource,
    owner: 'company B',
    authorization_server: 'b',
    tools: { search: { category: 'read' }, read_page: { category: 'read' } },
  }
  const standing_intent = { purpose: 'Look things up in their wiki', tools: { 'their-wiki': READING } }
  return {
    ...document,
    authorization_servers: [{ issuer: issuerB, slug: 'b', clients: { orchestrator: 'orchestrator' } }],
    resources: [...(document['resources'] as Entry[]), theirs],
    agents: (document['agents'] as Entry[]).map((agent) =>
      agent['client_id'] === 'orchestrator' ? { ...agent, standing_intent } : agent,
    ),
  }
}

/** Has the wiki, and trusts company A to send people. */
function asCompanyB(document: Readonly<Entry>, issuerA: string): Entry {
  const at = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString()
  const entry = { id: 's-1', version: '1', sha256: secret.fingerprint(), issued_at: at(-1), expires_at: at(80) }
  const company = {
    issuer: issuerA,
    slug: 'company-a',
    jwks_uri: `${issuerA}/jwks`,
    algorithms: ['ES256'],
    accepts: { id_jag: 'ceiling' },
    accepts_foreign_actors: true,
    users: 'from_issuer',
  }
  const grant = {
    id: 'guests-read',
    effect: 'allow',
    principals: [{ user: 'company-a:user:corp:alice' }],
    resources: [{ server: 'wiki', category: 'read' }],
  }
  return {
    ...document,
    issuers: [...(document['issuers'] as Entry[]), company],
    grants: [...(document['grants'] as Entry[]), grant],
    resources: (document['resources'] as Entry[]).map((one) =>
      one['id'] === 'wiki' ? { ...one, url: resource } : one,
    ),
    agents: (document['agents'] as Entry[]).map((agent) =>
      agent['client_id'] === 'orchestrator'
        ? { ...agent, grant_types: ['jwt-bearer'], client_secrets: [entry] }
        : agent,
    ),
  }
}

/** At company A, from a session of Alice's. */
async function assertionFromSession(params: Params = {}): Promise<{ session: string; assertion: string }> {
  const authorization_details = details(intent(), tools(resource, READING))
  const session = (await granted(a.open({ authorization_details, ...params }))).token
  const asked = { requested_token_type: ID_JAG, audience: companyB.issuer, resource }
  return { session, assertion: (await granted(a.continue(session, asked))).token }
}

describe('company A mints, company B takes it', () => {
  test('for a token of B’s own that names the user, and everybody on the way', async () => {
    const { assertion } = await assertionFromSession()
    const { token, claims, body } = await granted(redeem(b, assertion))
    expect(body).toMatchObject({ resource, scope: READ, token_type: 'Bearer' })
    expect(claims).toMatchObject({ iss: companyB.issuer, sub: ALICE_THERE, aud: resource, client_id: 'orchestrator' })
    expect(claims.act).toEqual({
      iss: companyB.issuer,
      sub: 'agent:orchestrator',
      sub_profile: 'ai_agent',
      act: { iss: companyA.issuer, sub: 'agent:orchestrator', sub_profile: 'ai_agent' },
    })
    expect((await b.introspect(token, 'wiki-server')).body).toMatchObject({ active: true, sub: ALICE_THERE })
  })

  test('once; and not at A, nor by another client of B’s', async () => {
    const { assertion } = await assertionFromSession()
    const asTwin = await redeem(b, assertion, {}, 'researcher')
    expect(asTwin.body).toMatchObject({ error: 'unauthorized_client' })
    expect((await redeem(a, assertion)).body).toMatchObject({ error: 'unauthorized_client' })
    await granted(redeem(b, assertion))
    expect((await redeem(b, assertion)).body).toMatchObject({
      error: 'invalid_grant',
      error_reason: 'assertion_replayed',
    })
  })
})

describe('the MCP SDK’s own Cross-App Access client', () => {
  /** Its request to the identity provider, with the one thing it cannot make: a client assertion. */
  const authenticated: typeof fetch = async (input, init) => {
    if (init?.method !== 'POST') return fetch(input, init)
    const form = new URLSearchParams(String(init.body))
    for (const [name, value] of Object.entries(a.authentication('orchestrator'))) form.set(name, String(value))
    return fetch(input, { ...init, body: form.toString() })
  }

  const provider = (seen: string[]) =>
    new CrossAppAccessProvider({
      clientId: 'orchestrator',
      clientSecret: secret.reveal(),
      expectedIssuer: companyB.issuer,
      assertion: async ({ authorizationServerUrl, resourceUrl, scope }) => {
        const { jwtAuthGrant } = await discoverAndRequestJwtAuthGrant({
          idpUrl: companyA.issuer,
          audience: authorizationServerUrl,
          resource: resourceUrl,
          idToken: a.idToken({ auth_time: a.now() }),
          clientId: 'orchestrator',
          ...(scope === undefined ? {} : { scope }),
          fetchFn: authenticated,
        })
        seen.push(jwtAuthGrant)
        return jwtAuthGrant
      },
    })

  test('gets its assertion from A, and from B a token for the server that it was sent to', async () => {
    const seen: string[] = []
    const client = provider(seen)
    expect(await auth(client, { serverUrl: resource })).toBe('AUTHORIZED')
    const token = client.tokens()
    expect(token?.scope).toBe(READ)
    expect(claimsOf(token?.access_token ?? '')).toMatchObject({ aud: resource, client_id: 'orchestrator', scope: READ })
    expect(claimsOf(seen[0] ?? '')).toMatchObject({ aud: companyB.issuer, resource, scope: READ })
    expect(seen).toHaveLength(1)
  })
})

describe('the agent library', () => {
  const credential = privateKeyJwt({ clientId: 'orchestrator', key: privateJwk(testKey('orchestrator-key')) })
  const user = (idToken: string, dpop = false) =>
    createAgent({ broker: companyB.issuer, credential, dpop }).enterpriseUser({
      idp: { issuer: companyA.issuer, credential },
      idToken,
    })

  test.each([
    false,
    true,
  ])('goes from an ID token of A’s to a call of a server of B’s, bound to a key: %s', async (dpop) => {
    wikiSaw.length = 0
    const alice = user(a.idToken({ auth_time: a.now() }), dpop)
    const responses = await Promise.all([1, 2, 3].map(() => alice.fetch(resource)))
    expect(responses.map(({ status }) => status)).toEqual([200, 200, 200])
    const tokens = new Set(wikiSaw.filter((sent) => sent !== undefined))
    expect(tokens.size).toBe(1)
    const [scheme, token = ''] = [...tokens].join().split(' ')
    expect(scheme).toBe(dpop ? 'DPoP' : 'Bearer')
    expect(claimsOf(token)).toMatchObject({ iss: companyB.issuer, sub: ALICE_THERE, aud: resource })
    expect((await b.introspect(token, 'wiki-server')).body).toMatchObject({ active: true })
    const { secret } = await alice.token({ resource })
    expect(secret.reveal()).toBe(token)
  })

  test('hears from A itself that it takes no such sign-in, or gives no such scope', async () => {
    const other = await user(a.idToken({ aud: 'researcher-at-idp' }))
      .token({ resource })
      .catch((one: unknown) => one)
    expect(other).toBeInstanceOf(IdpRefused)
    expect(other).toMatchObject({ idp: companyA.issuer, isOfTarget: false, reason: 'subject_token_audience' })
    const alice = user(a.idToken({ auth_time: a.now() }))
    const wider = await alice.token({ resource, scope: 'mcp:tools:write' }).catch((one: unknown) => one)
    expect(wider).toMatchObject({ idp: companyA.issuer, isOfTarget: true, reason: 'nothing_granted' })
  })
})

// Last: who was cut off signs in anew, a minute later.
test('what A has revoked sends nobody any more, and what B has given, B ends', async () => {
  const { session, assertion } = await assertionFromSession()
  const { token } = await granted(redeem(b, assertion))
  await a.revoke(session)
  const asked = { requested_token_type: ID_JAG, audience: companyB.issuer, resource }
  expect((await a.continue(session, asked)).body.error_reason).toBe('session_not_issuing')
  // A has no say over B's token: it is B's to end.
  expect((await b.introspect(token, 'wiki-server')).body.active).toBe(true)
  const order = { dimension: 'user', user: ALICE_THERE, block: true }
  const killed = await b.bearer('/admin/v1/revocations', await companyB.managementToken(), 'POST', order)
  expect(killed.status, JSON.stringify(killed.body)).toBe(200)
  expect((await b.introspect(token, 'wiki-server')).body).toEqual({ active: false })
  const again = await redeem(b, (await assertionFromSession()).assertion)
  expect(again.body).toMatchObject({ error: 'invalid_grant', error_reason: 'principal_blocked' })
})
