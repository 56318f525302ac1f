/** What is believed of subject and actor tokens: standards.md §8, section D (36–39, 46, 48–51; DESIGN §3 decides 38). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ACTOR_DEPTH_MAX } from '../../src/kernel/limits.ts'
import type { RejectionReason } from '../../src/kernel/rejection.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { sign, testKey } from '../support/keys.ts'
import { expectRefused, invalidRequest, invalidScope } from '../support/refusal.ts'
import { claimsOf, type Params, registryDocument, startWorld, TYPE, WAREHOUSE, type World } from '../support/world.ts'

let world: World
/** A second configured issuer, with a user of the same `sub`, trusted to say who acts already. */
let partner: TestIssuer
beforeAll(async () => {
  const corp = await startIssuer({ slug: 'corp' })
  partner = await startIssuer({ slug: 'partner' })
  world = await startWorld({ issuer: corp, registry: twoIssuers(corp) })
})
afterAll(async () => {
  await world.close()
  await Promise.all([world.idp.close(), partner.close()])
})

// biome-ignore lint/suspicious/noExplicitAny: a registry document of many shapes
function twoIssuers(corp: TestIssuer): any {
  // biome-ignore lint/suspicious/noExplicitAny: as above
  const document = registryDocument(corp) as any
  const [entry] = document.issuers
  const second = {
    ...entry,
    issuer: partner.url,
    slug: 'partner',
    jwks_uri: `${partner.url}/jwks`,
    accepts: { id_token: true, access_token: 'ceiling' },
    accepts_foreign_actors: true,
  }
  const agents = document.agents.map((agent: Record<string, Record<string, string>>) => ({
    ...agent,
    upstream: { ...agent['upstream'], partner: `${agent['client_id']}-at-partner` },
  }))
  const identityOnly = { ...entry, issuer: 'https://identity.example', slug: 'identity', jwks_uri: `${corp.url}/jwks` }
  identityOnly.accepts = { id_token: false }
  return {
    ...document,
    issuers: [entry, second, identityOnly],
    users: [
      ...document.users,
      { issuer: 'partner', sub: 'alice', groups: ['finance'] },
      { issuer: 'partner', sub: 'eve' },
    ],
    agents,
  }
}

/** A token of the second issuer for the orchestrator. */
function partnerToken(claims: Record<string, unknown> = {}, header: Record<string, unknown> = {}): string {
  const now = world.now()
  const base = { sub: 'alice', aud: 'orchestrator-at-partner', iat: now - 5, exp: now + 7200, auth_time: now - 10 }
  return partner.sign({ ...base, ...claims }, header).reveal()
}

const openAs = (subject_token: string, subject_token_type: string, more: Params = {}) =>
  world.open({ subject_token, subject_token_type, ...more })

const refused = (subject_token: string, type: string, reason: RejectionReason, more: Params = {}) =>
  expectRefused(world, () => openAs(subject_token, type, more), invalidRequest(reason))

