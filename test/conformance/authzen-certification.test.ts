/**
 * The published certification scenario of AuthZEN Authorization API 1.0 (openid/authzen,
 * `certification/authorization-api-1_0-scenario.md`): Basic, Batch and Search, Core and Properties each, and Discovery. The
 * numbers are the scenario's; the bodies are its requests.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ask, certificationWorld, EVALUATION, EVALUATIONS, evaluateToken, SEARCH } from '../support/authzen.ts'
import type { Answer, World } from '../support/world.ts'

let world: World
let token: string
beforeAll(async () => {
  world = await certificationWorld()
  token = await evaluateToken(world, 'records-app')
})
afterAll(() => world.close())

const alice = { type: 'user', id: 'alice' }
const bob = { type: 'user', id: 'bob' }
const admin = { ...bob, properties: { role: 'admin' } }
const read = { name: 'read' }
const write = { name: 'write' }
const one = { type: 'record', id: 'record-1' }
const two = { type: 'record', id: 'record-2' }
const active = { ...one, properties: { status: 'active' } }
const archived = { ...two, properties: { status: 'archived' } }
const remove = (soft: boolean) => ({ name: 'delete', properties: { soft } })

const ok = async (answer: Promise<Answer>) => {
  const { status, body, headers } = await answer
  expect(status, JSON.stringify(body)).toBe(200)
  expect(headers.get('content-type')).toMatch(/^application\/json\b/)
  return body
}
const decides = async (body: unknown) => {
  const answer = await ok(ask(world, token, EVALUATION, body))
  expect(typeof answer.decision).toBe('boolean')
  expect(typeof answer.context).toBe('object')
  return answer.decision
}
const decisions = async (body: unknown): Promise<unknown> => {
  const answer = await ok(ask(world, token, EVALUATIONS, body))
  return answer.evaluations.map(({ decision }: { decision: boolean }) => decision)
}
const results = async (path: string, body: unknown) => (await ok(ask(world, token, path, body))).results

describe('Basic (C.2.2): the eight decisions of C.1.4', () => {
  it.each([
    ['1: alice reads record-1', true, { subject: alice, action: read, resource: one }],
    ['2: alice writes record-1', true, { subject: alice, action: write, resource: one }],
    ['3: bob reads record-1', true, { subject: bob, action: read, resource: one }],
    ['4: bob does not write record-1', false, { subject: bob, action: write, resource: one }],
    ['5: alice does not write what is archived', false, { subject: alice, action: write, resource: archived }],
    ['6: an admin writes what is archived', true, { subject: admin, action: write, resource: archived }],
    ['7: alice deletes softly', true, { subject: alice, action: remove(true), resource: one }],
    ['8: alice does not delete for good', false, { subject: alice, action: remove(false), resource: one }],
  ])('%s', async (_rule, decision, body) => {
    expect(await decides(body)).toBe(decision)
    // C.2.6: the same again; C.1.6: whatever the context.
    expect(await decides({ ...body, context: { time: '2025-06-27T18:03-07:00' } })).toBe(decision)
  })

  it('rules 5 and 6 are about the property, not about the name of the record (C.2.2.4)', async () => {
    const renamed = { ...one, properties: { status: 'archived' } }
    expect(await decides({ subject: alice, action: write, resource: renamed })).toBe(false)
    expect(await decides({ subject: admin, action: write, resource: renamed })).toBe(true)
  })
})

describe('Basic: what is accepted (C.2.2.3, C.2.2.8, C.2.2.9)', () => {
  it.each([
    ['a context', { context: { time: '2025-06-27T18:03-07:00', ip: '192.168.1.1' } }],
    ['unknown fields', { foo: 'bar', futureField: { nested: true } }],
    [
      'additional properties',
      {
        subject: { ...alice, properties: { department: 'Sales', role: 'manager' } },
        action: { name: 'read', properties: { method: 'GET' } },
        resource: { ...one, properties: { status: 'active', owner: 'bob' } },
      },
    ],
  ])('%s', async (_what, more) => {
    expect(await decides({ subject: alice, action: read, resource: one, ...more })).toBe(true)
  })
})

describe('Basic: errors are 400 (C.2.4)', () => {
  const whole = { subject: alice, action: read, resource: one }
  it.each([
    ['subject', { ...whole, subject: undefined }],
    ['action', { ...whole, action: undefined }],
    ['resource', { ...whole, resource: undefined }],
    ['subject.type', { ...whole, subject: { id: 'alice' } }],
    ['subject.id', { ...whole, subject: { type: 'user' } }],
    ['action.name', { ...whole, action: {} }],
    ['resource.type', { ...whole, resource: { id: 'record-1' } }],
    ['resource.id', { ...whole, resource: { type: 'record' } }],
    ['an object in place of text', { ...whole, subject: 'alice' }],
    ['a number in place of text', { ...whole, action: { name: 123 } }],
  ])('%s', async (_what, body) => {
    expect((await ask(world, token, EVALUATION, body)).status).toBe(400)
  })

  it.each([
    ['not JSON', '{"subject":', 'application/json'],
    ['an empty body', '', 'application/json'],
    ['another content type', JSON.stringify(whole), 'text/plain'],
    ['no content type', JSON.stringify(whole), ''],
  ])('%s', async (_what, body, type) => {
    const headers = { Authorization: `Bearer ${token}`, 'Content-Type': type }
    expect((await world.request(EVALUATION, { method: 'POST', headers, body })).status).toBe(400)
  })
})

describe('X-Request-ID (C.2.5)', () => {
  const send = (headers: Record<string, string>, body: unknown) =>
    world.request(EVALUATION, {
      method: 'POST',
      headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json', ...headers },
      body: JSON.stringify(body),
    })
  it.each([{ subject: alice, action: read, resource: one }, { subject: alice }])('comes back (%#)', async (body) => {
    const id = 'bfe9eb29-ab87-4ca3-be83-a1d5d8305716'
    expect((await send({ 'X-Request-ID': id }, body)).headers.get('x-request-id')).toBe(id)
    // §10.1.3: an arbitrary string, also one that no record would take.
    expect((await send({ 'X-Request-ID': 'a b;c="d"' }, body)).headers.get('x-request-id')).toBe('a b;c="d"')
    expect((await send({}, body)).headers.get('x-request-id')).toBeNull()
  })
})

describe('Batch (C.3)', () => {
  it.each([
    ['C.3.2.1', [true, true], { subject: alice, action: read, evaluations: [{ resource: one }, { resource: two }] }],
    ['C.3.2.2', [true, false], { subject: bob, resource: one, evaluations: [{ action: read }, { action: write }] }],
    [
      'C.3.2.3',
      [true, false],
      { subject: alice, action: write, evaluations: [{ resource: active }, { resource: archived }] },
    ],
    [
      'C.3.2.4',
      [false, true],
      { action: write, resource: archived, evaluations: [{ subject: alice }, { subject: admin }] },
    ],
    [
      'C.3.2.5',
      [true, false],
      {
        evaluations: [
          { subject: alice, action: read, resource: one },
          { subject: bob, action: write, resource: one },
        ],
      },
    ],
    [
      'C.3.2.6',
      [true, true],
      {
        subject: alice,
        action: read,
        context: { time: '2025-06-27T18:03-07:00' },
        evaluations: [{ resource: one }, { resource: two, context: { source: 'batch-override' } }],
      },
    ],
    [
      'C.3.2.7',
      [true, false],
      {
        subject: alice,
        action: write,
        resource: { type: 'record' },
        evaluations: [{ resource: { id: 'record-1', properties: { status: 'active' } } }, { resource: archived }],
      },
    ],
    ['C.3.4.1', [true, false], { subject: alice, action: read, evaluations: [{ resource: one }, {}] }],
  ])('%s', async (_id, expected, body) => {
    expect(await decisions(body)).toEqual(expected)
  })

  it.each([undefined, []])('without evaluations it is a single one (C.3.4.2, C.3.4.3) %#', async (evaluations) => {
    const body = { subject: alice, action: read, resource: one, evaluations }
    expect((await ok(ask(world, token, EVALUATIONS, body))).decision).toBe(true)
  })

  it.each([
    ['deny_on_first_deny', [true, false]],
    ['permit_on_first_permit', [true]],
    ['execute_all', [true, false, true]],
  ])('§7.1.2.1: %s', async (semantic, expected) => {
    const evaluations = [{ action: read }, { action: write }, { action: read }]
    const body = { subject: bob, resource: one, evaluations, options: { evaluations_semantic: semantic } }
    expect(await decisions(body)).toEqual(expected)
  })

  it.each([
    { options: { evaluations_semantic: 'some' } },
    { options: 'execute_all' },
    { evaluations: {} },
    { evaluations: Array.from({ length: 65 }, () => ({})) },
  ])('what is wrong with all of it is 400 %#', async (more) => {
    const body = { subject: alice, action: read, evaluations: [{ resource: one }], ...more }
    expect((await ask(world, token, EVALUATIONS, body)).status).toBe(400)
  })
})

describe('Search (C.4)', () => {
  it.each([
    ['C.4.2.1', SEARCH.subject, { subject: { type: 'user' }, action: read, resource: one }, [alice, bob]],
    ['C.4.2.4', SEARCH.subject, { subject: { type: 'user' }, action: write, resource: archived }, [bob]],
    ['C.4.3.1', SEARCH.resource, { subject: alice, action: read, resource: { type: 'record' } }, [one, two]],
    ['C.4.3.3', SEARCH.resource, { subject: admin, action: write, resource: { type: 'record' } }, [two]],
    ['C.4.4.1', SEARCH.action, { subject: alice, resource: one }, [read, write]],
    ['C.4.4.3', SEARCH.action, { subject: admin, resource: archived }, [read, write]],
    ['C.4.6.1', SEARCH.action, { subject: { type: 'user', id: 'nonexistent-user' }, resource: one }, []],
    ['C.4.6.2', SEARCH.subject, { subject: { type: 'spaceship' }, action: read, resource: one }, []],
    ['unknown type of resource', SEARCH.resource, { subject: alice, action: read, resource: { type: 'planet' } }, []],
  ])('%s', async (_id, path, body, expected) => {
    expect(await results(path, body)).toEqual(expected)
    expect(await results(path, { ...body, context: { ip: '192.168.1.1' } })).toEqual(expected)
  })

  it('every result is what an evaluation allows (§8.1)', async () => {
    const found = await results(SEARCH.action, { subject: alice, resource: one })
    for (const action of found) expect(await decides({ subject: alice, action, resource: one })).toBe(true)
  })

  it.each([
    ['no action', SEARCH.subject, { subject: { type: 'user' }, resource: one }],
    [
      'no id of the resource',
      SEARCH.subject,
      { subject: { type: 'user' }, action: read, resource: { type: 'record' } },
    ],
    ['no subject', SEARCH.resource, { action: read, resource: { type: 'record' } }],
    [
      'no id of the subject',
      SEARCH.resource,
      { subject: { type: 'user' }, action: read, resource: { type: 'record' } },
    ],
    ['no resource', SEARCH.action, { subject: alice }],
    ['no page.limit that is a number', SEARCH.action, { subject: alice, resource: one, page: { limit: 'all' } }],
  ])('C.4.7: %s is 400', async (_what, path, body) => {
    expect((await ask(world, token, path, body)).status).toBe(400)
  })

  it('C.4.5: goes on page by page, and a token of another search is 400', async () => {
    const body = { subject: { type: 'user' }, action: read, resource: one, page: { limit: 1 } }
    const first = await ok(ask(world, token, SEARCH.subject, body))
    expect(first).toMatchObject({ results: [alice], page: { count: 1 } })
    const next = { limit: 1, token: first.page.next_token }
    expect(first.page.next_token).not.toBe('')
    const second = await ok(ask(world, token, SEARCH.subject, { ...body, page: next }))
    expect(second).toMatchObject({ results: [bob], page: { next_token: '', count: 1 } })
    for (const other of [
      { ...body, action: write, page: next },
      { ...body, page: { limit: 2, token: next.token } },
      { ...body, page: { ...next, token: 'mine' } },
    ]) {
      expect((await ask(world, token, SEARCH.subject, other)).status).toBe(400)
    }
  })
})

describe('Discovery (C.6)', () => {
  it('names the PDP as the issuer, and endpoints that answer', async () => {
    const { status, headers, body } = await world.request('/.well-known/authzen-configuration')
    expect(status).toBe(200)
    expect(headers.get('content-type')).toMatch(/^application\/json\b/)
    expect(body.policy_decision_point).toBe(world.issuer)
    const { policy_decision_point: _pdp, ...endpoints } = body
    expect(Object.keys(endpoints).sort()).toEqual([
      'access_evaluation_endpoint',
      'access_evaluations_endpoint',
      'search_action_endpoint',
      'search_resource_endpoint',
      'search_subject_endpoint',
    ])
    for (const endpoint of Object.values<string>(endpoints)) {
      expect(endpoint.startsWith(`${world.issuer}/`)).toBe(true)
      // There is something, and it wants to know who asks.
      expect((await ask(world, 'x', endpoint.slice(world.issuer.length), {})).status).toBe(401)
    }
  })
})
