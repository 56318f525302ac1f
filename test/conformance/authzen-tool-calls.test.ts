/**
 * May the bearer of this inbound token make this call now (DESIGN §4; AuthZEN 1.0 §6; R063): the server asks, the broker looks at
 * token, session, revocations, policy and arguments of this moment, and records the answer before it gives it.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { decodeRegistry } from '../../src/registry/load-registry.ts'
import {
  ask,
  EVALUATION,
  EVALUATIONS,
  evaluateToken,
  evaluateWith,
  evaluatingServices,
  SEARCH,
} from '../support/authzen.ts'
import { holderKey, proving } from '../support/dpop.ts'
import { startPdp, type TestPdp } from '../support/external-pdp.ts'
import { granted, kill, managementToken, walk } from '../support/hops.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { registryDocument, startWorld, WAREHOUSE, WIKI, type World, type WorldOptions } from '../support/world.ts'

let idp: TestIssuer
beforeAll(async () => {
  idp = await startIssuer({ slug: 'corp' })
})
afterAll(() => idp.close())

const start = (options: WorldOptions = {}) =>
  startWorld({ ...options, issuer: idp, registry: { ...evaluatingServices(idp), ...options.registry } })

const call = (token: string, tool: string, args?: object) => ({
  subject: { type: 'access_token', id: token },
  action: { name: 'tools/call' },
  resource: { type: 'tool', id: tool },
  ...(args === undefined ? {} : { context: { arguments: args } }),
})

const GOOD = { table: 'revenue', limit: 100 }

/** A session of the orchestrator, an access token for the warehouse, and the warehouse's own token for asking. */
async function ready(world: World) {
  const { token: session, claims } = await granted(world.open())
  const { token: access } = await granted(world.continue(session))
  const asking = await evaluateToken(world, 'warehouse-server')
  const decides = async (body: unknown) => {
    const answer = await ask(world, asking, EVALUATION, body)
    expect(answer.status, JSON.stringify(answer.body)).toBe(200)
    return answer.body
  }
  return { session, sid: String(claims.sid), access, asking, decides }
}

