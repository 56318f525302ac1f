/**
 * One id for one piece of work, from what set it off to the last call downstream (R166; RFC 8417 §2.2; W3C Trace Context), and what a
 * record keeps of a request, of the directory and of a server (R161, R162).
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { onward, onwardRegistry } from '../support/downstream.ts'
import { managementToken } from '../support/hops.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { expectRefused, invalidRequest } from '../support/refusal.ts'
import { claimsOf, startWorld, WAREHOUSE, WIKI, type World } from '../support/world.ts'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const SPAN = 'b7ad6b7169203331'
const TRACEPARENT = { traceparent: `00-${TRACE}-${SPAN}-01` }

let idp: TestIssuer
let world: World
beforeAll(async () => {
  idp = await startIssuer({ slug: 'corp' })
  world = await startWorld({ issuer: idp, registry: onwardRegistry(idp) })
})
afterAll(async () => {
  await world.close()
  await idp.close()
})

const txnOf = (answer: { body: { access_token: string } }) => claimsOf(answer.body.access_token)['txn']
// biome-ignore lint/suspicious/noExplicitAny: a record
async function recordOf(id: string): Promise<any> {
  return (await world.audit(200)).find((record) => record.id === id)
}

describe('the piece of work', () => {
  test('has an id of its own where nobody gives one, which the answer says, and every hop of it keeps', async () => {
    const opened = await world.open()
    const { txn } = opened.body
    expect(txn).toMatch(/^txn_[A-Za-z0-9_-]{22}$/)
    const handed = await world.delegate(opened.body.access_token)
    const accepted = await world.accept(handed.body.access_token)
    const access = await world.continue(accepted.body.access_token, {}, 'researcher')
    const next = await onward(world, (await world.continue(opened.body.access_token)).body.access_token)
    for (const answer of [opened, handed, accepted, access, next]) {
      expect(txnOf(answer)).toBe(txn)
      expect((await recordOf(answer.body.decision_id)).txn).toBe(txn)
    }
    const active = await world.introspect(access.body.access_token)
    expect(active.body.txn).toBe(txn)
    const [looked] = await world.audit(1)
    expect(looked).toMatchObject({ event: 'token.introspect', txn })
    const closed = await world.bearer(
      `/sessions/${claimsOf(opened.body.access_token)['sid']}`,
      await world.apiToken(),
      'DELETE',
    )
    expect(closed.status).toBe(200)
    expect((await world.audit(1))[0]).toMatchObject({ event: 'session.close', txn })
    expect((await world.open()).body.txn).not.toBe(txn)
  })

  test('is the trace in which it began, whatever traces its later requests are in', async () => {
    const opened = await world.open({}, TRACEPARENT)
    expect(opened.body.txn).toBe(TRACE)
    expect(await recordOf(opened.body.decision_id)).toMatchObject({
      txn: TRACE,
      trace: { trace_id: TRACE, span_id: SPAN },
    })
    const later = 'a'.repeat(32)
    const access = await world.continue(opened.body.access_token, {}, undefined, {
      traceparent: `00-${later}-${SPAN}-00`,
    })
    expect(txnOf(access)).toBe(TRACE)
    expect(await recordOf(access.body.decision_id)).toMatchObject({ txn: TRACE, trace: { trace_id: later } })
  })

  test('is as the subject token names it, before any trace', async () => {
    const opened = await world.open({ subject_token: world.idToken({ txn: 'prompt-7731' }) }, TRACEPARENT)
    expect(opened.body.txn).toBe('prompt-7731')
    expect(await recordOf(opened.body.decision_id)).toMatchObject({ txn: 'prompt-7731', trace: { trace_id: TRACE } })
  })

  test.each([['two words'], ['x'.repeat(65)], [''], [7]])('is never called %j', async (txn) => {
    const opened = await world.open({ subject_token: world.idToken({ txn }) })
    expect(opened.body.txn).toMatch(/^txn_/)
  })

  test('is said of a refusal, too, as far as it is known', async () => {
    const refused = await world.open({ subject_token: world.idToken({ aud: 'another' }) }, TRACEPARENT)
    expect(await recordOf(refused.body.decision_id)).toMatchObject({ outcome: 'refused', txn: TRACE })
    const { body } = await world.open()
    const wrong = await world.continue(
      body.access_token,
      { resource: 'https://nowhere.example' },
      undefined,
      TRACEPARENT,
    )
    expect(await recordOf(wrong.body.decision_id)).toMatchObject({ outcome: 'refused', txn: body.txn })
  })

  test.each([
    `00-${TRACE}-${SPAN}-01, 00-${TRACE}-${SPAN}-01`,
    `00-${'0'.repeat(32)}-${SPAN}-01`,
    'ff',
  ])('takes nothing from a traceparent %j that is none', async (traceparent) => {
    const opened = await world.open({}, { traceparent })
    expect(opened.body.txn).toMatch(/^txn_/)
    expect(await recordOf(opened.body.decision_id)).not.toHaveProperty('trace')
  })
})

describe('audit.require_correlation', () => {
  test('R166 opens nothing for work that nobody could follow, and asks no more of what goes on from it', async () => {
    const strict = await startWorld({ issuer: idp, settings: { requireCorrelation: true } })
    try {
      await expectRefused(strict, () => strict.open(), invalidRequest('correlation_missing'))
      await expectRefused(strict, () => strict.open({}, { traceparent: 'ff' }), invalidRequest('correlation_missing'))
      const alone = () => strict.clientCredentials('orchestrator', { resource: WIKI, scope: 'mcp:tools:read' })
      await expectRefused(strict, alone, invalidRequest('correlation_missing'))
      expect((await strict.open({ subject_token: strict.idToken({ txn: 'job-1' }) })).body.txn).toBe('job-1')
      const opened = await strict.open({}, TRACEPARENT)
      expect(opened.body.txn).toBe(TRACE)
      const handed = await strict.delegate(opened.body.access_token)
      expect((await strict.accept(handed.body.access_token)).body.txn).toBe(TRACE)
      expect((await strict.continue(opened.body.access_token)).status).toBe(200)
    } finally {
      await strict.close()
    }
  })
})

test('R214 work that nobody stands behind names who answers for it', async () => {
  const { body } = await world.clientCredentials('orchestrator', { resource: WIKI, scope: 'mcp:tools:read' })
  expect(claimsOf(body.access_token)).not.toHaveProperty('act')
  expect(await recordOf(body.decision_id)).toMatchObject({
    event: 'token.autonomous',
    on_behalf_of: 'agent:orchestrator',
    owner: 'alice@corp.example',
    origin: 'schedule',
  })
  const asked = await world.open()
  expect(await recordOf(asked.body.decision_id)).not.toHaveProperty('owner')
})

describe('a record', () => {
  test('R161 says who the user was by the directory, which server, from where and with what', async () => {
    const { body } = await world.open(
      { subject_token: world.idToken({ email: 'alice@corp.example' }) },
      { 'user-agent': `agent/1.0 \u0007é\u001b[31m${'x'.repeat(200)}` },
    )
    const opened = await recordOf(body.decision_id)
    expect(opened).toMatchObject({
      user: { id: 'user:corp:alice', email: 'alice@corp.example', groups: ['finance'], roles: ['analyst'] },
      ip: 'unknown',
    })
    expect(opened.user_agent).toMatch(/^agent\/1\.0 \?\?\?\[31mx+$/)
    expect(opened.user_agent).toHaveLength(96)
    const access = await world.continue(body.access_token)
    expect(await recordOf(access.body.decision_id)).toMatchObject({
      user: { id: 'user:corp:alice', email: 'alice@corp.example', groups: ['finance'] },
      resource: WAREHOUSE,
      server: { id: 'warehouse', name: 'warehouse' },
      service: 'warehouse-server',
    })
  })

  test('no email is taken from a token whose issuer doubts it', async () => {
    const doubted = world.idToken({ email: 'ceo@corp.example', email_verified: false })
    const { body } = await world.open({ subject_token: doubted })
    expect((await recordOf(body.decision_id)).user).not.toHaveProperty('email')
  })

  test('R162 keeps the name that its server had, when that is renamed and when it is gone', async () => {
    const operator = await managementToken(world)
    const server = (name: string) =>
      world.bearer('/admin/v1/resources/archive-9', operator, 'PUT', {
        id: 'archive-9',
        name,
        url: 'https://archive-9.example/mcp',
        owner: 'user:corp:alice',
        enforces: 'arguments',
        tools: { read: { category: 'read' } },
      })
    expect((await server('The old archive')).status).toBe(201)
    const details = [
      { type: 'agent_intent', purpose: 'read', origin: { type: 'user_request', ref: 'm' }, expires_in: 600 },
      { type: 'mcp_tools', locations: ['https://archive-9.example/mcp'], tools: { read: {} } },
    ]
    const { body } = await world.open({ authorization_details: JSON.stringify(details) })
    const access = await world.continue(body.access_token, { resource: 'https://archive-9.example/mcp' })
    const before = await recordOf(access.body.decision_id)
    expect(before.server).toEqual({ id: 'archive-9', name: 'The old archive' })
    const current = await world.bearer('/admin/v1/resources/archive-9', operator)
    const renamed = await world.request('/admin/v1/resources/archive-9', {
      method: 'PUT',
      headers: {
        authorization: `Bearer ${operator}`,
        'content-type': 'application/json',
        'if-match': current.headers.get('etag') ?? '',
      },
      body: JSON.stringify({
        id: 'archive-9',
        name: 'The new archive',
        url: 'https://archive-9.example/mcp',
        owner: 'user:corp:alice',
        enforces: 'arguments',
        tools: { read: { category: 'read' } },
      }),
    })
    expect(renamed.status, JSON.stringify(renamed.body)).toBe(200)
    const after = await world.continue(body.access_token, { resource: 'https://archive-9.example/mcp' })
    expect((await recordOf(after.body.decision_id)).server).toEqual({ id: 'archive-9', name: 'The new archive' })
    expect(await recordOf(before.id)).toEqual(before)
    const gone = await world.request('/admin/v1/resources/archive-9', {
      method: 'DELETE',
      headers: { authorization: `Bearer ${operator}`, 'if-match': renamed.headers.get('etag') ?? '*' },
    })
    expect(gone.status, JSON.stringify(gone.body)).toBeLessThan(300)
    expect(await recordOf(before.id)).toEqual(before)
  })
})
