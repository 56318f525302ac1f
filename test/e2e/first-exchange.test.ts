import { afterAll, beforeAll, expect, test } from 'vitest'
import { claimsOf, headerOf, SLACK, startWorld, TYPE, WAREHOUSE, type World } from '../support/world.ts'

let world: World
beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world.close())

test('open, continue, delegate, accept, call, and the user revokes the whole tree', async () => {
  const opened = await world.open()
  expect(opened.body).toMatchObject({ issued_token_type: TYPE.session, token_type: 'N_A' })
  expect(opened.status).toBe(200)
  const session = opened.body.access_token
  expect(headerOf(session)['typ']).toBe('errand-session+jwt')

  const access = await world.continue(session)
  expect(access.status, JSON.stringify(access.body)).toBe(200)
  expect(claimsOf(access.body.access_token)).toMatchObject({
    sub: 'user:corp:alice',
    aud: WAREHOUSE,
    client_id: 'orchestrator',
    act: { sub: 'agent:orchestrator', iss: world.issuer },
    scope: 'mcp:tools:read',
  })
  expect((await world.introspect(access.body.access_token)).body.active).toBe(true)

  const delegated = await world.delegate(session)
  expect(delegated.status, JSON.stringify(delegated.body)).toBe(200)
  const accepted = await world.accept(delegated.body.access_token)
  expect(accepted.status, JSON.stringify(accepted.body)).toBe(200)
  const sub = await world.continue(accepted.body.access_token, {}, 'researcher')
  expect(sub.status, JSON.stringify(sub.body)).toBe(200)
  expect(claimsOf(sub.body.access_token)).toMatchObject({
    sub: 'user:corp:alice',
    act: { sub: 'agent:researcher', act: { sub: 'agent:orchestrator' } },
  })
  const again = await world.accept(delegated.body.access_token)
  expect(again.body).toMatchObject({ error: 'invalid_request', error_reason: 'delegation_consumed' })
  const slack = await world.continue(accepted.body.access_token, { resource: SLACK }, 'researcher')
  expect(slack.body).toMatchObject({ error: 'invalid_target', error_reason: 'resource_not_in_session' })

  const sid = claimsOf(session)['sid']
  const revoked = await world.bearer(`/sessions/${sid}`, world.userToken(), 'DELETE')
  expect(revoked.status, JSON.stringify(revoked.body)).toBe(200)
  expect(revoked.body.revoked.hops).toHaveLength(2)
  for (const token of [access.body.access_token, sub.body.access_token]) {
    expect((await world.introspect(token)).body).toEqual({ active: false })
  }
  expect((await world.continue(session)).status).toBe(400)
  const reopened = await world.open()
  expect(reopened.body).toMatchObject({ error: 'invalid_request', error_reason: 'evidence_blocked' })
})