describe('36: kinds and issuers', () => {
  test('RFC 9068 §4: an access token says so in its typ', async () => {
    for (const typ of ['at+jwt', 'application/at+jwt', 'AT+JWT']) {
      const answer = await openAs(world.idpAccessToken({}, { typ }), TYPE.access)
      expect(answer.status, JSON.stringify(answer.body)).toBe(200)
    }
    const others = [undefined, 'JWT', 'id_token+jwt', 'at', 'jwt+at', 'logout+jwt', 'secevent+jwt', 'dpop+jwt']
    for (const typ of [...others, 'oauth-id-jag+jwt', 'errand-session+jwt', 'application/x/at+jwt']) {
      await refused(world.idpAccessToken({}, { typ }), TYPE.access, 'subject_token_wrong_type')
    }
  })

  test('RFC 8725 §3.12: what is not an ID token does not pass for one (H17)', async () => {
    for (const typ of ['at+jwt', 'logout+jwt', 'secevent+jwt', 'dpop+jwt', 'oauth-id-jag+jwt', 'wit+jwt']) {
      await refused(world.idToken({}, { typ }), TYPE.id, 'subject_token_wrong_type')
    }
    // Untyped access, refresh and logout tokens that only say so inside.
    const inside = [
      { scope: 'openid' },
      { scp: ['read'] },
      { typ: 'Bearer' },
      { typ: 'Refresh' },
      { token_use: 'access' },
    ]
    for (const claims of [...inside, { events: { 'http://schemas.openid.net/event/backchannel-logout': {} } }]) {
      await refused(world.idToken(claims), TYPE.id, 'subject_token_wrong_type')
    }
  })

  test('RFC 9068 §4: the issuer is compared byte for byte', async () => {
    const url = world.idp.url
    const port = new URL(url).port
    const others = [
      `${url}/`,
      url.toUpperCase(),
      url.replace('127.0.0.1', 'localhost'),
      `${url}?`,
      ` ${url}`,
      `${url}#`,
    ]
    for (const iss of [
      ...others,
      `http://127.1:${port}`,
      url.replace('http', 'https'),
      world.issuer.replace('4400', '4401'),
    ]) {
      await refused(world.idToken({ iss }), TYPE.id, 'subject_issuer_unknown')
    }
    for (const iss of [[url], { url }, 7, '', null]) {
      await refused(world.idToken({ iss }), TYPE.id, 'subject_issuer_unknown')
    }
  })

  test('RFC 8725 §3.8: a key vouches for its own issuer only, whatever kid it is called by', async () => {
    const claims = { sub: 'alice', aud: 'orchestrator-at-idp', iat: world.now(), exp: world.now() + 60 }
    const byOther = sign({ key: partner.key, header: {}, claims: { ...claims, iss: world.idp.url } }).reveal()
    await refused(byOther, TYPE.id, 'subject_token_signature')
    const header = { kid: world.idp.key.kid }
    const borrowed = sign({ key: partner.key, header, claims: { ...claims, iss: world.idp.url } }).reveal()
    await refused(borrowed, TYPE.id, 'subject_token_signature')
    const ofClient = sign({
      key: testKey('orchestrator-key'),
      header,
      claims: { ...claims, iss: world.idp.url },
    }).reveal()
    await refused(ofClient, TYPE.id, 'subject_token_signature')
  })

  test('RFC 8693 §2.1: an issuer gives only the kinds of token that its entry names', async () => {
    const claims = { iss: 'https://identity.example', sub: 'alice', aud: world.issuer }
    await refused(world.idToken(claims), TYPE.id, 'subject_token_type_unsupported')
    await refused(world.idpAccessToken(claims), TYPE.access, 'subject_scope_undeclared')
  })
})

describe('37: unknown issuers', () => {
  test('RFC 8725 §3.8: nothing is requested for an issuer nobody configured (H05, H80)', async () => {
    const stranger = await startIssuer({ slug: 'stranger' })
    const keyRequests = [world.idp.countConnections(), partner.countConnections()]
    const now = world.now()
    const base = { sub: 'alice', aud: 'orchestrator-at-idp', iat: now, exp: now + 60 }
    const token = stranger.sign(base, { kid: 'new' }).reveal()
    await refused(token, TYPE.id, 'subject_issuer_unknown')
    for (const header of [
      { jku: `${stranger.url}/jwks` },
      { x5u: `${stranger.url}/jwks` },
      { jku: `${world.idp.url}/jwks` },
    ]) {
      await refused(stranger.sign(base, header).reveal(), TYPE.id, 'token_malformed')
      await refused(world.idToken({}, header), TYPE.id, 'token_malformed')
    }
    const userinfo = stranger.sign({ ...base, iss: `${world.idp.url}@${new URL(stranger.url).host}` }).reveal()
    await refused(userinfo, TYPE.id, 'subject_issuer_unknown')
    expect(stranger.countConnections()).toBe(0)
    expect([world.idp.countConnections(), partner.countConnections()]).toEqual(keyRequests)
    await stranger.close()
  })

  test('RFC 6749 §5.2: keys that cannot be read are not certain, and no other issuer suffers (H69)', async () => {
    const own = await startWorld()
    own.idp.misbehave((_, response) => void response.writeHead(500).end())
    const refusal = { status: 503, error: 'temporarily_unavailable', reason: 'subject_issuer_unavailable' } as const
    await expectRefused(own, () => own.open(), refusal)
    own.idp.misbehave((_, response) => void response.writeHead(302, { location: `${world.idp.url}/jwks` }).end())
    await own.advance(2)
    await expectRefused(own, () => own.open(), refusal)
    own.idp.misbehave(undefined)
    await own.advance(2)
    expect((await own.open()).status).toBe(200)
    await own.close()
  })
})

