/** What a token exchange may ask for: standards.md §8, section C (24–35; DESIGN §3 and §5 decide 28, 33 and 34). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { newJti, type SessionId } from '../../src/kernel/ids.ts'
import type { RejectionReason } from '../../src/kernel/rejection.ts'
import { FIELD } from '../../src/sessions/session-record.ts'
import { sign, testKey } from '../support/keys.ts'
import {
  expectRefused,
  invalidDetails,
  invalidRequest,
  invalidScope,
  invalidTarget,
  toStranger,
} from '../support/refusal.ts'
import {
  CALENDAR,
  claimsOf,
  DELEGATED,
  INTENT,
  type Params,
  registryDocument,
  SLACK,
  startWorld,
  TYPE,
  WAREHOUSE,
  WIKI,
  type World,
} from '../support/world.ts'

let world: World
let session: string
beforeAll(async () => {
  world = await startWorld()
  session = (await world.opened()).session
})
afterAll(() => world.close())

const uri = (name: string) => `urn:ietf:params:oauth:token-type:${name}`
const details = (...objects: unknown[]): Params => ({ authorization_details: JSON.stringify(objects) })
const intent = { type: 'agent_intent', purpose: 'Look things up' }
const tools = (location: string, named: Record<string, unknown>) => ({
  type: 'mcp_tools',
  locations: [location],
  tools: named,
})

describe('24 to 26: token parameters', () => {
  test('RFC 8693 §2.1: subject_token and subject_token_type are both required', async () => {
    const refusal = toStranger(invalidRequest('parameter_missing'))
    for (const missing of ['subject_token', 'subject_token_type']) {
      await expectRefused(world, () => world.open({ [missing]: undefined }), refusal)
      await expectRefused(world, () => world.continue(session, { [missing]: undefined }), refusal)
    }
  })

  test('RFC 8693 §2.1: actor_token and actor_token_type come together or not at all (H26)', async () => {
    const refusal = toStranger(invalidRequest('parameter_missing'))
    const actor_token = world.assertion('orchestrator', {}, { typ: 'JWT' })
    await expectRefused(world, () => world.open({ actor_token }), refusal)
    await expectRefused(world, () => world.open({ actor_token_type: TYPE.jwt }), refusal)
  })

  test.each([
    uri('refresh_token'),
    uri('id-jag'),
    'id_token',
    `${TYPE.id} `,
  ])('RFC 8693 §2.2.2: subject_token_type %s is refused (H26)', async (subject_token_type) => {
    const refusal = toStranger(invalidRequest('subject_token_type_unsupported'))
    await expectRefused(world, () => world.open({ subject_token_type }), refusal)
  })

  test.each([
    uri('access_token'),
    uri('id_token'),
    uri('refresh_token'),
    TYPE.session,
    'jwt',
  ])('RFC 8693 §2.2.2: actor_token_type %s is refused', async (actor_token_type) => {
    const actor_token = world.assertion('orchestrator', {}, { typ: 'JWT' })
    const request = () => world.open({ actor_token, actor_token_type })
    await expectRefused(world, request, toStranger(invalidRequest('actor_token_unacceptable')))
  })

  test.each([
    uri('refresh_token'),
    uri('id_token'),
    uri('jwt'),
    'access_token',
    'x',
  ])('RFC 8693 §2.2.2: requested_token_type %s is refused (H57)', async (requested_token_type) => {
    const refusal = toStranger(invalidRequest('requested_token_type_unsupported'))
    await expectRefused(world, () => world.open({ requested_token_type }), refusal)
  })

  test('RFC 8693 §2.2.2: a plain JWT is the subject only where a platform vouches for it', async () => {
    const request = () => world.open({ subject_token_type: TYPE.jwt })
    await expectRefused(world, request, invalidRequest('subject_issuer_unknown'))
  })

  test('an ID-JAG is for somebody: asked for without saying whom, it is refused', async () => {
    const request = () => world.open({ requested_token_type: uri('id-jag') })
    await expectRefused(world, request, invalidRequest('target_missing'))
  })

  test('RFC 8693 §2.2.2: a requested type that this subject cannot give is refused, not replaced', async () => {
    const refusal = invalidRequest('requested_token_type_unsupported')
    const delegation = (await world.delegate(session)).body.access_token
    await expectRefused(
      world,
      () => world.open({ requested_token_type: TYPE.delegation, audience: 'researcher' }),
      refusal,
    )
    await expectRefused(world, () => world.continue(session, { requested_token_type: TYPE.session }), refusal)
    await expectRefused(world, () => world.accept(delegation, { requested_token_type: TYPE.delegation }), refusal)
  })

  test('RFC 8693 §2.2.2: a token offered as another kind than it is, is refused (H26, H17)', async () => {
    const delegation = (await world.delegate(session)).body.access_token
    const access = (await world.continue(session)).body.access_token
    const ofOurs = invalidRequest('subject_token_presenter')
    const wrongType = invalidRequest('subject_token_wrong_type')
    const as = (subject_token: string, subject_token_type: string) => () =>
      world.open({ subject_token, subject_token_type, resource: WAREHOUSE, requested_token_type: TYPE.access })
    await expectRefused(world, as(world.idToken(), TYPE.access), wrongType)
    await expectRefused(world, as(world.idpAccessToken(), TYPE.id), wrongType)
    await expectRefused(world, as(session, TYPE.delegation), wrongType)
    await expectRefused(world, as(delegation, TYPE.session), wrongType)
    await expectRefused(world, as(session, TYPE.id), ofOurs)
    await expectRefused(world, as(session, TYPE.access), ofOurs)
    await expectRefused(world, as(delegation, TYPE.access), ofOurs)
    await expectRefused(world, as(access, TYPE.session), invalidRequest('subject_token_signature'))
    await expectRefused(world, as(access, TYPE.delegation), invalidRequest('subject_token_signature'))
    await expectRefused(world, as(world.idToken(), TYPE.session), invalidRequest('subject_token_signature'))
    await expectRefused(world, as(world.assertion('orchestrator'), TYPE.id), invalidRequest('subject_issuer_unknown'))
  })
})

describe('27 to 29: targets', () => {
  test.each([
    ['relative', '/mcp'],
    ['without a scheme', 'warehouse.example/mcp'],
    ['with a fragment', `${WAREHOUSE}#tools`],
    ['with an empty fragment', `${WAREHOUSE}#`],
    ['with userinfo', 'https://user:pw@warehouse.example/mcp'],
    ['with dot segments', 'https://warehouse.example/x/../mcp'],
    ['with encoded dot segments', 'https://warehouse.example/x/%2e%2e/mcp'],
    ['with a backslash', 'https://warehouse.example\\mcp'],
    ['with a space', `${WAREHOUSE} `],
    ['of another scheme', 'ftp://warehouse.example/mcp'],
    ['a URN', 'urn:example:warehouse'],
  ])('RFC 8707 §2: a resource %s is invalid_target', async (_, resource) => {
    await expectRefused(world, () => world.continue(session, { resource }), invalidTarget('resource_malformed'))
    await expectRefused(world, () => world.open({ resource }), invalidTarget('resource_malformed'))
  })

  test.each([
    'https://nowhere.example/mcp',
    'https://warehouse.example/',
    'https://warehouse.example/mcp/admin',
    'https://warehouse.example/MCP',
    'http://warehouse.example/mcp',
    'https://warehouse.example:8443/mcp',
    'https://warehouse.example/mcp?x=1',
    'https://warehouse.example/mcp//',
    'https://warehouse.example.evil.example/mcp',
  ])('RFC 8693 §2.2.2: the unregistered resource %s is invalid_target', async (resource) => {
    await expectRefused(world, () => world.continue(session, { resource }), invalidTarget('resource_unknown'))
  })

  test.each([
    'nowhere',
    'researcher',
    'warehouse ',
    'Warehouse',
    '__proto__',
    'warehouse-server',
  ])('RFC 8693 §2.2.2: the unknown audience %s is invalid_target', async (audience) => {
    const request = () => world.continue(session, { resource: undefined, audience })
    await expectRefused(world, request, invalidTarget('resource_unknown'))
  })

  test('RFC 8707 §2: a resource is found under every spelling that means it, and named as registered', async () => {
    for (const resource of ['HTTPS://Warehouse.EXAMPLE/mcp', 'https://warehouse.example:443/mcp', `${WAREHOUSE}/`]) {
      const answer = await world.continue(session, { resource })
      expect(claimsOf(answer.body.access_token)['aud']).toBe(WAREHOUSE)
    }
    const byName = await world.continue(session, { resource: undefined, audience: 'warehouse' })
    expect(claimsOf(byName.body.access_token)['aud']).toBe(WAREHOUSE)
  })

  test('RFC 8707 §2: a registered resource outside the session is invalid_target', async () => {
    for (const resource of [WIKI, CALENDAR]) {
      await expectRefused(world, () => world.continue(session, { resource }), invalidTarget('resource_not_in_session'))
      await expectRefused(world, () => world.open({ resource }), invalidTarget('resource_not_in_session'))
    }
  })

  test('RFC 9068 §3: an access token is for exactly one resource', async () => {
    const ambiguous = invalidTarget('target_ambiguous')
    const missing = invalidRequest('target_missing')
    const opening = { requested_token_type: TYPE.access }
    await expectRefused(world, () => world.continue(session, { resource: [WAREHOUSE, SLACK] }), ambiguous)
    await expectRefused(world, () => world.open({ ...opening, resource: [WAREHOUSE, SLACK] }), ambiguous)
    await expectRefused(world, () => world.continue(session, { resource: undefined }), missing)
    await expectRefused(world, () => world.open(opening), missing)
    await expectRefused(world, () => world.open({ requested_token_type: undefined }), missing)
    await expectRefused(world, () => world.clientCredentials('orchestrator', {}), missing)
    const delegation = (await world.delegate(session)).body.access_token
    await expectRefused(world, () => world.accept(delegation, { requested_token_type: TYPE.access }), missing)
  })

  test('RFC 8693 §2.1: a session is for one resource or several, and those named are all it is for (DESIGN §3)', async () => {
    const all = await world.open()
    expect(all.body.scope).toBe('mcp:tools:read mcp:tools:write')
    const one = await world.open({ resource: WAREHOUSE })
    expect(one.body.authorization_details).toHaveLength(1)
    const narrowed = one.body.access_token
    await expectRefused(
      world,
      () => world.continue(narrowed, { resource: SLACK }),
      invalidTarget('resource_not_in_session'),
    )
  })

  test('RFC 8693 §2.1: resource and audience may name one server together, not two (EMA §7.6.1)', async () => {
    expect((await world.continue(session, { audience: 'warehouse' })).status).toBe(200)
    await expectRefused(world, () => world.continue(session, { audience: 'slack' }), invalidTarget('target_ambiguous'))
    await expectRefused(world, () => world.continue(session, { audience: SLACK }), invalidTarget('target_ambiguous'))
    await expectRefused(
      world,
      () => world.continue(session, { audience: 'nowhere' }),
      invalidTarget('resource_unknown'),
    )
  })

  test('RFC 8693 §2.1: more targets than anybody needs are refused before they are looked up', async () => {
    const many = (count: number) => Array.from({ length: count }, (_, index) => `https://s${index}.example/mcp`)
    const refusal = toStranger(invalidRequest('parameter_malformed'))
    await expectRefused(world, () => world.continue(session, { resource: many(17) }), refusal)
    await expectRefused(world, () => world.continue(session, { resource: many(9), audience: many(8) }), refusal)
    const request = () => world.continue(session, { resource: many(16) })
    await expectRefused(world, request, invalidTarget('resource_unknown'))
  })

  test('RFC 8693 §2.1: a delegation names exactly one agent', async () => {
    const delegate = (params: Params) => () => world.delegate(session, params)
    await expectRefused(world, delegate({ audience: undefined }), invalidRequest('target_missing'))
    const two = delegate({ audience: ['researcher', 'orchestrator-twin'] })
    await expectRefused(world, two, invalidTarget('target_ambiguous'))
    for (const audience of ['nobody', 'warehouse', 'warehouse-server', WAREHOUSE, 'agent:researcher']) {
      await expectRefused(world, delegate({ audience }), invalidTarget('delegate_unknown'))
    }
  })
})

describe('30: scope', () => {
  test('RFC 6749 §3.3: a scope of which nothing can be granted is invalid_scope', async () => {
    const refusal = invalidScope('nothing_granted')
    for (const scope of ['admin', 'mcp:tools:*', '*', 'mcp:tools:', 'MCP:TOOLS:READ', 'mcp:tools:admin', 'openid']) {
      await expectRefused(world, () => world.continue(session, { scope }), refusal)
      await expectRefused(world, () => world.open({ scope }), refusal)
    }
    // The session holds it for Slack; at the warehouse it opens nothing that was asked for.
    const { answer } = await expectRefused(world, () => world.continue(session, { scope: 'mcp:tools:write' }), refusal)
    expect(answer.body.missing).toEqual([`${WAREHOUSE} would be opened by: mcp:tools:read`])
  })

  test('RFC 6749 §5.1: what is granted is always said, and is never more than was asked for', async () => {
    const answer = await world.continue(session, { scope: 'mcp:tools:read mcp:tools:write admin' })
    expect(answer.body.scope).toBe('mcp:tools:read')
    expect(claimsOf(answer.body.access_token)['scope']).toBe('mcp:tools:read')
    const all = await world.continue(session)
    expect(all.body.scope).toBe('mcp:tools:read')
    const narrowed = await world.open({ scope: 'mcp:tools:read' })
    expect(narrowed.body.scope).toBe('mcp:tools:read')
    expect(narrowed.body.authorization_details).toHaveLength(1)
  })
})

describe('31: authorization_details', () => {
  const good = tools(WAREHOUSE, { list_tables: {} })
  const cases: [string, string, RejectionReason][] = [
    ['not JSON', '{', 'details_malformed'],
    ['an object', JSON.stringify(good), 'details_malformed'],
    ['a string', '"agent_intent"', 'details_malformed'],
    ['null', 'null', 'details_malformed'],
    ['an empty array', '[]', 'details_empty'],
    ['an array of null', '[null]', 'details_malformed'],
    ['a nested array', JSON.stringify([[intent, good]]), 'details_malformed'],
    ['without a type', JSON.stringify([{ purpose: 'x' }]), 'details_malformed'],
    ['a type that is no string', JSON.stringify([{ type: 1 }]), 'details_malformed'],
    ['an unknown type', JSON.stringify([intent, { type: 'payment_initiation' }]), 'details_unknown'],
    ['a known type in another case', JSON.stringify([{ ...intent, type: 'Agent_Intent' }, good]), 'details_unknown'],
    ['an unknown member', JSON.stringify([{ ...intent, budget: 1 }, good]), 'details_unknown'],
    ['an unknown member of tools', JSON.stringify([intent, { ...good, actions: ['read'] }]), 'details_unknown'],
    [
      'the broker’s own member',
      JSON.stringify([{ ...intent, origin: { type: 'schedule', asserted_by: 'x' } }, good]),
      'details_unknown',
    ],
    [
      'an unknown constraint',
      JSON.stringify([intent, tools(WAREHOUSE, { query: { table: { regex: '.*' } } })]),
      'details_unknown',
    ],
    ['an unknown limit', JSON.stringify([intent, { ...good, limits: { maxCost: 1 } }]), 'details_unknown'],
    ['two intents', JSON.stringify([intent, intent, good]), 'details_malformed'],
    ['one resource twice', JSON.stringify([intent, good, tools(`${WAREHOUSE}/`, { query: {} })]), 'details_malformed'],
    [
      'a repeated member',
      `[{"type":"agent_intent","purpose":"a","purpose":"b"},${JSON.stringify(good)}]`,
      'details_malformed',
    ],
    [
      '__proto__',
      `[${JSON.stringify(intent)},{"type":"mcp_tools","locations":["${WAREHOUSE}"],"tools":{"__proto__":{}}}]`,
      'details_malformed',
    ],
    ['no locations', JSON.stringify([intent, { ...good, locations: [] }]), 'details_empty'],
    ['locations that are no list', JSON.stringify([intent, { ...good, locations: WAREHOUSE }]), 'details_malformed'],
    ['a location that is no URL', JSON.stringify([intent, tools('warehouse', { query: {} })]), 'details_malformed'],
    ['no tools', JSON.stringify([intent, tools(WAREHOUSE, {})]), 'details_empty'],
    ['a tool name with a wildcard', JSON.stringify([intent, tools(WAREHOUSE, { '*': {} })]), 'details_malformed'],
    ['no purpose', JSON.stringify([{ type: 'agent_intent' }, good]), 'details_malformed'],
    ['an empty purpose', JSON.stringify([{ ...intent, purpose: ' ' }, good]), 'details_malformed'],
    ['a purpose with a control character', JSON.stringify([{ ...intent, purpose: 'a\nb' }, good]), 'details_malformed'],
    ['an unknown origin', JSON.stringify([{ ...intent, origin: { type: 'admin' } }, good]), 'details_malformed'],
    ['a life of nothing', JSON.stringify([{ ...intent, expires_in: 0 }, good]), 'details_malformed'],
    ['a life that is no number', JSON.stringify([{ ...intent, expires_in: '900' }, good]), 'details_malformed'],
    ['a negative depth', JSON.stringify([{ ...intent, max_depth: -1 }, good]), 'details_malformed'],
    ['a depth beyond all bounds', JSON.stringify([{ ...intent, max_depth: 99 }, good]), 'details_malformed'],
    ['more objects than fit', JSON.stringify(Array.from({ length: 33 }, () => intent)), 'details_malformed'],
    [
      'more characters than fit',
      JSON.stringify([{ ...intent, purpose: 'x'.repeat(17_000) }, good]),
      'details_malformed',
    ],
  ]
  test.each(cases)('RFC 9396 §5: %s is invalid_authorization_details', async (_, authorization_details, reason) => {
    const refusal = toStranger(invalidDetails(reason))
    await expectRefused(world, () => world.open({ authorization_details }), refusal)
    await expectRefused(world, () => world.continue(session, { authorization_details }), refusal)
  })

  test('RFC 9396 §5: opening takes exactly one intent with tools; an unknown place or tool is refused', async () => {
    await expectRefused(world, () => world.open(details(good)), invalidDetails('intent_missing'))
    await expectRefused(world, () => world.open(details(intent)), invalidDetails('details_empty'))
    const nowhere = details(intent, tools('https://nowhere.example/mcp', { query: {} }))
    await expectRefused(world, () => world.open(nowhere), invalidTarget('resource_unknown'))
    const noTool = details(intent, tools(WAREHOUSE, { no_such_tool: {} }))
    await expectRefused(world, () => world.open(noTool), invalidDetails('details_unknown'))
    const upstream = details({ ...intent, origin: { type: 'upstream_agent' } }, good)
    await expectRefused(world, () => world.open(upstream), invalidDetails('details_malformed'))
  })

  test('RFC 9396 §6.1: later hops carry no intent, and only narrow', async () => {
    await expectRefused(
      world,
      () => world.continue(session, details(intent, good)),
      invalidDetails('intent_unexpected'),
    )
    const delegation = (await world.delegate(session)).body.access_token
    await expectRefused(world, () => world.accept(delegation, details(intent)), invalidDetails('intent_unexpected'))
    await expectRefused(world, () => world.delegate(session, details(DELEGATED[1])), invalidDetails('intent_missing'))
    const widening: Record<string, unknown>[] = [
      { insert_rows: {} },
      { query: {} },
      { query: { table: { enum: ['revenue', 'salaries'] }, limit: { maximum: 500 } } },
      { query: { table: { enum: ['revenue'] }, limit: { maximum: 501 } } },
      { query: { table: { enum: ['revenue'] } } },
    ]
    for (const wider of widening) {
      const params = details(tools(WAREHOUSE, wider))
      await expectRefused(world, () => world.continue(session, params), invalidDetails('details_widening'))
    }
    const elsewhere = details(tools(WIKI, { search: {} }))
    await expectRefused(world, () => world.continue(session, elsewhere), invalidTarget('resource_not_in_session'))
  })

  test('RFC 9396 §7: what is granted is returned, and is what the token carries', async () => {
    const params = details(tools(WAREHOUSE, { query: { table: { const: 'costs' }, limit: { maximum: 10 } } }))
    const answer = await world.continue(session, params)
    expect(answer.body.authorization_details).toEqual(JSON.parse(params['authorization_details'] as string))
    expect(claimsOf(answer.body.access_token)['authorization_details']).toEqual(answer.body.authorization_details)
  })

  test('RFC 9396 §5: an API token takes none', async () => {
    const params = { resource: `${world.issuer}/api`, scope: 'sessions', ...details(intent, good) }
    await expectRefused(world, () => world.clientCredentials('orchestrator', params), invalidDetails('details_unknown'))
  })
})

describe('32: bad subject tokens', () => {
  /** One code and one status whatever was wrong; which it was, is told to the client in `error_reason` alone. */
  const spoilt: [string, () => string, RejectionReason][] = [
    ['expired', () => world.idToken({ iat: world.now() - 100, exp: world.now() - 31 }), 'subject_token_expired'],
    ['not yet valid', () => world.idToken({ nbf: world.now() + 60 }), 'subject_token_not_yet_valid'],
    ['from the future', () => world.idToken({ iat: world.now() + 60 }), 'subject_token_not_yet_valid'],
    ['without an end', () => world.idToken({ exp: undefined }), 'subject_token_claims'],
    ['without a subject', () => world.idToken({ sub: undefined }), 'subject_token_claims'],
    ['signed by nobody we know', () => forge(testKey('mallory')), 'subject_token_signature'],
    [
      'signed under a borrowed kid',
      () => forge(testKey('mallory'), { kid: world.idp.key.kid }),
      'subject_token_signature',
    ],
    ['with another algorithm', () => world.idToken({}, { alg: 'RS256' }), 'subject_token_signature'],
    ['of an unknown issuer', () => world.idToken({ iss: 'https://evil.example' }), 'subject_issuer_unknown'],
    ['without an issuer', () => world.idToken({ iss: undefined }), 'subject_issuer_unknown'],
    ['for another audience', () => world.idToken({ aud: 'another-app' }), 'subject_token_audience'],
    ['without an audience', () => world.idToken({ aud: undefined }), 'subject_token_audience'],
    ['bound to a key (cnf)', () => world.idToken({ cnf: { jkt: 'A'.repeat(43) } }), 'subject_token_unproven'],
    ['bound to a key in another way', () => world.idToken({ cnf: { kid: 'x' } }), 'subject_token_claims'],
    ['of an unknown user', () => world.idToken({ sub: 'carol' }), 'user_not_listed'],
    ['of an inactive user', () => world.idToken({ sub: 'mallory' }), 'user_inactive'],
  ]
  const forge = (key: ReturnType<typeof testKey>, header: Record<string, unknown> = {}) => {
    const now = world.now()
    const claims = { iss: world.idp.url, sub: 'alice', aud: 'orchestrator-at-idp', iat: now, exp: now + 60 }
    return sign({ key, header, claims }).reveal()
  }

  test.each(spoilt)('RFC 8693 §2.2.2: a user’s token that is %s is invalid_request', async (_, make, reason) => {
    await expectRefused(world, () => world.open({ subject_token: make() }), invalidRequest(reason))
  })

  test('RFC 8693 §2.2.2: so are session and delegation tokens that are expired, forged, revoked, or another’s', async () => {
    const own = await startWorld()
    const opened = await own.opened()
    const delegation = (await own.delegate(opened.session)).body.access_token
    const forged = (token: string) => `${token.slice(0, -20)}${'A'.repeat(20)}`
    const refused = (request: () => ReturnType<World['open']>, reason: RejectionReason) =>
      expectRefused(own, request, invalidRequest(reason))

    await refused(() => own.continue(forged(opened.session)), 'subject_token_signature')
    await refused(() => own.accept(forged(delegation)), 'subject_token_signature')
    await refused(() => own.continue(session), 'subject_token_signature') // of a broker with other keys
    await refused(() => own.continue(opened.session, {}, 'researcher'), 'subject_token_presenter')
    await refused(() => own.accept(delegation, {}, 'orchestrator'), 'subject_token_presenter')
    await refused(() => own.accept(delegation, {}, 'scribe'), 'subject_token_presenter')
    await own.advance(121)
    await refused(() => own.accept(delegation), 'subject_token_expired')
    const revoked = (await own.delegate(opened.session)).body.access_token
    await own.revoke(revoked)
    await refused(() => own.accept(revoked), 'node_revoked')
    await own.revoke(opened.session)
    await refused(() => own.continue(opened.session), 'session_not_issuing')
    await own.advance(800)
    await refused(() => own.continue(opened.session), 'subject_token_expired')
    await own.close()
  })
})

