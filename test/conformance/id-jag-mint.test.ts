/**
 * The other side of ID-JAG: token exchange with `requested_token_type=…:id-jag` gives an assertion for an authorization server
 * of others (draft-ietf-oauth-identity-assertion-authz-grant §4.3, MCP EMA §4 and §7.6.1; checklist #29, #72, #111, #112, #114).
 */
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { holderKey, jktOf, proving } from '../support/dpop.ts'
import { details, granted, intent, kill, tools } from '../support/hops.ts'
import { invalidGrant, redeem } from '../support/id-jag.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { expectRefused, invalidRequest, invalidTarget, type Refusal } from '../support/refusal.ts'
import {
  type Answer,
  claimsOf,
  headerOf,
  type Params,
  registryDocument,
  startWorld,
  TYPE,
  WAREHOUSE,
  type World,
} from '../support/world.ts'

const ID_JAG = 'urn:ietf:params:oauth:token-type:id-jag'
const CHAT_AS = 'https://auth.chat.example'
const CHAT = 'https://mcp.chat.example/mcp'
const PARTNER_AS = 'https://errand.partner.example'
const DESK = 'https://desk.partner.example/mcp'
const CHATTING = details(intent(), tools(CHAT, { search: {}, history: {} }))
const DESK_TOOLS = { open_ticket: { queue: { enum: ['finance', 'travel'] } } }

let idp: TestIssuer
let world: World

function documentWithOthers(): Record<string, unknown> {
  const document = registryDocument(idp)
  const chat = {
    id: 'chat',
    url: CHAT,
    owner: 'chat vendor',
    authorization_server: 'chat',
    tools: {
      search: { category: 'read', scope: 'chat.read' },
      history: { category: 'read', scope: 'chat.read' },
      post: { category: 'write', scope: 'chat.post' },
    },
  }
  const desk = {
    id: 'desk',
    url: DESK,
    owner: 'partner',
    authorization_server: 'partner',
    enforces: 'arguments',
    tools: { open_ticket: { category: 'write', scope: 'desk' } },
  }
  const agents = (document['agents'] as { client_id: string; manifest: object[]; grant_types: string[] }[]).map(
    (agent) =>
      agent.client_id === 'researcher'
        ? { ...agent, manifest: [...agent.manifest, { server: 'desk' }] }
        : { ...agent, grant_types: [...agent.grant_types, 'jwt-bearer'] },
  )
  return {
    ...document,
    agents,
    resources: [...(document['resources'] as object[]), chat, desk],
    authorization_servers: [
      { issuer: CHAT_AS, slug: 'chat', clients: { orchestrator: 'f53f191f9311af35' }, id_jag_seconds: 120 },
      {
        issuer: PARTNER_AS,
        slug: 'partner',
        clients: { orchestrator: 'our-orchestrator', researcher: 'our-researcher' },
        signing_alg: 'RS256',
      },
    ],
  }
}

beforeAll(async () => {
  idp = await startIssuer({ slug: 'corp' })
  world = await startWorld({ issuer: idp, registry: documentWithOthers() })
})
afterAll(async () => {
  await world.close()
  await idp.close()
})

/** From Alice's ID token, for the chat. */
const mint = (params: Params = {}, headers: Record<string, string> = {}): Promise<Answer> =>
  world.open(
    {
      requested_token_type: ID_JAG,
      audience: CHAT_AS,
      resource: CHAT,
      authorization_details: CHATTING,
      ...params,
    },
    headers,
  )

const forDesk = { requested_token_type: ID_JAG, audience: PARTNER_AS, resource: DESK }
const openDesk = () =>
  granted(world.open({ authorization_details: details(intent({ max_depth: 1 }), tools(DESK, DESK_TOOLS)) }))

async function verifiedAsTheyDo(token: string, audience: string): Promise<Record<string, unknown>> {
  const { body } = await world.request('/jwks')
  const rules = { issuer: world.issuer, audience, typ: 'oauth-id-jag+jwt', currentDate: new Date(world.clock.nowMs()) }
  return (await jwtVerify(token, createLocalJWKSet(body as JSONWebKeySet), rules)).payload
}