describe('38: access tokens of this broker', () => {
  test('RFC 8693 §2.1: nobody may present one as subject: not its agent, not another, not its own server (DESIGN §3)', async () => {
    const { session } = await world.opened()
    const access = (await world.continue(session)).body.access_token
    const api = await world.apiToken()
    const ask = (client: string, subject_token: string, type: string) => () =>
      world.exchange(client, { subject_token, subject_token_type: type, resource: WAREHOUSE })
    for (const client of ['orchestrator', 'researcher', 'orchestrator-twin']) {
      for (const token of [access, api]) {
        const presenter = invalidRequest('subject_token_presenter')
        await expectRefused(world, ask(client, token, TYPE.access), presenter)
        await expectRefused(world, ask(client, token, TYPE.id), presenter)
        await expectRefused(world, ask(client, token, TYPE.session), invalidRequest('subject_token_signature'))
      }
    }
    const refusal = { status: 400, error: 'unauthorized_client', reason: 'grant_type_not_allowed' } as const
    await expectRefused(world, ask('warehouse-server', access, TYPE.access), refusal)
    expect((await world.introspect(access)).body.active, 'it is not harmed either').toBe(true)
  })
})

describe('39: whom a token was meant for', () => {
  const id = (claims: Record<string, unknown>, reason: RejectionReason) =>
    refused(world.idToken(claims), TYPE.id, reason)

  test('RFC 8693 §5: an ID token for another client is refused (H40, ZITADEL GHSA-g5h5-m4hm-xjrr, Logto #8772)', async () => {
    for (const aud of ['another-app', 'researcher-at-idp', 'orchestrator', 'errand-users', 'ORCHESTRATOR-AT-IDP', '']) {
      await id({ aud }, 'subject_token_audience')
    }
    // The right token in the wrong hands.
    const params = { subject_token: world.idToken(), subject_token_type: TYPE.id, resource: WAREHOUSE }
    const stolen = () => world.exchange('researcher', params)
    await expectRefused(world, stolen, invalidRequest('subject_token_audience'))
    const unlisted = () => world.exchange('scribe', params)
    await expectRefused(world, unlisted, invalidRequest('subject_token_audience'))
  })

  test('OpenID Connect Core §3.1.3.7: more than one audience is refused unless the entry lists the others (H12)', async () => {
    const ours = 'orchestrator-at-idp'
    await id({ aud: [ours, 'another-app'] }, 'subject_token_audience')
    await id({ aud: [ours, 'another-app'], azp: ours }, 'subject_token_audience')
    await id({ aud: [ours, ours] }, 'subject_token_audience')
    await id({ aud: [] }, 'subject_token_audience')
    await id({ aud: 7 }, 'subject_token_audience')
    await id({ aud: { [ours]: true } }, 'subject_token_audience')
    await id({ aud: Array.from({ length: 1_000 }, (_, index) => `app-${index}`) }, 'subject_token_audience')
    expect((await openAs(world.idToken({ aud: [ours] }), TYPE.id)).status).toBe(200)
  })

  test('RFC 8693 §2.1: a token for the broker must say which agent it was issued to (DESIGN §3)', async () => {
    const aud = world.issuer
    await id({ aud }, 'subject_token_presenter')
    for (const other of ['another-app', 'researcher-at-idp', 'orchestrator', ['orchestrator-at-idp']]) {
      await id({ aud, azp: other }, 'subject_token_presenter')
      await id({ aud, client_id: other }, 'subject_token_presenter')
    }
    await id({ aud, azp: 'orchestrator-at-idp', client_id: 'another-app' }, 'subject_token_presenter')
    for (const named of [{ azp: 'orchestrator-at-idp' }, { client_id: 'orchestrator-at-idp' }]) {
      expect((await openAs(world.idToken({ aud, ...named }), TYPE.id)).status).toBe(200)
    }
  })
})