describe('a call of a live token', () => {
  let world: World
  let given: Awaited<ReturnType<typeof ready>>
  beforeAll(async () => {
    world = await start()
    given = await ready(world)
  })
  afterAll(() => world.close())

  it('within its constraints is allowed, and recorded with its question before it is answered', async () => {
    const answer = await given.decides(call(given.access, 'query', GOOD))
    expect(answer).toEqual({ decision: true, context: { decision_id: expect.stringMatching(/^dec_/) } })
    const [record] = await world.audit(1)
    expect(record).toMatchObject({
      id: answer.context.decision_id,
      event: 'access.evaluate',
      outcome: 'granted',
      by: 'service:warehouse-server',
      agent: { id: 'orchestrator' },
      on_behalf_of: 'user:corp:alice',
      session: given.sid,
      resource: WAREHOUSE,
      detail: 'call query',
      question: expect.any(String),
    })
    // The arguments are nobody's to read later, and the token is in no record.
    expect(JSON.stringify(record)).not.toMatch(/revenue|eyJ/)
  })

  it.each([
    ['another table', 'query', { table: 'salaries', limit: 1 }],
    ['too much', 'query', { table: 'revenue', limit: 501 }],
    ['without what is constrained', 'query', { table: 'revenue' }],
    ['with an argument more', 'query', { ...GOOD, format: 'csv' }],
    ['a value of another type', 'query', { table: ['revenue'], limit: '100' }],
    ['no arguments said', 'query', undefined],
  ])('outside its constraints is refused: %s', async (_what, tool, args) => {
    const answer = await given.decides(call(given.access, tool, args))
    expect(answer).toMatchObject({ decision: false, context: { reason: 'call_refused' } })
    expect(JSON.stringify(answer)).not.toMatch(/salaries|csv/)
    const [record] = await world.audit(1)
    expect(record).toMatchObject({ id: answer.context.decision_id, outcome: 'refused', reason: 'call_refused' })
  })

  it('a tool that the intent does not name is refused, whatever its scope opens', async () => {
    expect(await given.decides(call(given.access, 'insert_rows', {}))).toMatchObject({ decision: false })
    expect(await given.decides(call(given.access, 'no_such_tool', {}))).toMatchObject({ decision: false })
  })

  it('a call that is free of constraints needs no arguments', async () => {
    expect(await given.decides(call(given.access, 'list_tables'))).toMatchObject({ decision: true })
  })

  it('arguments in no proper form are 400, in a batch their own refusal', async () => {
    const bad = { ...call(given.access, 'query'), context: { arguments: 'all' } }
    const { body } = await ask(world, given.asking, EVALUATIONS, {
      evaluations: [bad, call(given.access, 'list_tables')],
    })
    expect(body.evaluations).toMatchObject([
      { decision: false, context: { reason: 'parameter_malformed', error: { status: 400 } } },
      { decision: true },
    ])
    expect((await ask(world, given.asking, EVALUATION, bad)).status).toBe(400)
  })

  it('a list of what the bearer may call, for tools/list', async () => {
    const body = {
      subject: { type: 'access_token', id: given.access },
      action: { name: 'tools/call' },
      resource: { type: 'tool' },
    }
    const { body: found } = await ask(world, given.asking, SEARCH.resource, body)
    // `query` is allowed with some arguments only.
    expect(found.results).toEqual([{ type: 'tool', id: 'list_tables' }])
  })

  it('is asked again of the policy by its id, with the same answer, about anybody and about the bearer', async () => {
    const { body: named } = await ask(world, given.asking, EVALUATION, {
      subject: { type: 'user', id: 'corp:bob' },
      action: { name: 'insert_rows' },
      resource: { type: 'mcp_server', id: WAREHOUSE },
    })
    const { context } = await given.decides(call(given.access, 'list_tables'))
    const operator = await managementToken(world)
    for (const id of [named.context.decision_id, context.decision_id]) {
      const { status, body } = await world.bearer(`/admin/v1/decisions/${id}/replay`, operator)
      expect({ status, same: body.same }, JSON.stringify(body)).toEqual({ status: 200, same: true })
    }
  })

  it('a server that checks scopes only holds its callers to one tool by asking', async () => {
    const asking = await evaluateToken(world, 'wiki-server')
    const asked = (agent: string, action: string) => ({
      subject: { type: 'user', id: 'corp:alice' },
      action: { name: action },
      resource: { type: 'mcp_server', id: WIKI },
      context: { agent },
    })
    const { token: access } = await granted(world.clientCredentials('orchestrator', { resource: WIKI }))
    const { body } = await ask(world, asking, EVALUATIONS, {
      evaluations: [asked('orchestrator', 'read_page'), asked('researcher', 'read_page'), call(access, 'search')],
    })
    expect(body.evaluations).toMatchObject([{ decision: true }, { decision: false }, { decision: true }])
  })

  it('the chain of a delegate is judged link by link', async () => {
    const { access } = await walk(world)
    const limit = (rows: number) => call(access.token, 'query', { table: 'revenue', limit: rows })
    expect(await given.decides(limit(10))).toMatchObject({ decision: true })
    expect(await given.decides(limit(11))).toMatchObject({ decision: false })
    await kill(world, { dimension: 'agent', agent: 'researcher' })
    expect(await given.decides(limit(10))).toMatchObject({ context: { reason: 'subject_token_inactive' } })
  })

  it('a bound token is answered with the key that the server must have seen the proof of', async () => {
    const key = holderKey()
    const { token: session } = await granted(world.open({}, proving(world, key)))
    const { token } = await granted(world.continue(session, {}, 'orchestrator', proving(world, key)))
    const answer = await given.decides(call(token, 'list_tables'))
    expect(answer).toMatchObject({ decision: true, context: { cnf: { jkt: expect.any(String) } } })
  })
})

describe('the same token is refused from the next call on', () => {
  const cases: readonly [string, (world: World, given: Awaited<ReturnType<typeof ready>>) => Promise<unknown>][] = [
    ['session revoked', (world, { sid }) => kill(world, { dimension: 'session', session: sid })],
    ['session contracted', (world, { sid }) => kill(world, { dimension: 'session_access', session: sid })],
    ['agent cut off', (world) => kill(world, { dimension: 'agent', agent: 'orchestrator' })],
    ['user blocked', (world) => kill(world, { dimension: 'user', user: 'user:corp:alice', block: true })],
    ['node revoked by its holder', (world, { session }) => world.revoke(session)],
    ['its end', (world) => world.advance(301)],
  ]
  it.each(cases)('%s', async (_what, end) => {
    const world = await start()
    try {
      const given = await ready(world)
      expect(await given.decides(call(given.access, 'query', GOOD))).toMatchObject({ decision: true })
      await end(world, given)
      const asking = await evaluateToken(world, 'warehouse-server')
      const { body } = await ask(world, asking, EVALUATION, call(given.access, 'query', GOOD))
      expect(body).toMatchObject({ decision: false, context: { reason: 'subject_token_inactive' } })
    } finally {
      await world.close()
    }
  })
})