describe('from the user’s ID token', () => {
  test('#72 an assertion for the other server, verified with our published keys, which says who, for whom and where', async () => {
    const { body, token, claims } = await granted(mint({ subject_token: world.idToken({ amr: ['mfa'], acr: 'high' }) }))
    expect(body).toMatchObject({ issued_token_type: ID_JAG, token_type: 'N_A', expires_in: 120, scope: 'chat.read' })
    expect(body).not.toHaveProperty('refresh_token')
    const now = world.now()
    expect(await verifiedAsTheyDo(token, CHAT_AS)).toEqual({
      iss: world.issuer,
      sub: 'user:corp:alice',
      aud: CHAT_AS,
      client_id: 'f53f191f9311af35',
      resource: CHAT,
      scope: 'chat.read',
      act: { iss: world.issuer, sub: 'agent:orchestrator', sub_profile: 'ai_agent' },
      jti: expect.any(String),
      txn: expect.stringMatching(/^txn_/),
      iat: now,
      exp: now + 120,
      auth_time: now - 10,
      acr: 'high',
      amr: ['mfa'],
    })
    expect(headerOf(token)['typ']).toBe('oauth-id-jag+jwt')
    expect(claims).not.toHaveProperty('sid')
  })

  test('it is recorded with its session, which says what it is for and lives no longer', async () => {
    const { token, body } = await granted(mint())
    const record = (await world.audit(20)).find(({ id }) => id === body.decision_id)
    expect(record).toMatchObject({
      event: 'session.open',
      outcome: 'granted',
      on_behalf_of: 'user:corp:alice',
      resource: CHAT,
      authorization_server: CHAT_AS,
      scope: 'chat.read',
      jti: claimsOf(token)['jti'],
    })
    const session = await world.bearer(`/sessions/${record.session}`, world.userToken())
    expect(session.body).toMatchObject({ tokens: 1 })
  })

  test('RFC 9449: asked with a proof, it is bound to that key', async () => {
    const key = holderKey()
    const { claims } = await granted(mint({}, proving(world, key)))
    expect(claims.cnf).toEqual({ jkt: jktOf(key) })
  })

  test('where the other server looks at more than scopes, the details go with it', async () => {
    const authorization_details = details(intent(), tools(DESK, DESK_TOOLS))
    const { token, claims } = await granted(mint({ ...forDesk, authorization_details }))
    expect(headerOf(token)['alg']).toBe('RS256')
    await verifiedAsTheyDo(token, PARTNER_AS)
    expect(claims.authorization_details).toEqual([{ type: 'mcp_tools', locations: [DESK], tools: DESK_TOOLS }])
  })
})

describe('from a session token', () => {
  test('of what the session has, and no longer than it', async () => {
    const session = await openDesk()
    const { claims } = await granted(world.continue(session.token, forDesk))
    expect(claims).toMatchObject({ aud: PARTNER_AS, client_id: 'our-orchestrator', scope: 'desk', resource: DESK })
    const refusal = invalidTarget('resource_not_in_session')
    const chat = { requested_token_type: ID_JAG, audience: CHAT_AS, resource: CHAT }
    await expectRefused(world, () => world.continue(session.token, chat), refusal)
  })

  test('a delegate’s says through whom, in its own name there', async () => {
    const session = await openDesk()
    const less = details(intent(), tools(DESK, { open_ticket: { queue: { const: 'finance' } } }))
    const delegation = await granted(world.delegate(session.token, { authorization_details: less }))
    const accepted = await granted(world.accept(delegation.token))
    const { claims } = await granted(world.continue(accepted.token, forDesk, 'researcher'))
    expect(claims.client_id).toBe('our-researcher')
    expect(claims.act).toMatchObject({ sub: 'agent:researcher', act: { sub: 'agent:orchestrator' } })
  })

  test('once it has been revoked, none', async () => {
    const session = await openDesk()
    await world.revoke(session.token)
    const refusal = invalidRequest('session_not_issuing')
    await expectRefused(world, () => world.continue(session.token, forDesk), refusal)
  })
})

describe('#29 EMA §7.6.1: audience and resource are a pair', () => {
  test.each<[string, Params, Refusal]>([
    ['no audience', { audience: undefined }, invalidRequest('target_missing')],
    ['no resource', { resource: undefined }, invalidRequest('target_missing')],
    ['two audiences', { audience: [CHAT_AS, PARTNER_AS] }, invalidTarget('target_ambiguous')],
    ['two resources', { resource: [CHAT, DESK] }, invalidTarget('target_ambiguous')],
    ['another’s resource', { resource: DESK }, invalidTarget('resource_elsewhere')],
    ['a resource of ours', { resource: WAREHOUSE }, invalidTarget('resource_elsewhere')],
    ['a resource of nobody', { resource: 'https://x.example/mcp' }, invalidTarget('resource_unknown')],
    ['an unknown server', { audience: 'https://x.example' }, invalidTarget('authorization_server_unknown')],
    ['the server with two slashes', { audience: `${CHAT_AS}//` }, invalidTarget('authorization_server_unknown')],
    ['its name here', { audience: 'chat' }, invalidTarget('authorization_server_unknown')],
    ['this broker', { audience: 'http://127.0.0.1:4400' }, invalidTarget('authorization_server_unknown')],
  ])('%s', async (_what, params, refusal) => {
    await expectRefused(world, () => mint(params), refusal)
  })

  test('SDKs send an issuer as a URL, with a slash: the assertion says it as registered', async () => {
    expect((await granted(mint({ audience: `${CHAT_AS}/` }))).claims.aud).toBe(CHAT_AS)
  })

  test('an agent without a client id there gets none', async () => {
    const subject_token = world.idToken({ aud: 'researcher-at-idp' })
    const params = { subject_token, subject_token_type: TYPE.id, requested_token_type: ID_JAG }
    await expectRefused(
      world,
      () => world.exchange('researcher', { ...params, audience: CHAT_AS, resource: CHAT }),
      invalidTarget('authorization_server_unknown'),
    )
  })
})