describe('46: names belong to their issuer', () => {
  test('RFC 7519 §4.1.2: the same sub at two issuers is two people (H41)', async () => {
    const [here, there] = [await world.open(), await openAs(partnerToken(), TYPE.id)]
    expect(there.status, JSON.stringify(there.body)).toBe(200)
    const subjects = [here, there].map(({ body }) => claimsOf(body.access_token)['sub'])
    expect(subjects).toEqual(['user:corp:alice', 'user:partner:alice'])
    // What one of them may see and end is not the other's.
    const sid = claimsOf(there.body.access_token)['sid'] as string
    const corpsAlice = world.userToken()
    expect((await world.bearer(`/sessions/${sid}`, corpsAlice)).status).toBe(404)
    expect((await world.bearer(`/sessions/${sid}`, corpsAlice, 'DELETE')).status).toBe(404)
    expect((await world.continue(there.body.access_token)).status).toBe(200)
  })

  test('RFC 7519 §4.1.2: listed at one issuer is not listed at the other, and grants do not cross', async () => {
    await refused(partnerToken({ sub: 'bob' }), TYPE.id, 'user_not_listed')
    await refused(world.idToken({ sub: 'eve' }), TYPE.id, 'user_not_listed')
    const eve = () => openAs(partnerToken({ sub: 'eve' }), TYPE.id)
    await expectRefused(world, eve, invalidScope('nothing_granted'))
    // Nor does a sub that spells out somebody else's name.
    for (const sub of ['corp:alice', 'user:corp:alice', 'alice\u0000', 'Alice', 'alice ']) {
      const token = partnerToken({ sub })
      const { answer } = await expectRefused(world, () => openAs(token, TYPE.id), {
        ...invalidRequest(sub.includes('\0') ? 'subject_token_claims' : 'user_not_listed'),
      })
      expect(answer.status).toBe(400)
    }
  })
})

describe('48: actor tokens', () => {
  const actor = (claims: Record<string, unknown> = {}, header: Record<string, unknown> = {}) =>
    world.assertion('orchestrator', claims, { typ: 'JWT', ...header })
  const acting = (actor_token: string): Params => ({ actor_token, actor_token_type: TYPE.jwt })
  const refusedActor = (token: string, reason: RejectionReason, more: Params = {}) =>
    refused(world.idToken(), TYPE.id, reason, { ...acting(token), ...more })

  test('RFC 8693 §2.1: the client’s own JWT is accepted, once', async () => {
    const token = actor()
    expect((await openAs(world.idToken(), TYPE.id, acting(token))).status).toBe(200)
    await refusedActor(token, 'actor_token_unacceptable')
  })

  test('RFC 8693 §4.1: an actor_token that carries act is refused, whatever it says', async () => {
    for (const act of [{ sub: 'agent:researcher' }, {}, null, 'agent:researcher']) {
      await refusedActor(actor({ act }), 'actor_token_unacceptable')
    }
  })

  test('RFC 8725 §3.11: a refresh token, an ID-JAG, or any other kind is refused', async () => {
    for (const typ of ['oauth-id-jag+jwt', 'at+jwt', 'dpop+jwt', 'rt+jwt', 'refresh+jwt', 'errand-session+jwt']) {
      await refusedActor(actor({}, { typ }), 'actor_token_unacceptable')
    }
    await refusedActor(actor({}, { typ: 'client-authentication+jwt' }), 'actor_token_unacceptable')
  })

  test('RFC 8693 §2.1: only the authenticated client is the actor (H42, H43)', async () => {
    const { session } = await world.opened()
    await refusedActor(world.assertion('researcher', {}, { typ: 'JWT' }), 'actor_mismatch')
    await refusedActor(world.idToken({ sub: 'bob' }), 'actor_mismatch')
    await refusedActor(session, 'actor_mismatch')
    await refusedActor(actor({ sub: 'researcher' }), 'actor_mismatch')
    const forged = sign({ key: testKey('mallory'), header: {}, claims: { iss: 'orchestrator', sub: 'orchestrator' } })
    await refusedActor(forged.reveal(), 'actor_token_unacceptable')
    await refusedActor(actor({ aud: 'https://other.example' }), 'actor_token_unacceptable')
    await refusedActor(actor({ exp: world.now() - 31, iat: world.now() - 60 }), 'actor_token_unacceptable')
    await refusedActor(actor({ nbf: world.now() + 60 }), 'actor_token_unacceptable')
    await refusedActor(actor({ jti: undefined }), 'actor_token_unacceptable')
  })

  test('RFC 8725 §3.12: one JWT fills one slot', async () => {
    const assertion = world.assertion('orchestrator', {}, { typ: 'JWT' })
    await refusedActor(assertion, 'actor_token_unacceptable', { client_assertion: assertion })
    const subject = world.idToken()
    await refused(subject, TYPE.id, 'actor_token_unacceptable', acting(subject))
    const { session } = await world.opened()
    const both = () => world.continue(session, acting(session))
    await expectRefused(world, both, invalidRequest('actor_token_unacceptable'))
  })
})

