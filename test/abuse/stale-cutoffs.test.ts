/**
 * A broker cut off from its revocations, or whose clock has run away, must not issue (DESIGN §7, H67). The feed's timer is
 * in the test's hands: revocations are confirmed when it says so.
 */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { adminToken, atWork, startApprovals } from '../support/approvals.ts'
import { granted, kill, managementToken, openAccess, openDeep, refused } from '../support/hops.ts'
import { startIssuer } from '../support/issuer.ts'
import type { Refusal } from '../support/refusal.ts'
import { invalidRequest } from '../support/refusal.ts'
import { ManualClock, startWorld, type World } from '../support/world.ts'

let world: World
let clock: ManualClock
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  world = await startWorld()
  if (!(world.clock instanceof ManualClock)) throw new Error('the clock must be manual')
  clock = world.clock
})
afterEach(async () => {
  vi.useRealTimers()
  await world.close()
})

const confirm = () => vi.advanceTimersByTime(500)
const stale: Refusal = { status: 503, error: 'temporarily_unavailable', reason: 'cutoffs_stale' }

describe('with the feed paused for more than two seconds', () => {
  test('no flow issues, introspection does not answer, and all of them do again when it is confirmed', async () => {
    const { token } = await openDeep(world)
    const delegation = await granted(world.delegate(token))
    const access = await granted(openAccess(world))
    clock.advance(2.001)
    const requests = [
      () => world.open(),
      () => world.continue(token),
      () => world.delegate(token),
      () => world.accept(delegation.token),
      () => world.clientCredentials('orchestrator', { resource: `${world.issuer}/api` }),
      () => world.introspect(access.token),
    ]
    for (const request of requests) await refused(world, request, stale)
    expect((await world.request('/readyz')).status).toBe(503)
    confirm()
    expect((await world.request('/readyz')).status).toBe(200)
    for (const request of requests) expect((await request()).status).toBe(200)
  })

  test('two seconds are not yet too long', async () => {
    const { token } = await openDeep(world)
    clock.advance(2)
    await granted(world.continue(token))
  })

  test('a refusal burns neither the delegation nor the evidence', async () => {
    const delegation = await granted(world.delegate((await openDeep(world)).token))
    clock.advance(3)
    await refused(world, () => world.accept(delegation.token), stale)
    confirm()
    await granted(world.accept(delegation.token))
  })

  test('a request that came while it was stale issues nothing of what it read, though it is fresh again', async () => {
    const { token } = await openDeep(world)
    const requests = [
      () => world.open(),
      () => world.continue(token),
      () => world.clientCredentials('orchestrator', { resource: `${world.issuer}/api` }),
    ]
    const { claims, control } = world.broker.store
    const { cutoffs } = world.broker
    for (const request of requests) {
      clock.advance(3)
      const claim = claims.claim.bind(claims)
      const held = vi.spyOn(claims, 'claim').mockImplementationOnce(async (...claimed) => {
        // By another broker, which this one hears of when its feed goes on.
        const expiresAtMs = clock.nowMs() + 3_600_000
        await control.write([{ entry: 'cutoff', dimension: 'user', id: 'user:corp:bob', expiresAtMs }], 0)
        confirm()
        await vi.waitFor(() => expect(cutoffs.fresh).toBe(true))
        return claim(...claimed)
      })
      await refused(world, request, stale)
      expect(held).toHaveBeenCalled()
      held.mockRestore()
      expect((await request()).status).toBe(200)
    }
  })

  test('revoking goes on: it needs no confirmed view', async () => {
    const session = await openDeep(world)
    const access = await granted(world.continue(session.token))
    clock.advance(3)
    const { status, body } = await world.revoke(session.token)
    expect([status, body.revoked.sessions]).toEqual([200, [session.claims.sid]])
    const order = { dimension: 'user', user: 'user:corp:bob' }
    const answer = await world.bearer('/admin/v1/revocations', await managementToken(world), 'POST', order)
    expect(answer.status).toBe(200)
    confirm()
    expect((await world.introspect(access.token)).body).toEqual({ active: false })
  })
})

test('an approval whose text comes slowly is not said by a view that has become stale meanwhile', async () => {
  const idp = await startIssuer({ slug: 'corp' })
  const approvals = await startApprovals(idp)
  try {
    const given = await atWork(approvals)
    const { context } = await given.attempts(given.access)
    const path = `/admin/v1/approvals/${context.access_request.id}`
    const headers = {
      authorization: `Bearer ${await adminToken(approvals, 'corp:carol')}`,
      'content-type': 'application/json',
    }
    const body = JSON.stringify({ decision: 'approve', reason: 'yes' })
    const slowly = async (after: () => void) => {
      // Asked for its text only when somebody reads it: after the caller has shown who they are.
      const source = {
        pull: (controller: ReadableStreamDefaultController) => {
          after()
          controller.enqueue(Buffer.from(body))
          controller.close()
        },
      }
      const stream = new ReadableStream(source, { highWaterMark: 0 })
      return approvals.request(path, { method: 'POST', headers, body: stream, duplex: 'half' } as RequestInit)
    }
    const late = () => (approvals.clock as ManualClock).advance(2.5)
    await refused(approvals, () => slowly(late), stale)
    confirm()
    await vi.waitFor(async () => expect((await approvals.request('/readyz')).status).toBe(200))
    expect((await slowly(() => undefined)).status).toBe(200)
  } finally {
    await approvals.close()
    await idp.close()
  }
})

describe('a clock that steps back', () => {
  test('revives no revoked token and no used assertion', async () => {
    const session = await openDeep(world)
    const client_assertion = world.assertion('orchestrator')
    await granted(world.continue(session.token, { client_assertion }))
    const access = await granted(world.continue(session.token))
    await kill(world, { dimension: 'user_agent', user: 'user:corp:alice', agent: 'orchestrator' })
    clock.advance(-25)
    confirm()
    await refused(world, () => world.introspect(access.token), stale)
    await refused(world, () => world.continue(session.token), invalidRequest('session_not_issuing'))
    expect((await world.open({ client_assertion })).status).toBe(503)
    clock.advance(25)
    confirm()
    expect((await world.introspect(access.token)).body).toEqual({ active: false })
    await refused(world, () => world.continue(session.token), invalidRequest('session_not_issuing'))
    expect((await world.open({ client_assertion })).status).toBe(401)
  })

  test('numbers of later cut-offs still grow: what is revoked after the step is dead too', async () => {
    clock.advance(60)
    confirm()
    const session = await openDeep(world)
    const access = await granted(world.continue(session.token))
    const first = await kill(world, { dimension: 'user', user: 'user:corp:bob' })
    clock.advance(-25)
    confirm()
    const second = await kill(world, { dimension: 'agent', agent: 'orchestrator' })
    expect(second.seq).toBeGreaterThan(first.seq)
    clock.advance(25)
    confirm()
    expect((await world.introspect(access.token)).body).toEqual({ active: false })
  })
})