describe('R063: what the policy says now counts, not what it said when the token was issued', () => {
  const changes: readonly [string, (document: Record<string, unknown>) => object, string][] = [
    [
      'the user left the group that the grant is for',
      () => ({ users: [{ issuer: 'corp', sub: 'alice', roles: ['analyst'] }] }),
      'nothing_granted',
    ],
    [
      'the user is no longer listed',
      () => ({ users: [{ issuer: 'corp', sub: 'bob', groups: ['finance'] }] }),
      'subject_token_inactive',
    ],
    ['a deny names the tool', ({ grants }) => ({ grants: [...(grants as object[]), DENY] }), 'nothing_granted'],
    [
      'a grant narrows what the token allows',
      ({ grants }) => ({
        grants: [
          ...(grants as object[]),
          { ...DENY, effect: 'allow', constraints: { limit: { maximum: 50 }, table: {} } },
        ],
      }),
      'call_refused',
    ],
  ]
  const DENY = {
    id: 'from-now-on',
    effect: 'deny',
    principals: [{ group: 'finance' }],
    resources: [{ server: 'warehouse', tool: 'query' }],
  }
  let world: World
  let given: Awaited<ReturnType<typeof ready>>
  beforeAll(async () => {
    world = await start()
    given = await ready(world)
  })
  afterAll(() => world.close())

  // Put to the policy itself: the cut-offs that go with a published change would refuse the token first.
  it.each(changes)('%s', async (_what, change, reason) => {
    const document = { ...registryDocument(idp), ...evaluatingServices(idp) }
    const after = decodeRegistry({ ...document, ...change(document) }, 'after.yaml', { issuer: world.issuer })
    const body = call(given.access, 'query', GOOD)
    expect(await evaluateWith(world, after, body)).toMatchObject({ decision: false, context: { reason } })
    expect(await given.decides(body)).toMatchObject({ decision: true })
  })

  it('and a broker that is started with another policy refuses from its first answer on', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'errand-r063-'))
    const places = {
      store: { kind: 'embedded', directory: join(directory, 'store') } as const,
      keysDirectory: join(directory, 'keys'),
    }
    try {
      const before = await start(places)
      const { access } = await ready(before)
      await before.close()
      const after = await start({ ...places, registry: { users: [{ issuer: 'corp', sub: 'alice' }] } })
      try {
        const asking = await evaluateToken(after, 'warehouse-server')
        const { body } = await ask(after, asking, EVALUATION, call(access, 'query', GOOD))
        expect(body).toMatchObject({ decision: false })
      } finally {
        await after.close()
      }
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })
})

describe('the external PDP takes part', () => {
  let pdp: TestPdp
  let world: World
  let given: Awaited<ReturnType<typeof ready>>
  beforeAll(async () => {
    pdp = await startPdp(400)
    world = await start({ config: { externalPdp: pdp.pdp } })
    given = await ready(world)
    pdp.bodies.length = 0
  })
  afterAll(async () => {
    await world.close()
    await pdp.close()
  })

  const pair = () => ({ evaluations: [call(given.access, 'query', GOOD), call(given.access, 'list_tables')] })

  it('in one batch for all of a request, with the arguments of the calls', async () => {
    pdp.decide(({ resource }) => resource.id !== 'query')
    const { body } = await ask(world, given.asking, EVALUATIONS, pair())
    expect(body.evaluations).toMatchObject([
      { decision: false, context: { reason: 'nothing_granted' } },
      { decision: true },
    ])
    expect(pdp.bodies).toHaveLength(1)
    expect(pdp.bodies[0]?.evaluations[0]?.context).toMatchObject({ agent: 'orchestrator', arguments: GOOD })
  })

  it('and where it gives no answer, nothing is allowed', async () => {
    pdp.decide(() => true)
    pdp.misbehave(() => undefined)
    const { body } = await ask(world, given.asking, EVALUATIONS, pair())
    expect(body.evaluations).toMatchObject([
      { decision: false, context: { reason: 'external_policy_unavailable' } },
      { decision: false, context: { reason: 'external_policy_unavailable' } },
    ])
    pdp.misbehave(undefined)
  })

  it('a token that is revoked while it is asked is dead', async () => {
    let ended: Promise<unknown> | undefined
    pdp.misbehave((_request, response) => {
      ended = kill(world, { dimension: 'session', session: given.sid }).then(() =>
        response.writeHead(200, { 'content-type': 'application/json' }).end('{"evaluations":[{"decision":true}]}'),
      )
    })
    expect(await given.decides(call(given.access, 'list_tables'))).toMatchObject({
      decision: false,
      context: { reason: 'subject_token_inactive' },
    })
    await ended
  })
})

it('no record, no answer: where the log cannot be written it is 503', async () => {
  const world = await start()
  try {
    const given = await ready(world)
    const { audit } = world.broker.store
    const append = audit.append
    audit.append = () => Promise.reject(new Error('disk full'))
    const { status, body } = await ask(world, given.asking, EVALUATION, call(given.access, 'query', GOOD))
    audit.append = append
    expect(status).toBe(503)
    expect(body).not.toHaveProperty('decision')
  } finally {
    await world.close()
  }
})
