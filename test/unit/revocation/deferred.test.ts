/** A whole broker whose log does not answer: what revokes is done and recorded later, everything else waits. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { kill, managementToken, order } from '../../support/hops.ts'
import { claimsOf, startWorld, WAREHOUSE, type World } from '../../support/world.ts'
import { type Fault, failing } from '../sessions/faults.ts'

let world: World
let fault: Fault | undefined
beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world.close())

let session: string
let sid: string
let access: string
beforeEach(async () => {
  const opened = await world.open({ subject_token: world.idToken({ sub: 'bob' }) })
  session = opened.body.access_token
  sid = String(claimsOf(session)['sid'])
  access = (await world.continue(session)).body.access_token
})
afterEach(() => fault?.heal())

const active = async () => (await world.introspect(access)).body.active
const recordsOf = async () => (await world.audit(1_000)).filter((record) => record.session === sid)

/** Ends it with the log down, and gives what was answered; then lets the log answer again. */
async function withoutLog<T>(end: () => Promise<T>): Promise<T> {
  fault = failing(world.broker.store.audit, 'append')
  const answer = await end()
  expect(fault.failures).toBeGreaterThan(0)
  fault.heal()
  return answer
}

describe('is done at once and recorded when the log answers again', () => {
  test.each([
    ['a token revoked by its agent', () => world.revoke(session), 'token.revoke'],
    ['an access token revoked alone', () => world.revoke(access), 'token.revoke'],
    [
      'a session ended by its user',
      () => world.bearer(`/sessions/${sid}`, world.userToken('bob'), 'DELETE'),
      'session.revoke',
    ],
  ] as const)('%s', async (_what, end, event) => {
    expect(await active()).toBe(true)
    const answer = await withoutLog(end)
    expect(answer.status, JSON.stringify(answer.body)).toBe(200)
    expect(answer.body.audit).toBe('deferred')
    expect(await active()).toBe(false)
    expect((await recordsOf()).some((record) => record.event === event)).toBe(false)
    await world.broker.flushAudit()
    expect((await recordsOf()).filter((record) => record.event === event)).toMatchObject([{ outcome: 'granted' }])
    await order(world, '/lifts', { kind: 'pair', id: 'user:corp:bob|orchestrator' })
    await world.advance(120)
  })

  test('an operator’s kill', async () => {
    const token = await managementToken(world)
    const answer = await withoutLog(() =>
      world.bearer('/admin/v1/revocations', token, 'POST', { dimension: 'agent', agent: 'orchestrator' }),
    )
    expect(answer.body).toMatchObject({ audit: 'deferred', revoked: { sessions: expect.arrayContaining([sid]) } })
    expect(await active()).toBe(false)
    await world.broker.flushAudit()
    expect((await world.audit(5)).some((record) => record.event === 'control.write')).toBe(true)
    await world.advance(120)
  })
})

describe('waits for the log', () => {
  test.each([
    ['introspection', () => world.introspect(access)],
    ['an exchange that is refused', () => world.continue(session, { resource: 'https://nobody.example/mcp' })],
    ['an API token', () => world.clientCredentials('orchestrator', { resource: `${world.issuer}/api` })],
    ['a list of sessions', () => world.bearer('/sessions', world.userToken('bob'))],
    ['a session drawn', () => world.bearer(`/sessions/${sid}`, world.userToken('bob'))],
    ['the log itself', async () => world.bearer('/admin/v1/audit', await managementToken(world))],
    ['a lift that is refused', () => order(world, '/lifts', { kind: 'agent', id: 'researcher' })],
  ] as const)('%s', async (_what, ask) => {
    const answer = await withoutLog(ask)
    expect(answer.status, JSON.stringify(answer.body)).toBe(503)
    expect(answer.body).toMatchObject({ error: 'temporarily_unavailable', error_reason: 'audit_unavailable' })
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
    expect((await ask()).status).not.toBe(503)
  })
})

test('a kill with the log there is recorded at once', async () => {
  await kill(world, { dimension: 'session_access', session: sid })
  expect((await world.audit(5))[0]).toMatchObject({ event: 'control.write', outcome: 'granted' })
  expect(await active()).toBe(false)
  expect((await world.continue(session, { resource: WAREHOUSE })).status).toBe(200)
})