describe('33: the state of the session', () => {
  /** As another broker, or a reviewer, might leave it. */
  const setState = async (token: string, value: string) => {
    const commit = { id: newJti(), checks: [], expiresAtMs: world.clock.nowMs() + 3_600_000, audit: undefined }
    const operations = [{ operation: 'set', field: FIELD.state, value }] as const
    await world.broker.store.sessions.commit({ ...commit, session: claimsOf(token)['sid'] as SessionId, operations })
  }

  test.each([
    'halted',
    'closed',
    'revoked',
    'expired',
    'frozen',
    'ACTIVE',
    '',
  ])('RFC 8693 §2.2.2: a session that is "%s" issues nothing: invalid_request, and the reason (DESIGN §5)', async (state) => {
    const { session: token } = await world.opened()
    const delegation = (await world.delegate(token)).body.access_token
    const access = (await world.continue(token)).body.access_token
    await setState(token, state)
    const refusal = invalidRequest('session_not_issuing')
    await expectRefused(world, () => world.continue(token), refusal)
    await expectRefused(world, () => world.delegate(token), refusal)
    await expectRefused(world, () => world.accept(delegation), refusal)
    expect((await world.introspect(access)).body).toEqual({ active: false })
  })

  test('RFC 8693 §2.2.2: a contracted session still issues', async () => {
    const { session: token } = await world.opened()
    await setState(token, 'contracted')
    expect((await world.continue(token)).status).toBe(200)
  })

  test('RFC 8693 §2.2.2: a session that the store does not know is dead (the store is an allow-list)', async () => {
    const keysDirectory = world.config.keys.directory
    const forgetful = await startWorld({ keysDirectory, issuer: world.idp })
    await expectRefused(forgetful, () => forgetful.continue(session), invalidRequest('session_absent'))
    await forgetful.close()
  })
})

