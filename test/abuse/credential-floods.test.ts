/**
 * Credentials of every kind that fail are counted against whoever sends them, before their mathematics, and nobody who was there
 * before pays for it (H61): a kind that admission did not know would be a way to make the broker work for nothing.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { newApiKey } from '../../src/credentials/client/api-key.ts'
import { shown, startSvidWorld } from '../support/svid-world.ts'
import { asClient, JWT_BEARER, startWorkloadWorld, type WorkloadWorld } from '../support/workloads.ts'
import { type Answer, type Params, type Sent, WIKI, type World } from '../support/world.ts'

const limits = { perSourceAndClient: { perSecond: 0.01, burst: 3 } }
const SVID = 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe'
let at: WorkloadWorld
let world: World
beforeAll(async () => {
  at = await startWorkloadWorld({ settings: { apiKeys: true }, limits })
  world = at.world
})
afterAll(() => at.close())

/** By nobody's key, under the name of a real one. */
const forged = (token: string): string => `${token.slice(0, token.lastIndexOf('.'))}.${'A'.repeat(86)}`
const forgedJob = (sub: string): string => forged(at.jobToken({ sub }))

function spiffeToken(): string {
  const sub = 'spiffe://nowhere.example/reporter'
  return at.jobToken({ sub, aud: world.issuer, iss: undefined })
}

const asks =
  (path: string, params: () => Params, headers: () => Sent = () => ({})) =>
  () =>
    world.post(path, params(), headers())
const asked = { grant_type: 'client_credentials', resource: WIKI }
const KINDS: readonly (readonly [string, () => Promise<Answer>])[] = [
  ['a platform’s token', asks('/token', () => ({ ...asked, ...asClient(forgedJob('job/a')) }))],
  [
    'a platform’s token as the grant',
    asks('/token', () => ({ grant_type: JWT_BEARER, assertion: forgedJob('job/b'), resource: WIKI })),
  ],
  ['a platform’s token at introspection', asks('/introspect', () => ({ token: 'x', ...asClient(forgedJob('job/c')) }))],
  ['a platform’s token at revocation', asks('/revoke', () => ({ token: 'x', ...asClient(forgedJob('job/d')) }))],
  ['a JWT-SVID', asks('/token', () => ({ ...asked, client_assertion_type: SVID, client_assertion: spiffeToken() }))],
  [
    'an API key',
    asks(
      '/token',
      () => ({ ...asked, client_id: 'orchestrator' }),
      () => ({ Authorization: `Bearer ${newApiKey().reveal()}` }),
    ),
  ],
]

test.each(KINDS)('%s', async (_kind, attempt) => {
  expect((await at.ask(at.podToken())).status).toBe(200)
  const before = []
  for (let attempts = 0; attempts < 3; attempts += 1) before.push((await attempt()).status)
  expect(
    before.every((status) => status === 400 || status === 401),
    String(before),
  ).toBe(true)
  expect((await attempt()).status).toBe(429)
  expect((await at.ask(at.podToken())).status).toBe(200)
})

test('a certificate of nobody’s', async () => {
  const svids = await startSvidWorld({ world: { limits } })
  try {
    const [leaf] = [await svids.root.issue({ uris: ['spiffe://example.org/nobody'] })]
    svids.identity = shown(leaf)
    const attempt = () => svids.world.post('/token', { ...asked, client_id: 'orchestrator' })
    const before = []
    for (let attempts = 0; attempts < 3; attempts += 1) before.push((await attempt()).status)
    expect(before).toEqual([401, 401, 401])
    expect((await attempt()).status).toBe(429)
  } finally {
    await svids.close()
  }
})
