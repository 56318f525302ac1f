/** Limits before authentication on the wire (RFC 6585 §4, DESIGN §5): 429, `Retry-After`, coarse, counted, and nothing issued. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { RejectionReason } from '../../src/kernel/rejection.ts'
import { expectRefused, type Refusal } from '../support/refusal.ts'
import { HandTicks } from '../support/sources.ts'
import { startWorld, type World } from '../support/world.ts'

const tooMany = (reason: RejectionReason): Refusal => ({
  status: 429,
  error: 'temporarily_unavailable',
  reason,
  stranger: true,
})

const SECOND = { perSecond: 0.25, burst: 3 }
const garbage = (world: World) => world.post('/token', { grant_type: 'no-such-thing' })
const unknown = (world: World, path = '/token') =>
  world.post(path, { grant_type: 'client_credentials', token: 'e30.e30.c2ln', ...world.authentication('nobody') })

describe('a source over its limit', () => {
  let world: World
  const ticks = new HandTicks()
  beforeAll(async () => {
    world = await startWorld({ limits: { perSource: SECOND }, ticks })
  })
  afterAll(() => world.close())
  beforeEach(() => ticks.advance(60_000))

  test('is refused with 429, the seconds to wait, and nothing else told', async () => {
    for (let failure = 0; failure < 3; failure += 1) expect((await garbage(world)).status).toBe(400)
    const { answer } = await expectRefused(world, () => garbage(world), tooMany('source_limited'))
    expect(answer.headers.get('retry-after')).toBe('4')
    expect(answer.body.error_description).not.toMatch(/nobody|client_id/)
  })

  test('Retry-After is true: a request after so many seconds is let through, one before is not', async () => {
    for (let failure = 0; failure < 3; failure += 1) await garbage(world)
    ticks.advance(3_900)
    expect((await garbage(world)).status).toBe(429)
    ticks.advance(100)
    expect((await garbage(world)).status).toBe(400)
  })

  test.each(['/token', '/introspect', '/revoke'])('%s counts, whatever is wrong with the request', async (path) => {
    const failures = [
      () => world.request(path, { method: 'POST', body: 'not a form' }),
      () => world.request(path, { method: 'POST', body: '{}', headers: { 'Content-Type': 'application/json' } }),
      () => unknown(world, path),
    ]
    for (const failure of failures) expect((await failure()).status).toBeLessThan(429)
    expect((await unknown(world, path)).status).toBe(429)
  })

  test('discovery, keys and health are served all the same', async () => {
    for (let failure = 0; failure < 4; failure += 1) await garbage(world)
    const paths = ['/jwks', '/.well-known/oauth-authorization-server', '/.well-known/openid-configuration']
    for (const path of [...paths, '/healthz', '/readyz']) {
      for (let request = 0; request < 10; request += 1) expect((await world.request(path)).status).toBe(200)
    }
  })

  test('successes cost nothing: any number of them is served', async () => {
    for (let request = 0; request < 20; request += 1) {
      const answer = await world.clientCredentials('orchestrator', { resource: `${world.issuer}/api` })
      expect(answer.status).toBe(200)
    }
  })
})

describe('a source and claimed client over their limit', () => {
  test('are refused with 429; another name from there is not', async () => {
    const world = await startWorld({ limits: { perSourceAndClient: SECOND }, ticks: new HandTicks() })
    try {
      for (let failure = 0; failure < 3; failure += 1) expect((await unknown(world)).status).toBe(401)
      const { answer } = await expectRefused(world, () => unknown(world), tooMany('source_client_limited'))
      expect(answer.headers.get('retry-after')).toBe('4')
      expect((await world.clientCredentials('orchestrator', { resource: `${world.issuer}/api` })).status).toBe(200)
    } finally {
      await world.close()
    }
  })
})

test('strangers beyond those that are verified at once wait, and pass', async () => {
  const world = await startWorld({ limits: {}, ticks: new HandTicks() })
  try {
    const answers = await Promise.all(Array.from({ length: 100 }, () => unknown(world)))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([401]))
  } finally {
    await world.close()
  }
})

test('a stranger over its limit waits for its refusal, so that its connection asks less often; others do not', async () => {
  const limits = { perSource: { perSecond: 0.25, burst: 1 }, refusalDelayMs: 300 }
  const world = await startWorld({ limits, ticks: new HandTicks() })
  try {
    expect((await garbage(world)).status).toBe(400)
    const begun = performance.now()
    expect((await garbage(world)).status).toBe(429)
    expect(performance.now() - begun).toBeGreaterThan(290)
  } finally {
    await world.close()
  }
})