describe('what policy does not allow is not asserted', () => {
  test('a tool whose scope opens more than is allowed at a server that looks at scopes only', async () => {
    const authorization_details = details(intent(), tools(CHAT, { search: {} }))
    await expectRefused(world, () => mint({ authorization_details }), invalidTarget('resource_cannot_enforce'))
  })

  test('a denied tool, a user without grants, a user that is blocked', async () => {
    const deny = { id: 'no-chat', effect: 'deny', principals: [{ user: 'corp:bob' }], resources: [{ server: 'chat' }] }
    const document = documentWithOthers()
    const own = await startWorld({
      issuer: idp,
      registry: { ...document, grants: [...(document['grants'] as object[]), deny] },
    })
    const asked = (sub: string) =>
      own.open({
        subject_token: own.idToken({ sub }),
        requested_token_type: ID_JAG,
        audience: CHAT_AS,
        resource: CHAT,
        authorization_details: CHATTING,
      })
    await expectRefused(own, () => asked('bob'), { status: 400, error: 'invalid_scope', reason: 'nothing_granted' })
    await granted(asked('alice'))
    await kill(own, { dimension: 'user', user: 'user:corp:alice', block: true })
    await expectRefused(own, () => asked('alice'), invalidRequest('principal_blocked'))
    await own.close()
  })

  test('ID tokens and session tokens make assertions; other subjects do not', async () => {
    const unsupported = invalidRequest('requested_token_type_unsupported')
    const subject = { subject_token: world.idpAccessToken(), subject_token_type: TYPE.access }
    await expectRefused(world, () => mint(subject), unsupported)
    const session = await granted(world.open())
    const delegation = await granted(world.delegate(session.token))
    await expectRefused(world, () => world.accept(delegation.token, { requested_token_type: ID_JAG }), unsupported)
    const own = { subject_token: world.idToken(), subject_token_type: ID_JAG }
    await expectRefused(world, () => mint(own), { ...invalidRequest('subject_token_type_unsupported'), stranger: true })
  })
})

describe('#83, #114: an assertion of ours is good nowhere here', () => {
  test('not as grant, subject, actor, bearer, nor as the access token that its key signs too', async () => {
    const { token } = await granted(mint())
    await expectRefused(world, () => redeem(world, token), invalidGrant('subject_token_presenter'))
    await expectRefused(world, () => world.open({ subject_token: token }), invalidRequest('subject_token_presenter'))
    const asSession = () => world.continue(token)
    expect((await asSession()).status).toBe(400)
    const actor = { actor_token: token, actor_token_type: TYPE.jwt }
    await expectRefused(world, () => world.open(actor), invalidRequest('actor_mismatch'))
    expect((await world.bearer('/sessions', token)).status).toBe(401)
    for (const server of ['warehouse-server', 'wiki-server']) {
      expect((await world.introspect(token, server)).body).toEqual({ active: false })
    }
  })

  test('and no access token, of any flow, is for a server that takes tokens of others', async () => {
    const refusal = invalidTarget('resource_elsewhere')
    const access = { requested_token_type: TYPE.access, audience: undefined }
    await expectRefused(world, () => mint(access), refusal)
    const session = await openDesk()
    await expectRefused(world, () => world.continue(session.token, { resource: DESK }), refusal)
    const alone = details(intent({ origin: { type: 'schedule' } }), tools(DESK, DESK_TOOLS))
    const params = { resource: DESK, authorization_details: alone }
    await expectRefused(world, () => world.clientCredentials('orchestrator', params), refusal)
  })
})

describe('#111, #112: metadata', () => {
  test('says that ID-JAGs are minted where they are, and neither for whom nor with which scopes', async () => {
    const { body } = await world.request('/.well-known/oauth-authorization-server')
    expect(body.identity_chaining_requested_token_types_supported).toEqual([ID_JAG])
    expect(body).not.toHaveProperty('authorization_grant_profiles_supported')
    for (const secret of ['chat', 'desk', 'partner']) expect(JSON.stringify(body)).not.toContain(secret)
  })

  test('says nothing where they are not', async () => {
    const own = await startWorld({ issuer: idp })
    const { body } = await own.request('/.well-known/oauth-authorization-server')
    expect(body).not.toHaveProperty('identity_chaining_requested_token_types_supported')
    await own.close()
  })
})
