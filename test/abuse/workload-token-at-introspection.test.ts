/**
 * A service's workload token that somebody else has got hold of, beside /token (checklist #47, C3): it stays with its key there,
 * too, and is good for nothing once its client was cut off. What it takes to end something is not made harder.
 */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { holderKey, proving } from '../support/dpop.ts'
import { granted } from '../support/hops.ts'
import { expectRefused, invalidClient, invalidRequest } from '../support/refusal.ts'
import { asClient, startWorkloadWorld, type WorkloadWorld } from '../support/workloads.ts'
import { type Sent, WIKI, type World } from '../support/world.ts'

const key = holderKey()
const thief = holderKey('thief')
let at: WorkloadWorld
let world: World
/** Of the wiki's server. */
let token: string
let access: string
beforeAll(async () => {
  at = await startWorkloadWorld()
  world = at.world
})
afterAll(() => at.close())
beforeEach(async () => {
  token = at.jobToken({ sub: 'job/wiki' })
  access = (await world.clientCredentials('orchestrator', { resource: WIKI })).body.access_token
})

function apiToken(headers: Sent = {}) {
  const wanted = { grant_type: 'client_credentials', resource: `${world.issuer}/api`, scope: 'revocations' }
  return world.post('/token', { ...wanted, ...asClient(token) }, headers)
}
const introspect = (headers: Sent = {}) => world.post('/introspect', { token: access, ...asClient(token) }, headers)
const proof = (by: typeof key) => proving(world, by, { claims: { htu: `${world.issuer}/introspect` } })
const BOUND = invalidClient('client_assertion_bound')

test('#47 shown with a key at the token endpoint, it introspects with that key alone', async () => {
  expect((await apiToken(proving(world, key))).status).toBe(200)
  await expectRefused(world, () => introspect(), BOUND)
  await expectRefused(world, () => introspect(proof(thief)), BOUND)
  expect((await introspect(proof(key))).body).toMatchObject({ active: true })
})

test('#47 shown without one at introspection, it takes none later, at neither endpoint', async () => {
  expect((await introspect()).body).toMatchObject({ active: true })
  await expectRefused(world, () => introspect(proof(thief)), BOUND)
  await expectRefused(world, () => apiToken(proving(world, thief)), BOUND)
  expect((await introspect()).body).toMatchObject({ active: true })
})

test('#89 a proof introspects once', async () => {
  const sent = proof(key)
  expect((await introspect(sent)).status).toBe(200)
  const replayed = { status: 400, error: 'invalid_dpop_proof', reason: 'dpop_proof_replayed', stranger: true } as const
  await expectRefused(world, () => introspect(sent), replayed)
})

test('issued before its client was cut off, it introspects nothing, and neither asks for API tokens', async () => {
  expect((await introspect()).status).toBe(200)
  const expiresAtMs = world.clock.nowMs() + 3_600_000
  const cutoff = { entry: 'cutoff', dimension: 'agent', id: 'wiki-server', expiresAtMs } as const
  await world.broker.cutoffs.write(world.broker.store.control, [cutoff])
  await expectRefused(world, () => introspect(), invalidRequest('principal_blocked'))
  await expectRefused(world, () => apiToken(), invalidRequest('principal_blocked'))
  await world.advance(120)
  token = at.jobToken({ sub: 'job/wiki' })
  expect((await introspect()).status).toBe(200)
})

test('its agent ends what it holds with it, whatever key it was first shown with', async () => {
  token = at.jobToken()
  const { token: text } = await granted(at.ask(token, {}, proving(world, key)))
  const answer = await world.post('/revoke', { token: text, ...asClient(token) })
  expect([answer.status, answer.body.revoked.hops.length]).toEqual([200, 1])
})
