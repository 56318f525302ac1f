/**
 * Tokens of the platform that a workload runs on, at `/token` and beside it (DESIGN §3, flow 5; checklist #44 to #48, #85,
 * #86): whom they authenticate, what they open, and what they are refused for.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { sessionIndex } from '../../src/flows/flow.ts'
import { CLOCK_SKEW_S } from '../../src/kernel/limits.ts'
import type { RejectionReason } from '../../src/kernel/rejection.ts'
import { granted, intent, kill } from '../support/hops.ts'
import { startIssuer } from '../support/issuer.ts'
import { sign, testKey } from '../support/keys.ts'
import { expectRefused, invalidClient, invalidRequest, toStranger } from '../support/refusal.ts'
import {
  asClient,
  REPORTER,
  REPORTER_UID,
  startWorkloadWorld,
  TOKEN_EXCHANGE,
  type WorkloadWorld,
} from '../support/workloads.ts'
import { claimsOf, TYPE, WAREHOUSE, WIKI, type World } from '../support/world.ts'

let at: WorkloadWorld
let world: World
beforeAll(async () => {
  at = await startWorkloadWorld()
  world = at.world
})
afterAll(() => at.close())

const invalidGrant = (reason: RejectionReason) => ({ status: 400, error: 'invalid_grant', reason }) as const

describe('as client authentication', () => {
  test('says which client it is by its claims: no client_id, no key, no secret', async () => {
    const { claims } = await granted(at.ask(at.podToken()))
    expect(claims).toMatchObject({ sub: 'agent:reporter', client_id: 'reporter', agent: { version: '3' } })
    const job = await granted(at.ask(at.jobToken()))
    expect(job.claims).toMatchObject({ client_id: 'reporter', agent: { version: 'ci' } })
    const records = (await world.audit()).filter(({ event }) => event === 'token.autonomous')
    expect(records.slice(0, 2).map(({ client_auth }) => client_auth)).toEqual([
      { method: 'workload_jwt', credential: 'job/reporter', issuer: 'ci' },
      { method: 'workload_jwt', credential: REPORTER, issuer: 'cluster' },
    ])
  })

  test('#47 is presented again and again until it expires: platforms re-read a file', async () => {
    const token = at.podToken({ jti: undefined })
    for (let time = 0; time < 3; time += 1) await granted(at.ask(token))
    await world.advance(3607 + CLOCK_SKEW_S - 1)
    await granted(at.ask(token))
    await world.advance(1)
    await expectRefused(world, () => at.ask(token), invalidClient('client_assertion_expired'))
    expect(at.cluster.countRequests()).toBeLessThanOrEqual(3)
  })

  test('serves at every endpoint', async () => {
    for (const path of ['/introspect', '/revoke']) {
      const params = { ...asClient(at.jobToken({ sub: 'job/wiki' })), token: world.idToken() }
      const answer = await world.post(path, params)
      expect(answer.status, JSON.stringify(answer.body)).toBe(200)
    }
  })

  test('with a client_id that says the same, or is refused', async () => {
    await granted(at.ask(at.podToken(), { client_id: 'reporter' }))
    const other = () => at.ask(at.podToken(), { client_id: 'orchestrator' })
    await expectRefused(world, other, invalidClient('client_assertion_claims'))
  })

  test.each<[string, object, object, RejectionReason]>([
    ['#44 for the API server', { aud: ['https://kubernetes.default.svc'] }, {}, 'client_assertion_audience'],
    ['for us and another', { aud: ['errand', 'https://other.example'] }, {}, 'client_assertion_audience'],
    ['for nobody', { aud: undefined }, {}, 'client_assertion_audience'],
    [
      'for the token endpoint, as only a grant may be',
      { aud: ['http://127.0.0.1:4400/token'] },
      {},
      'client_assertion_audience',
    ],
    ['that has expired', { iat: 1, nbf: 1, exp: 2 }, {}, 'client_assertion_expired'],
    ['from the future', { nbf: 4_000_000_000 }, {}, 'client_assertion_claims'],
    ['that lives too long', { exp: 4_000_000_000 }, {}, 'client_assertion_lifetime'],
    ['without iat', { iat: undefined, nbf: undefined }, {}, 'client_assertion_claims'],
    ['without sub', { sub: undefined }, {}, 'client_assertion_claims'],
    ['without what its platform always writes', { 'kubernetes.io': undefined }, {}, 'client_assertion_claims'],
    ['of another kind', {}, { typ: 'at+jwt' }, 'client_assertion_claims'],
    ['that somebody acts with', { act: { sub: 'x' } }, {}, 'client_assertion_claims'],
    ['bound to a key', { cnf: { jkt: 'x' } }, {}, 'client_assertion_claims'],
    [
      'of an account made again under its name (#44)',
      kubernetesUid('00000000-0000-4000-8000-000000000000'),
      {},
      'client_unknown',
    ],
    ['of another account', { sub: 'system:serviceaccount:agents:other' }, {}, 'client_unknown'],
    ['whose sub only begins so (#45)', { sub: `${REPORTER}2` }, {}, 'client_unknown'],
    ['under an unknown key', {}, { kid: 'unknown' }, 'client_assertion_signature'],
    ['that says a weaker algorithm', {}, { alg: 'PS256' }, 'client_assertion_signature'],
  ])('a token %s is refused', async (_title, claims, header, reason) => {
    await expectRefused(world, () => at.ask(at.podToken(claims as never, header as never)), invalidClient(reason))
  })

  test('signed by somebody else under the name of its key', async () => {
    const now = world.now()
    const claims = { ...claimsOf(at.podToken()), iat: now, exp: now + 600 }
    const forged = sign({ key: testKey('forger', 'RS256'), header: { kid: at.cluster.key.kid }, claims }).reveal()
    await expectRefused(world, () => at.ask(forged), invalidClient('client_assertion_signature'))
  })

  test('#46 the same sub at another platform is somebody else', async () => {
    await expectRefused(world, () => at.ask(at.jobToken({ sub: REPORTER })), invalidClient('client_unknown'))
    await expectRefused(world, () => at.ask(at.podToken({ sub: 'job/reporter' })), invalidClient('client_unknown'))
  })

  test('an issuer that is not configured costs no request, whatever it publishes', async () => {
    const unknown = await startIssuer({ slug: 'unknown' })
    try {
      const now = world.now()
      const token = unknown.sign({ sub: 'job/reporter', aud: 'errand', iat: now, exp: now + 60, jti: 'x' }).reveal()
      await expectRefused(world, () => at.ask(token), invalidClient('client_unknown'))
      await expectRefused(
        world,
        () => at.open(token, asClient(at.jobToken())),
        invalidRequest('subject_issuer_unknown'),
      )
      const actor = { actor_token: token, actor_token_type: TYPE.jwt, ...asClient(at.jobToken()) }
      await expectRefused(world, () => at.open(at.podToken(), actor), invalidRequest('actor_mismatch'))
      const grant = await at.federate(token)
      expect([grant.status, grant.body.error]).toEqual([401, 'invalid_client'])
      expect([unknown.countRequests(), unknown.countConnections()]).toEqual([0, 0])
    } finally {
      await unknown.close()
    }
  })

  test('an algorithm that the platform does not use costs no request', async () => {
    const own = await startWorkloadWorld()
    try {
      const ask = () => own.ask(own.jobToken({}, { alg: 'RS512' }))
      await expectRefused(own.world, ask, invalidClient('client_assertion_signature'))
      expect(own.ci.countConnections()).toBe(0)
    } finally {
      await own.close()
    }
  })
})

function kubernetesUid(uid: string): object {
  return { 'kubernetes.io': { namespace: 'agents', serviceaccount: { name: 'report-agent', uid } } }
}

describe('of a client that may not', () => {
  let usual: WorkloadWorld
  beforeAll(() => {
    usual = at
  })
  afterEach(async () => {
    if (at !== usual) await at.close()
    at = usual
    world = at.world
  })
  const started = async (change: (document: Record<string, Record<string, unknown>[]>) => void) => {
    at = await startWorkloadWorld({ change })
    world = at.world
  }
  const reporter = (document: Record<string, Record<string, unknown>[]>) =>
    document['agents']?.find((agent) => agent['client_id'] === 'reporter') ?? {}

  test('a suspended agent is refused under its name', async () => {
    await started((document) => Object.assign(reporter(document), { state: 'suspended' }))
    const { record } = await expectRefused(world, () => at.ask(at.podToken()), invalidRequest('agent_inactive'))
    expect(record.by).toBe('agent:reporter')
  })

  test('a grant type that is not registered is refused', async () => {
    await started((document) => Object.assign(reporter(document), { grant_types: ['token-exchange'] }))
    const refusal = { status: 400, error: 'unauthorized_client', reason: 'grant_type_not_allowed' } as const
    await expectRefused(world, () => at.ask(at.podToken()), refusal)
    await expectRefused(world, () => at.federate(at.podToken({ aud: world.issuer })), refusal)
  })

  test('rules of two clients that meet in one token are a refusal, not a choice', async () => {
    await started((document) => {
      const [first] = document['agents'] ?? []
      Object.assign(first ?? {}, {
        workloads: [
          { issuer: 'cluster', match: { sub: REPORTER, '/kubernetes.io/namespace': 'agents' }, version: '1' },
        ],
      })
    })
    await expectRefused(world, () => at.ask(at.podToken()), invalidClient('client_ambiguous'))
    const subject = () => at.open(at.podToken(), asClient(at.jobToken()))
    await expectRefused(world, subject, invalidRequest('workload_ambiguous'))
    const federated = await at.federate(at.podToken({ aud: world.issuer }))
    expect([federated.status, federated.body.error]).toEqual([400, 'invalid_grant'])
    // The other rule alone is fulfilled by a token that the first is not fulfilled by.
    const other = await granted(at.ask(at.podToken(kubernetesUid('00000000-0000-4000-8000-000000000000') as never)))
    expect(other.claims.client_id).toBe('orchestrator')
  })

  test('a revoke of the agent ends its platform’s older tokens too; one issued a minute later is fresh', async () => {
    await started(() => undefined)
    const old = at.podToken()
    const { token: session } = await granted(at.open(at.podToken(), asClient(at.jobToken())))
    await world.advance(1)
    await kill(world, { dimension: 'agent', agent: 'reporter' })
    await expectRefused(world, () => at.ask(old), invalidRequest('principal_blocked'))
    await expectRefused(
      world,
      () =>
        world.post('/token', {
          grant_type: TOKEN_EXCHANGE,
          subject_token: session,
          subject_token_type: TYPE.session,
          resource: WIKI,
          ...asClient(at.jobToken()),
        }),
      invalidRequest('session_not_issuing'),
    )
    const api = () => at.ask(old, { resource: `${world.issuer}/api` })
    await expectRefused(world, api, invalidRequest('principal_blocked'))
    await world.advance(62)
    await granted(at.ask(at.podToken()))
    await expectRefused(world, () => at.open(old, asClient(at.jobToken())), invalidRequest('principal_blocked'))
  })
})

describe('as subject: the agent works for itself', () => {
  test('a session is opened, continued and delegated; it ends with the token', async () => {
    const { token, claims, body } = await granted(
      at.open(at.podToken({ exp: world.now() + 600 }), asClient(at.jobToken())),
    )
    expect(claims).toMatchObject({ sub: 'agent:reporter', exp: world.now() + 600 })
    expect(claims).not.toHaveProperty('act')
    expect([body.token_type, body.issued_token_type]).toEqual(['N_A', TYPE.session])
    const access = await granted(
      world.post('/token', {
        grant_type: TOKEN_EXCHANGE,
        subject_token: token,
        subject_token_type: TYPE.session,
        resource: WIKI,
        ...asClient(at.podToken()),
      }),
    )
    expect(access.claims).toMatchObject({ sub: 'agent:reporter', client_id: 'reporter', sid: claims.sid })
    const [record] = (await world.audit()).filter(({ event }) => event === 'session.open')
    expect(record).toMatchObject({
      by: 'agent:reporter',
      workload: { issuer: 'cluster', sub: REPORTER },
      client_auth: { method: 'workload_jwt', issuer: 'ci' },
    })
    expect(
      await world.broker.store.indexes.list(sessionIndex.ofPrincipal('agent:reporter'), world.clock.nowMs(), 9),
    ).toContain(claims.sid)
  })

  test('its delegate acts for the agent', async () => {
    const details = JSON.stringify([
      intent({ expires_in: 300 }),
      { type: 'mcp_tools', locations: [WAREHOUSE], tools: { query: {}, list_tables: {} } },
    ])
    const { token } = await granted(
      at.open(at.podToken(), { ...asClient(at.jobToken()), authorization_details: details }),
    )
    const delegation = await granted(
      world.post('/token', {
        grant_type: TOKEN_EXCHANGE,
        subject_token: token,
        subject_token_type: TYPE.session,
        requested_token_type: TYPE.delegation,
        audience: 'researcher',
        authorization_details: JSON.stringify([
          intent(),
          { type: 'mcp_tools', locations: [WAREHOUSE], tools: { query: {} } },
        ]),
        ...asClient(at.jobToken()),
      }),
    )
    const { claims } = await granted(world.accept(delegation.token))
    expect(claims).toMatchObject({ sub: 'agent:reporter', act: { sub: 'agent:researcher' } })
  })

  test('an access token, for one server', async () => {
    const wanted = { requested_token_type: TYPE.access, resource: WIKI, ...asClient(at.jobToken()) }
    const { claims } = await granted(at.open(at.podToken(), wanted))
    expect(claims).toMatchObject({ aud: WIKI, sub: 'agent:reporter' })
    const none = { requested_token_type: TYPE.access, ...asClient(at.jobToken()) }
    await expectRefused(world, () => at.open(at.podToken(), none), invalidRequest('target_missing'))
    const delegation = { requested_token_type: TYPE.delegation, ...asClient(at.jobToken()) }
    await expectRefused(
      world,
      () => at.open(at.podToken(), delegation),
      invalidRequest('requested_token_type_unsupported'),
    )
  })

  test('of another client’s workload, of nobody’s, and of no platform', async () => {
    const authentication = world.authentication('orchestrator')
    const others = () => at.open(at.podToken(), authentication)
    await expectRefused(world, others, invalidRequest('subject_token_presenter'))
    const nobodys = () => at.open(at.jobToken({ sub: 'job/x' }), asClient(at.jobToken()))
    await expectRefused(world, nobodys, invalidRequest('workload_unmatched'))
    const users = () => at.open(world.idToken(), asClient(at.jobToken()))
    await expectRefused(world, users, invalidRequest('subject_issuer_unknown'))
    const stranger = toStranger({ status: 401, error: 'invalid_client', reason: 'client_authentication_missing' })
    await expectRefused(world, () => at.open(at.podToken()), stranger)
  })

  test('#86 one JWT fills one slot: it is not its own authentication, nor its own actor', async () => {
    const token = at.podToken()
    await expectRefused(world, () => at.open(token, asClient(token)), invalidRequest('subject_token_presenter'))
    const asActor = { actor_token: token, actor_token_type: TYPE.jwt }
    const actor = () => at.open(token, { ...asClient(at.jobToken()), ...asActor })
    await expectRefused(world, actor, invalidRequest('actor_token_unacceptable'))
    const assertion = () => at.open(at.jobToken(), { ...asClient(token), ...asActor })
    await expectRefused(world, assertion, invalidRequest('actor_token_unacceptable'))
  })
})

describe('as actor', () => {
  const opening = (actor: string) =>
    world.exchange('reporter', {
      ...asClient(at.jobToken()),
      subject_token: at.podToken(),
      subject_token_type: TYPE.jwt,
      requested_token_type: TYPE.session,
      actor_token: actor,
      actor_token_type: TYPE.jwt,
    })

  test('it says once more who the client is, as often as it likes', async () => {
    const actor = at.podToken()
    await granted(opening(actor))
    await granted(opening(actor))
  })

  test('of another client, or with act (#48): refused', async () => {
    const wiki = () => opening(at.jobToken({ sub: 'job/wiki' }))
    await expectRefused(world, wiki, invalidRequest('actor_mismatch'))
    await expectRefused(world, () => opening(at.jobToken({ sub: 'job/x' })), invalidRequest('actor_mismatch'))
    const acting = () => opening(at.podToken({ act: { sub: 'x' } }))
    await expectRefused(world, acting, invalidRequest('actor_token_unacceptable'))
  })
})

describe('as grant: Workload Identity Federation (MCP draft, WAG)', () => {
  test.each<[string, (world: World) => unknown]>([
    ['the issuer', ({ issuer }) => issuer],
    ['the token endpoint', ({ issuer }) => `${issuer}/token`],
    ['both', ({ issuer }) => [issuer, `${issuer}/token`]],
    ['an audience of its platform', () => 'errand'],
  ])('#85 its audience is %s, and no client_id is needed', async (_title, audience) => {
    const { claims, body } = await granted(at.federate(at.podToken({ aud: audience(world) })))
    expect(claims).toMatchObject({ aud: WIKI, sub: 'agent:reporter', client_id: 'reporter' })
    expect(body).not.toHaveProperty('refresh_token')
    const [record] = (await world.audit()).filter(({ event }) => event === 'token.autonomous')
    expect(record).toMatchObject({
      client_auth: { method: 'workload_jwt', credential: REPORTER },
      workload: { issuer: 'cluster', sub: REPORTER },
    })
  })

  test.each<[string, object, RejectionReason]>([
    ['for another', { aud: 'https://other.example' }, 'subject_token_audience'],
    ['for us and another', { aud: ['errand', 'https://other.example'] }, 'subject_token_audience'],
    ['without jti', { jti: undefined }, 'subject_token_claims'],
    ['without sub', { sub: undefined }, 'subject_token_claims'],
    ['without exp', { exp: undefined }, 'subject_token_claims'],
    ['that has expired', { iat: 1, nbf: 1, exp: 2 }, 'subject_token_expired'],
    ['that no rule matches', { sub: 'system:serviceaccount:agents:other' }, 'workload_unmatched'],
  ])('#85 %s is invalid_grant', async (_title, claims, reason) => {
    await expectRefused(world, () => at.federate(at.podToken(claims as never)), toStranger(invalidGrant(reason)))
  })

  test('another client_id than its own is refused; its own is not needed and does no harm', async () => {
    await granted(at.federate(at.podToken(), { client_id: 'reporter' }))
    const other = () => at.federate(at.podToken(), { client_id: 'orchestrator' })
    await expectRefused(world, other, toStranger(invalidGrant('workload_unmatched')))
  })

  test('#86 a grant that authenticates stands alone: beside another authentication it is refused', async () => {
    const token = at.podToken()
    const ambiguous = toStranger(invalidRequest('client_authentication_ambiguous'))
    await expectRefused(world, () => at.federate(token, asClient(token)), ambiguous)
    await expectRefused(world, () => at.federate(token, asClient(at.jobToken())), ambiguous)
    await expectRefused(world, () => at.federate(token, world.authentication('orchestrator')), ambiguous)
    const basic = () => at.federate(token, {}, { Authorization: `Basic ${btoa('reporter:x')}` })
    await expectRefused(world, basic, ambiguous)
  })

  test('a service gets no token for a server by it', async () => {
    const refusal = { status: 400, error: 'unauthorized_client', reason: 'grant_type_not_allowed' } as const
    await expectRefused(world, () => at.federate(at.jobToken({ sub: 'job/wiki' })), refusal)
  })
})

test('the uid of the fixture is the one that the rule names', () => {
  expect(JSON.stringify(claimsOf(at.podToken()))).toContain(REPORTER_UID)
})
