import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { JOSE_HEADER } from '../../support/jose-header.ts'
import { claimsOf, registryDocument, startWorld, TYPE, WAREHOUSE, type World } from '../../support/world.ts'

let world: World
beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world.close())

let before: ReadonlySet<string>
beforeEach(async () => {
  await world.broker.flushAudit()
  before = new Set((await world.audit(1_000)).map(({ id }) => id))
})
const added = async () => {
  await world.broker.flushAudit()
  return (await world.audit(1_000)).filter(({ id }) => !before.has(id))
}

describe('one record per request, the decision inside it', () => {
  test('of a grant: who, for whom, in which session, what, and by which policy', async () => {
    const answer = await world.open({ agent_instance: 'pod-7' })
    const claims = claimsOf(answer.body.access_token)
    const [record, ...others] = await added()
    expect(others).toEqual([])
    expect(record).toMatchObject({
      id: answer.body.decision_id,
      event: 'session.open',
      outcome: 'granted',
      by: 'agent:orchestrator',
      by_class: 'agent',
      agent: { id: 'orchestrator', version: '1', instance: 'pod-7' },
      on_behalf_of: 'user:corp:alice',
      session: claims['sid'],
      intent: claims['intent'],
      origin: 'user_request',
      scope: claims['scope'],
      chain: ['agent:orchestrator'],
      jti: claims['jti'],
      expires_at: claims['exp'],
      layers: { user: 'allowed', agent: 'allowed' },
      grants: ['finance-works'],
    })
    expect(JSON.stringify(record)).not.toMatch(JOSE_HEADER)
  })

  test('of a refusal by the policy: its verdicts, what was missing, and the same id in the answer', async () => {
    const answer = await world.open({
      authorization_details: JSON.stringify([
        { type: 'agent_intent', purpose: 'Tidy up' },
        { type: 'mcp_tools', locations: ['https://wiki.example/mcp'], tools: { search: { q: { const: 'x' } } } },
      ]),
    })
    expect(answer.status).toBe(400)
    const [record, ...others] = await added()
    expect(others).toEqual([])
    expect(record).toMatchObject({
      id: answer.body.decision_id,
      outcome: 'refused',
      reason: answer.body.error_reason,
      by: 'agent:orchestrator',
      on_behalf_of: 'user:corp:alice',
      layers: expect.any(Object),
    })
    expect(record.missing).toEqual(answer.body.missing)
  })

  test('of a refusal before the evidence was verified: the client, and nothing a stranger claimed', async () => {
    const answer = await world.open({ subject_token: world.idToken({ exp: world.now() - 600 }) })
    const [record] = await added()
    expect(record).toMatchObject({
      id: answer.body.decision_id,
      reason: 'subject_token_expired',
      by: 'agent:orchestrator',
    })
    expect(record).not.toHaveProperty('on_behalf_of')
  })

  test('of an API token', async () => {
    const answer = await world.clientCredentials('warehouse-server', { resource: `${world.issuer}/api` })
    expect(await added()).toMatchObject([
      {
        id: answer.body.decision_id,
        event: 'token.api',
        outcome: 'granted',
        by: 'service:warehouse-server',
        by_class: 'service',
        resource: `${world.issuer}/api`,
        jti: claimsOf(answer.body.access_token)['jti'],
      },
    ])
  })

  test('carries the caller’s correlation id', async () => {
    await world.post(
      '/token',
      { grant_type: 'client_credentials', ...world.authentication('orchestrator'), resource: WAREHOUSE, scope: 'none' },
      { 'X-Request-Id': 'trace-1' },
    )
    expect(await added()).toMatchObject([{ correlation: 'trace-1' }])
  })
})

describe('a client assertion', () => {
  test('that arrived with a bad request is used up: whoever replays it is a stranger', async () => {
    const authentication = world.authentication('orchestrator')
    const ask = (subject: string) =>
      world.exchange('orchestrator', {
        ...authentication,
        subject_token: subject,
        subject_token_type: TYPE.id,
        resource: 'https://wiki.example/mcp',
      })
    expect((await ask(world.idToken({ aud: 'somebody-else' }))).body.error_reason).toBe('subject_token_audience')
    const replayed = await ask(world.idToken())
    expect(replayed.status).toBe(401)
    expect(replayed.body).not.toHaveProperty('decision_id')
    const records = await added()
    expect(records.map(({ by }) => by).sort()).toEqual(['agent:orchestrator', 'stranger'])
  })

  test('replayed is told before anything about the session it was replayed with', async () => {
    const authentication = world.authentication('orchestrator')
    const { session } = await world.opened()
    expect((await world.continue(session, authentication)).status).toBe(200)
    await world.revoke(session)
    const replayed = await world.continue(session, authentication)
    expect(replayed.status).toBe(401)
    expect(replayed.body).not.toHaveProperty('error_reason')
  })
})

describe('what a client may ask', () => {
  test('a service is given API tokens and nothing else', async () => {
    const answer = await world.clientCredentials('warehouse-server', { resource: WAREHOUSE })
    expect(answer.body).toMatchObject({ error: 'unauthorized_client', error_reason: 'grant_type_not_allowed' })
  })

  test('a grant type it is not registered for is refused with what would be needed', async () => {
    const answer = await world.exchange('warehouse-server', {
      subject_token: world.idToken(),
      subject_token_type: TYPE.id,
      resource: WAREHOUSE,
    })
    expect(answer.body).toMatchObject({ error: 'unauthorized_client', error_reason: 'grant_type_not_allowed' })
    expect(answer.body.missing).toEqual([expect.stringContaining('grant_types of warehouse-server')])
  })
})

test('a client that is not active is given nothing, not even a token for the API of the broker', async () => {
  const document = registryDocument(world.idp)
  const suspended = (section: string) =>
    (document[section] as readonly object[]).map((client) => ({ ...client, state: 'suspended' }))
  const registry = { services: suspended('services'), agents: suspended('agents') }
  const closed = await startWorld({ issuer: world.idp, registry })
  for (const [client, reason] of [
    ['warehouse-server', 'service_inactive'],
    ['orchestrator', 'agent_inactive'],
  ] as const) {
    const answer = await closed.clientCredentials(client, { resource: `${closed.issuer}/api` })
    expect(answer.body).toMatchObject({ error: 'invalid_request', error_reason: reason })
  }
  await closed.close()
})

test('a token carries the number that the broker had applied when it decided', async () => {
  const { session } = await world.opened()
  const { rv } = world.broker.cutoffs
  expect(claimsOf((await world.continue(session)).body.access_token)['rv']).toBe(rv)
})