describe('49: may_act', () => {
  const may = (may_act: unknown) => world.idToken({ may_act })

  test('RFC 8693 §4.4: a subject token that names another actor is refused (H47)', async () => {
    const others: unknown[] = [
      { sub: 'agent:researcher' },
      { sub: 'researcher-at-idp' },
      { sub: 'agent:orchestrator', iss: 'https://other.example' },
      { sub: 'agent:orchestrator', iss: world.idp.url },
      { sub: 'orchestrator-at-idp', iss: world.issuer },
      { sub: 'orchestrator-at-idp', iss: partner.url },
      { sub: 'agent:orchestrator', sub_profile: 'service' },
      { sub: 'orchestrator' },
      { iss: world.issuer },
      {},
      [],
      [{ sub: 'agent:orchestrator' }],
      null,
      'agent:orchestrator',
      // Members that are not understood may restrict further.
      { sub: 'agent:orchestrator', aud: WAREHOUSE },
    ]
    for (const other of others) await refused(may(other), TYPE.id, 'may_act_mismatch')
  })

  test('RFC 8693 §4.4: one that names the agent is accepted from that agent, and is never passed on', async () => {
    const here = { sub: 'agent:orchestrator', iss: world.issuer, sub_profile: 'ai_agent' }
    const there = { sub: 'orchestrator-at-idp', iss: world.idp.url }
    for (const named of [here, there, { sub: 'agent:orchestrator' }, { sub: 'orchestrator-at-idp' }]) {
      const opened = await openAs(may(named), TYPE.id)
      expect(opened.status, JSON.stringify(opened.body)).toBe(200)
      const session = opened.body.access_token
      const delegation = (await world.delegate(session)).body.access_token
      const access = (await world.continue(session)).body.access_token
      for (const token of [session, delegation, access]) expect(claimsOf(token)).not.toHaveProperty('may_act')
    }
  })

  test('RFC 8693 §4.4: being named is no proof of being the one named', async () => {
    const params = { subject_token: may({ sub: 'agent:researcher' }), subject_token_type: TYPE.id, resource: WAREHOUSE }
    const named = world.exchange('researcher', params)
    // The audience still has to be the researcher's, or the broker's: may_act adds no audience.
    expect((await named).body.error_reason).toBe('subject_token_audience')
    const unproven = () =>
      world.post('/token', {
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        client_id: 'researcher',
        ...params,
      })
    await expectRefused(world, unproven, {
      status: 401,
      error: 'invalid_client',
      reason: 'client_authentication_missing',
      stranger: true,
    })
    const forBroker = world.idToken({ aud: world.issuer, may_act: { sub: 'agent:orchestrator' } })
    expect((await openAs(forBroker, TYPE.id)).status).toBe(200)
  })
})

