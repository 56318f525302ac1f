/** `errand revoke --everything`: no token that was there before is good for anything, at any door, and new ones are. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { kill } from '../support/hops.ts'
import { startWorld, type World } from '../support/world.ts'

let world: World
beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world.close())

test('one order cuts off access, session, delegation and API tokens, evidence and assertions alike', async () => {
  const idToken = { subject_token: world.idToken() }
  const { session } = await world.opened()
  const access = (await world.continue(session)).body.access_token as string
  const delegation = (await world.delegate(session)).body.access_token as string
  const apiToken = await world.apiToken()
  const unused = world.authentication('orchestrator')
  expect((await world.introspect(access)).body.active).toBe(true)

  const revoked = await kill(world, { dimension: 'everything' })
  expect(revoked.sessions).toHaveLength(1)
  const spent = { ...unused, grant_type: 'client_credentials', resource: `${world.issuer}/api` }
  expect((await world.post('/token', spent)).body.error).toBe('invalid_client')

  await world.advance(61)
  expect((await world.introspect(access)).body.active).toBe(false)
  const listed = await world.request('/sessions', { headers: { Authorization: `Bearer ${apiToken}` } })
  expect(listed.status).toBe(401)
  for (const answer of [
    await world.continue(session),
    await world.delegate(session),
    await world.accept(delegation),
    await world.open(idToken),
  ]) {
    expect(answer.status, JSON.stringify(answer.body)).toBe(400)
    expect(['subject_token_revoked', 'session_not_issuing', 'principal_blocked']).toContain(answer.body.error_reason)
  }
  await world.advance(20)
  const again = await world.open({ subject_token: world.idToken({ auth_time: world.now() - 1 }) })
  expect(again.status, JSON.stringify(again.body)).toBe(200)
})