describe('34 and 35: who acts', () => {
  test('RFC 8693 §2.2.2: an agent that may not be delegated to is refused, and nothing else is issued', async () => {
    const refusal = invalidRequest('delegate_not_allowed')
    await expectRefused(world, () => world.delegate(session, { audience: 'scribe' }), refusal)
    await expectRefused(world, () => world.delegate(session, { audience: 'orchestrator' }), refusal)
  })

  test('RFC 8693 §2.2.2: an agent whose manifest does not hold the tools gets nothing in the user’s name', async () => {
    const params = { subject_token: world.idToken({ aud: 'twin-at-idp' }), subject_token_type: TYPE.id }
    const twin = () =>
      world.exchange('orchestrator-twin', { ...params, ...details(...INTENT), requested_token_type: TYPE.session })
    await expectRefused(world, twin, invalidScope('nothing_granted'))
    const delegated = () => world.delegate(session, { audience: 'orchestrator-twin' })
    await expectRefused(world, delegated, invalidScope('nothing_granted'))
  })

  test('RFC 8693 §2.2.2: a user without a grant gives the agent nothing', async () => {
    const nobody = await startWorld({ registry: { ...registryDocument(world.idp), grants: [] }, issuer: world.idp })
    await expectRefused(nobody, () => nobody.open(), invalidScope('nothing_granted'))
    await nobody.close()
  })

  test('RFC 8693 §1.1: with an actor_token or without, the authenticated agent is the actor, once', async () => {
    const acting = { iss: world.issuer, sub: 'agent:orchestrator', sub_profile: 'ai_agent' }
    const actor = () => ({
      actor_token: world.assertion('orchestrator', {}, { typ: 'JWT' }),
      actor_token_type: TYPE.jwt,
    })
    const access = { requested_token_type: TYPE.access, resource: WAREHOUSE }
    for (const more of [{}, actor()]) {
      const opened = await world.open({ ...access, ...more })
      expect(opened.status, JSON.stringify(opened.body)).toBe(200)
      expect(claimsOf(opened.body.access_token)).toMatchObject({ sub: 'user:corp:alice', act: acting })
      expect(claimsOf(opened.body.access_token)['act']).toEqual(acting)
    }
    const continued = await world.continue(session, actor())
    expect(claimsOf(continued.body.access_token)['act']).toEqual(acting)
    const delegation = (await world.delegate(session, actor())).body.access_token
    const accepted = await world.accept(delegation, {
      actor_token: world.assertion('researcher', {}, { typ: 'JWT' }),
      actor_token_type: TYPE.jwt,
    })
    expect(claimsOf(accepted.body.access_token)['act']).toEqual({ ...acting, sub: 'agent:researcher', act: acting })
  })

  test('RFC 8693 §4.1: an instance describes itself, plainly, and authorizes nothing (DESIGN §1)', async () => {
    const named = await world.continue(session, { agent_instance: 'pod-7.eu:a_1' })
    expect(claimsOf(named.body.access_token)['agent']).toEqual({ version: '1', instance: 'pod-7.eu:a_1' })
    for (const agent_instance of ['a b', 'x"y', 'a\nb', '{}', 'é', 'x'.repeat(257)]) {
      const request = () => world.continue(session, { agent_instance })
      await expectRefused(world, request, toStranger(invalidRequest('parameter_malformed')))
    }
  })

  test('RFC 6749 §4.4: a subject_token beside client_credentials changes nothing: the agent works for itself', async () => {
    const beside = { subject_token: world.idToken(), subject_token_type: TYPE.id, actor_token: world.idToken() }
    const answer = await world.clientCredentials('orchestrator', {
      resource: WIKI,
      ...beside,
      actor_token_type: TYPE.jwt,
    })
    expect(answer.status, JSON.stringify(answer.body)).toBe(200)
    const claims = claimsOf(answer.body.access_token)
    expect(claims['sub']).toBe('agent:orchestrator')
    expect(claims).not.toHaveProperty('act')
  })
})