describe('50: the scope of a subject token', () => {
  const access = (scope: unknown) => world.idpAccessToken({ scope })

  test('RFC 8693 §4.2: a scope nobody knows is no scope, and no scope is refused, never "all of it"', async () => {
    for (const scope of [undefined, '', 7, ['mcp:tools:read'], 'mcp:tools:read  x', 'a\tb', ' mcp:tools:read']) {
      await refused(access(scope), TYPE.access, 'subject_token_claims')
    }
    for (const scope of ['openid', 'openid profile email', '*', 'mcp:*', 'admin', 'MCP:TOOLS:READ', 'all']) {
      await expectRefused(world, () => openAs(access(scope), TYPE.access), invalidScope('nothing_granted'))
    }
  })

  test('RFC 8693 §4.2: it is a ceiling: what it lacks is not granted, now or later', async () => {
    const opened = await openAs(access('openid mcp:tools:read'), TYPE.access)
    expect(opened.body.scope).toBe('mcp:tools:read')
    const more = () => openAs(access('mcp:tools:read'), TYPE.access, { scope: 'mcp:tools:write' })
    await expectRefused(world, more, invalidScope('nothing_granted'))
  })
})

describe('51: an actor chain that comes in', () => {
  const chained = (act: unknown) => partnerToken({ act })
  const actorAt = (sub: string, act?: unknown) => ({ iss: partner.url, sub, ...(act === undefined ? {} : { act }) })
  const chainOf = (depth: number) => {
    let act: unknown
    for (let index = 0; index < depth; index += 1) act = actorAt(`bot-${index}`, act)
    return act
  }

  test('RFC 8693 §4.1: one that is malformed is refused, never repaired or cut', async () => {
    const malformed: unknown[] = [
      null,
      'agent',
      [actorAt('bot')],
      {},
      { sub: 'bot' },
      { iss: partner.url },
      { iss: partner.url, sub: '' },
      { iss: partner.url, sub: 7 },
      { iss: partner.url, sub: ['bot'] },
      actorAt('bot', null),
      actorAt('bot', 'inner'),
      actorAt('bot', []),
      actorAt('bot', { sub: 'inner without iss' }),
      { ...actorAt('bot'), exp: 1 },
      { ...actorAt('bot'), aud: WAREHOUSE },
      { ...actorAt('bot'), scope: 'mcp:tools:read' },
      { ...actorAt('bot'), sub_profile: 7 },
    ]
    for (const act of malformed) await refused(chained(act), TYPE.id, 'actor_chain_malformed')
  })

  test('RFC 8693 §4.1: one that is too long, alone or with the agent on top, is refused', async () => {
    expect((await openAs(chained(chainOf(ACTOR_DEPTH_MAX - 1)), TYPE.id)).status).toBe(200)
    await refused(chained(chainOf(ACTOR_DEPTH_MAX)), TYPE.id, 'actor_chain_too_deep')
    await refused(chained(chainOf(ACTOR_DEPTH_MAX + 1)), TYPE.id, 'actor_chain_too_deep')
  })

  test('RFC 8693 §4.1: one that is accepted stays as it is, under the agent', async () => {
    const act = { ...actorAt('outer', actorAt('inner')), sub_profile: 'service' }
    const opened = await openAs(chained(act), TYPE.id)
    expect(claimsOf(opened.body.access_token)['act']).toEqual({
      iss: world.issuer,
      sub: 'agent:orchestrator',
      sub_profile: 'ai_agent',
      act,
    })
  })

  test('RFC 8693 §4.1: nobody else says which agents of this broker have acted', async () => {
    for (const sub of ['agent:orchestrator', 'agent:researcher', 'user:corp:alice']) {
      const ours = { iss: world.issuer, sub, sub_profile: 'ai_agent' }
      await refused(chained(ours), TYPE.id, 'foreign_actor_not_accepted')
      await refused(chained(actorAt('outer', ours)), TYPE.id, 'foreign_actor_not_accepted')
    }
  })

  test('RFC 8693 §4.1: from an issuer not trusted with it, any act is refused, never dropped', async () => {
    for (const act of [actorAt('bot'), null, {}]) {
      await refused(world.idToken({ act }), TYPE.id, 'foreign_actor_not_accepted')
      await refused(world.idpAccessToken({ act }), TYPE.access, 'foreign_actor_not_accepted')
    }
  })
})
