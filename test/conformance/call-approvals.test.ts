/**
 * Irreversible tools need a human (DESIGN §1, §7; R205): a refusal that says whom to ask, a yes for exactly one call, and the
 * agent's next attempt judged from the beginning.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  adminToken,
  approvalRegistry,
  atWork,
  DROP,
  decide,
  newAttempt,
  PURPOSE,
  requested,
  startApprovals,
  TABLE,
  warehouse,
} from '../support/approvals.ts'
import { ask, EVALUATIONS, SEARCH } from '../support/authzen.ts'
import { order } from '../support/hops.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { Secret, WAREHOUSE, type World } from '../support/world.ts'

let idp: TestIssuer
let redis: RunningRedis
beforeAll(async () => {
  idp = await startIssuer({ slug: 'corp' })
  redis = await startRedis()
})
afterAll(async () => {
  await idp.close()
  await redis.stop()
})

const approvalRecords = async (world: World) =>
  (await world.audit(50)).filter(({ event }) => event.startsWith('approval.'))

describe.each(['embedded', 'redis'] as const)('on the %s store', (kind) => {
  let world: World
  let given: Awaited<ReturnType<typeof atWork>>
  beforeAll(async () => {
    const store = kind === 'redis' ? { store: { kind: 'redis', url: new Secret(redis.url) } as const } : {}
    world = await startApprovals(idp, store)
    given = await atWork(world)
  })
  afterAll(() => world.close())

  test('an attempt asks for it, and is told where to look and not what its arguments were', async () => {
    const { decision, context } = await given.attempts(given.access)
    expect(decision).toBe(false)
    expect(context).toMatchObject({
      reason: 'approval_required',
      reason_admin: { en: expect.stringContaining('person') },
    })
    const { id } = context.access_request
    expect(context.access_request).toEqual({
      requestable: false,
      id: expect.stringMatching(/^apr_[A-Za-z0-9_-]{44}$/),
      status: 'pending',
      expires_at: expect.stringMatching(/Z$/),
      display: {
        title: expect.any(String),
        description: `one call of ${DROP} at ${WAREHOUSE}, by agent orchestrator for user:corp:alice, with exactly the arguments of this attempt`,
      },
      links: { review: `${world.issuer}/admin/v1/approvals/${id}` },
    })
    expect(Date.parse(context.access_request.expires_at) / 1000).toBeCloseTo(world.now() + 900, -1)
    expect(JSON.stringify(context)).not.toContain('costs_2019')
    const [request] = await approvalRecords(world)
    expect(request).toMatchObject({
      event: 'approval.requested',
      outcome: 'granted',
      by: 'service:warehouse-server',
      agent: { id: 'orchestrator' },
      on_behalf_of: 'user:corp:alice',
      session: given.sid,
      origin: 'user_request',
      approval: { id },
    })
  })

  test('attempted again while it waits, it is the same request', async () => {
    const first = await requested(given.attempts(given.access))
    for (const token of [given.access, await given.fresh()]) {
      expect(await requested(given.attempts(token))).toBe(first)
    }
    expect((await approvalRecords(world)).length).toBe(1)
  })

  test('the approver reads what would be done, by whom, for whom and why', async () => {
    const id = await requested(given.attempts(given.access))
    const carol = await adminToken(world, 'corp:carol')
    const { body: list } = await world.bearer('/admin/v1/approvals', carol)
    expect(list.approvals).toMatchObject([{ approval: id, state: 'pending', tool: DROP, resource: WAREHOUSE }])
    expect(JSON.stringify(list)).not.toContain('costs_2019')
    const { body } = await world.bearer(`/admin/v1/approvals/${id}`, carol)
    expect(body).toMatchObject({
      approval: id,
      agent: 'orchestrator',
      on_behalf_of: 'user:corp:alice',
      purpose: PURPOSE,
      origin: 'user_request',
      session: given.sid,
      asked_by: 'warehouse-server',
      arguments: TABLE,
    })
  })

  test('once approved, the next attempt is let through, and only that one', async () => {
    const id = await requested(given.attempts(given.access))
    const { status, body } = await decide(world, id, 'corp:carol')
    expect(status, JSON.stringify(body)).toBe(200)
    expect(body).toMatchObject({ state: 'approved', word: { by: 'user:corp:carol', reason: 'as agreed' } })
    expect(Date.parse(body.expires_at) / 1000).toBeCloseTo(world.now() + 300, -1)
    // A question is not the call: it uses nothing up, and no yes of it could be counted.
    const question = await given.questions(given.access)
    expect(question).toMatchObject({ decision: false, context: { access_request: { id, status: 'approved' } } })
    const through = await given.attempts(await given.fresh())
    expect(through, JSON.stringify(through)).toMatchObject({ decision: true })
    const [record] = (await world.broker.store.audit.find(through.context.decision_id)).map((text) => JSON.parse(text))
    expect(record).toMatchObject({ outcome: 'granted', approval: { id, by: 'user:corp:carol' } })
    const again = await requested(given.attempts(given.access))
    expect(again).not.toBe(id)
    const { body: used } = await world.bearer(`/admin/v1/approvals/${id}`, await adminToken(world, 'corp:carol'))
    // Its place is taken by the new request: an id is never another call's.
    expect(used.error_reason).toBe('not_found')
  })

  test('the records tell each step', async () => {
    const records = await approvalRecords(world)
    expect(records.map(({ event, by }) => [event, by])).toEqual([
      ['approval.requested', 'service:warehouse-server'],
      ['approval.granted', 'user:corp:carol'],
      ['approval.requested', 'service:warehouse-server'],
    ])
    expect(records[1]).toMatchObject({ outcome: 'granted', session: given.sid, on_behalf_of: 'user:corp:alice' })
    expect(JSON.parse(records[1].detail)).toEqual({ tool: DROP, reason: 'as agreed' })
  })

  test('R155 and name the process that asked, by its own word, where its token does', async () => {
    const { body } = await world.continue(given.session, { agent_instance: 'pod-7' })
    const id = await requested(given.attempts(body.access_token, { table: 'instances' }))
    await decide(world, id, 'corp:carol')
    const [granted, asked] = (await approvalRecords(world)).filter(({ approval }) => approval?.id === id)
    expect([asked.event, granted.event]).toEqual(['approval.requested', 'approval.granted'])
    const agent = { id: 'orchestrator', version: '1', instance: 'pod-7' }
    expect([asked.agent, granted.agent]).toEqual([agent, agent])
  })

  test('what is denied is answered so, and not asked for again, nor by way of another session', async () => {
    const args = { table: 'salaries' }
    const id = await requested(given.attempts(given.access, args))
    const { body } = await decide(world, id, 'corp:dave', { decision: 'deny', reason: 'not that one' })
    expect(body).toMatchObject({ state: 'denied', word: { by: 'user:corp:dave' } })
    const denied = await given.attempts(given.access, args)
    expect(denied).toMatchObject({
      decision: false,
      context: { reason: 'approval_denied', access_request: { id, status: 'denied' } },
    })
    const elsewhere = await atWork(world)
    const there = await elsewhere.attempts(elsewhere.access, args)
    expect(there).toMatchObject({ decision: false, context: { reason: 'approval_denied' } })
    expect(there.context.access_request).toBeUndefined()
    // Something else may be asked for.
    await requested(elsewhere.attempts(elsewhere.access, { table: 'costs_2018' }))
    expect((await decide(world, id, 'corp:carol')).body.error_reason).toBe('approval_over')
  })

  test('the word of an approver, said again because its answer was lost, is the same word', async () => {
    const id = await requested(given.attempts(given.access, { table: 'again' }))
    const first = await decide(world, id, 'corp:carol')
    expect((await decide(world, id, 'corp:carol')).body).toEqual(first.body)
    const other = await decide(world, id, 'corp:dave')
    expect([other.status, other.body.error_reason]).toEqual([409, 'approval_over'])
    const no = await decide(world, id, 'corp:carol', { decision: 'deny', reason: 'no' })
    expect([no.status, no.body.error_reason]).toEqual([409, 'approval_over'])
  })

  test('at rest the arguments are sealed: no record, no content and no session has them', async () => {
    const secret = `table-${'x'.repeat(40)}`
    const id = await requested(given.attempts(given.access, { table: secret }))
    const { sealed, session } = (await approvalRecords(world))[0]
    const content = await world.broker.store.audit.content(sealed, session)
    expect(content).toMatch(/^\["v1","/)
    const fields = await world.broker.store.sessions.readAll(session)
    const kept = JSON.stringify([content, [...(fields ?? [])], await world.audit(50)])
    expect(kept).toContain(id)
    expect(kept).not.toContain(secret)
    expect(kept).not.toContain(Buffer.from(secret).toString('base64url').slice(2, -4))
  })
})

describe('who is asked about nothing', () => {
  let world: World
  let given: Awaited<ReturnType<typeof atWork>>
  beforeAll(async () => {
    world = await startApprovals(idp)
    given = await atWork(world)
  })
  afterAll(() => world.close())

  test('a question asks nobody, and is not answered yes', async () => {
    const answer = await given.questions(given.access)
    expect(answer).toMatchObject({ decision: false, context: { reason: 'approval_required' } })
    expect(answer.context.access_request).toBeUndefined()
    expect(await approvalRecords(world)).toEqual([])
    const { body: list } = await world.bearer('/admin/v1/approvals', await adminToken(world, 'corp:carol'))
    expect(list).toEqual({ approvals: [] })
  })

  test('nor does a batch, a search, or a question about somebody by name', async () => {
    const named = {
      subject: { type: 'user', id: 'corp:alice' },
      action: { name: DROP },
      resource: { type: 'mcp_server', id: WAREHOUSE },
      context: { agent: 'orchestrator', arguments: TABLE },
    }
    expect(await given.put(named)).toMatchObject({ decision: false, context: { reason: 'approval_required' } })
    const { evaluations } = (await ask(world, given.asking, EVALUATIONS, { evaluations: [named, named] })).body
    expect(evaluations.map(({ decision }: { decision: boolean }) => decision)).toEqual([false, false])
    const { body: found } = await ask(world, given.asking, SEARCH.resource, {
      subject: { type: 'access_token', id: given.access },
      action: { name: 'tools/call' },
      resource: { type: 'tool' },
    })
    expect(found.results).toEqual([{ type: 'tool', id: 'list_tables' }])
    expect(await approvalRecords(world)).toEqual([])
  })

  test('what is refused anyway is asked of nobody', async () => {
    const { access, put } = given
    const body = {
      subject: { type: 'access_token', id: access },
      action: { name: 'tools/call' },
      resource: { type: 'tool', id: 'insert_rows' },
      context: { arguments: {}, attempt: 'an-attempt-of-its-own' },
    }
    expect((await put(body)).context.reason).not.toBe('approval_required')
    expect(await approvalRecords(world)).toEqual([])
  })

  test('arguments that nobody would read, or that are none, are answered so', async () => {
    const long = await given.attempts(given.access, { table: 'x'.repeat(9_000) })
    expect(long).toMatchObject({ decision: false, context: { reason: 'approval_arguments' } })
    const { put, access } = given
    const body = {
      subject: { type: 'access_token', id: access },
      action: { name: 'tools/call' },
      resource: { type: 'tool', id: DROP },
      context: { attempt: 'an-attempt-without-any' },
    }
    expect(await put(body)).toMatchObject({ decision: false, context: { reason: 'approval_required' } })
    expect(await approvalRecords(world)).toEqual([])
  })
})

describe('an approval ends', () => {
  let world: World
  let given: Awaited<ReturnType<typeof atWork>>
  beforeAll(async () => {
    world = await startApprovals(idp)
  })
  afterAll(() => world.close())

  const approved = async (table: string, by = 'corp:carol') => {
    given = await atWork(world)
    const id = await requested(given.attempts(given.access, { table }))
    expect((await decide(world, id, by)).status).toBe(200)
    return id
  }

  test('when its minutes are over; and nothing can be said to a request whose time is up', async () => {
    const id = await approved('minutes')
    await world.advance(301)
    const { attempts } = await warehouse(world)
    expect(await requested(attempts(await given.fresh(), { table: 'minutes' }))).not.toBe(id)
    const late = await requested(attempts(await given.fresh(), { table: 'late' }))
    await world.advance(901)
    expect((await decide(world, late, 'corp:carol')).body.error_reason).toBe('approval_over')
    const { body } = await world.bearer('/admin/v1/approvals', await adminToken(world, 'corp:carol'))
    expect(body.approvals).toEqual([])
  })

  test('when its approver approves no more', async () => {
    const id = await approved('approver', 'corp:dave')
    const { body } = await order(world, '/revocations', { dimension: 'user', user: 'user:corp:dave', block: true })
    expect(body.revoked, JSON.stringify(body)).toBeDefined()
    expect(await requested(given.attempts(await given.fresh(), { table: 'approver' }))).not.toBe(id)
  })

  test('when the tool, or the server, is cut off, and does not come back with a new token', async () => {
    const id = await approved('tool')
    await order(world, '/revocations', { dimension: 'tool', resource: WAREHOUSE, tool: DROP })
    expect(await requested(given.attempts(await given.fresh(), { table: 'tool' }))).not.toBe(id)
  })

  test('when the approver answers for the agent by now', async () => {
    const id = await approved('owner')
    await world.broker.publishOwnFiles([{ name: 'world.yaml', document: approvalRegistry(idp, 'user:corp:carol') }])
    expect(await requested(given.attempts(await given.fresh(), { table: 'owner' }))).not.toBe(id)
  })

  test('with its session: nothing more is said to it, and nothing let through', async () => {
    await approved('session', 'corp:frank')
    const waiting = await requested(given.attempts(given.access, { table: 'waiting' }))
    const { access } = given
    await order(world, '/revocations', { dimension: 'session', session: given.sid })
    expect((await decide(world, waiting, 'corp:frank')).body.error_reason).toBe('session_not_issuing')
    expect(await given.attempts(access, { table: 'session' })).toMatchObject({
      decision: false,
      context: { reason: 'subject_token_inactive' },
    })
  })
})

describe('beside a limit of calls', () => {
  let world: World
  beforeAll(async () => {
    world = await startApprovals(idp)
  })
  afterAll(() => world.close())

  test('what is over its limit is asked of nobody, and a yes is not used up by a refusal', async () => {
    const given = await atWork(world, 'alice', 1)
    const [first, second] = [{ table: 'first' }, { table: 'second' }]
    const ids = [
      await requested(given.attempts(given.access, first)),
      await requested(given.attempts(given.access, second)),
    ]
    for (const id of ids) expect((await decide(world, id, 'corp:carol')).status).toBe(200)
    const attempt = newAttempt()
    const through = await given.attempts(given.access, first, attempt)
    expect(through).toMatchObject({ decision: true, context: { attempt, remaining_calls: 0 } })
    // Its answer was lost: the same attempt is the same call, though neither a yes nor a call is left.
    const again = await given.attempts(given.access, first, attempt)
    expect(again).toMatchObject({ decision: true, context: { decision_id: through.context.decision_id } })
    expect(await given.attempts(given.access, second)).toMatchObject({
      decision: false,
      context: { reason: 'calls_exhausted' },
    })
    const { body } = await world.bearer(`/admin/v1/approvals/${ids[1]}`, await adminToken(world, 'corp:carol'))
    expect(body.state).toBe('approved')
    const asked = (await approvalRecords(world)).length
    expect(await given.attempts(given.access, { table: 'third' })).toMatchObject({
      decision: false,
      context: { reason: 'calls_exhausted' },
    })
    expect((await approvalRecords(world)).length).toBe(asked)
  })

  test('an attempt that was refused for want of a yes stays refused: the next attempt is another', async () => {
    const given = await atWork(world)
    const attempt = newAttempt()
    const id = await requested(given.attempts(given.access, TABLE, attempt))
    expect((await decide(world, id, 'corp:carol')).status).toBe(200)
    expect(await given.attempts(given.access, TABLE, attempt)).toMatchObject({ decision: false })
    expect(await given.attempts(given.access)).toMatchObject({ decision: true })
  })
})
