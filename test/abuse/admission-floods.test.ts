/**
 * Floods of strangers, attack by attack: who pays is the source that sends them, and a client that has authenticated lately
 * never does.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Secret } from '../../src/kernel/secret.ts'
import { managementToken } from '../support/hops.ts'
import { startRedis } from '../support/redis.ts'
import { bearerFrom, HandTicks, honest, impostor, postFrom, statuses, times } from '../support/sources.ts'
import { claimsOf, type ManualClock, startWorld, type World } from '../support/world.ts'

const HOME = { peer: '198.51.100.7' }
const ELSEWHERE = { peer: '203.0.113.66' }
const LIMITS = { perSource: { perSecond: 1, burst: 10 }, perSourceAndClient: { perSecond: 1, burst: 5 } }

let world: World
let ticks: HandTicks
beforeAll(async () => {
  ticks = new HandTicks()
  world = await startWorld({ limits: LIMITS, ticks })
})
afterAll(() => world.close())
beforeEach(() => ticks.advance(60_000))

const garbage = (peer: string, headers = {}) => postFrom(world, { peer, headers }, '/token', { grant_type: 'x' })

describe('rotating sources', () => {
  test('a thousand other addresses do not give the first its allowance back, nor cost a neighbour its own', async () => {
    await statuses(10, () => garbage('203.0.113.1'))
    expect((await garbage('203.0.113.1')).status).toBe(429)
    await statuses(1_000, (index) => garbage(`10.1.${index >> 8}.${index & 255}`))
    expect((await garbage('203.0.113.1')).status).toBe(429)
    expect((await garbage('203.0.113.2')).status).toBe(400)
  })

  test('the addresses of one IPv6 /64 are one source', async () => {
    const seen = await statuses(12, (index) => garbage(`2001:db8:7:7::${(index * 5_000).toString(16)}`))
    expect(seen).toEqual([...times(10, 400), 429, 429])
    expect((await garbage('2001:db8:7:8::1')).status).toBe(400)
  })
})

describe('claimed-name flood', () => {
  test('strangers who claim a client’s name elsewhere cost it nothing, where it is known and where it is new', async () => {
    expect((await honest(world, HOME)).status).toBe(200)
    const flood = await statuses(30, () => impostor(world, ELSEWHERE))
    expect(flood.slice(0, 5)).toEqual(times(5, 401))
    expect(new Set(flood.slice(10))).toEqual(new Set([429]))
    expect(await statuses(20, () => honest(world, HOME))).toEqual(times(20, 200))
    expect((await honest(world, { peer: '198.51.100.99' })).status).toBe(200)
  })

  test('another key id in each assertion is not another allowance', async () => {
    const flood = await statuses(8, (index) => impostor(world, ELSEWHERE, 'orchestrator', `kid-${index}`))
    expect(flood).toEqual([...times(5, 401), 429, 429, 429])
  })

  test('refused impostors are not verified: the answer does not change when their key becomes right', async () => {
    await statuses(30, () => impostor(world, ELSEWHERE))
    const forgedNoMore = await honest(world, ELSEWHERE)
    expect(forgedNoMore.status).toBe(429)
    expect(forgedNoMore.body).not.toHaveProperty('access_token')
  })
})

describe('shared NAT', () => {
  test('a known agent works at full speed while strangers behind its address are refused', async () => {
    expect((await honest(world, HOME)).status).toBe(200)
    for (let round = 0; round < 5; round += 1) {
      await statuses(10, () => garbage(HOME.peer))
      await statuses(10, () => impostor(world, HOME, 'researcher'))
      expect(await statuses(10, () => honest(world, HOME))).toEqual(times(10, 200))
    }
    expect((await garbage(HOME.peer)).status).toBe(429)
  })

  test('strangers there who claim its very name, but not its key id, do not reach its bucket', async () => {
    expect((await honest(world, HOME)).status).toBe(200)
    await statuses(50, () => impostor(world, HOME))
    expect(await statuses(20, () => honest(world, HOME))).toEqual(times(20, 200))
  })

  test('who knows the key id too can exhaust that bucket only at the rate of failures, and successes still cost nothing', async () => {
    const kid = kidOf(world.assertion('orchestrator'))
    expect((await honest(world, HOME)).status).toBe(200)
    for (let second = 0; second < 10; second += 1) {
      expect((await impostor(world, HOME, 'orchestrator', kid)).status).toBe(401)
      expect(await statuses(10, () => honest(world, HOME))).toEqual(times(10, 200))
      ticks.advance(1_000)
    }
  })

  test('a replayed assertion is a stranger’s: it makes nobody known, and is paid for', async () => {
    const params = { grant_type: 'client_credentials', resource: `${world.issuer}/api` }
    const stolen = { ...params, ...world.authentication('researcher') }
    expect((await postFrom(world, HOME, '/token', stolen)).status).toBe(200)
    const seen = await statuses(12, () => postFrom(world, ELSEWHERE, '/token', stolen))
    expect(seen.slice(0, 5)).toEqual(times(5, 401))
    expect(new Set(seen.slice(5))).toEqual(new Set([429]))
  })
})

test('an assertion that was used already makes its thief known in no outage of the store either', async () => {
  const redis = await startRedis()
  const own = await startWorld({ store: { kind: 'redis', url: new Secret(redis.url) }, limits: LIMITS, ticks })
  try {
    const used = own.authentication('orchestrator')
    const kid = kidOf(String(used['client_assertion']))
    const params = { grant_type: 'client_credentials', resource: `${own.issuer}/api` }
    expect((await postFrom(own, HOME, '/token', { ...params, ...used })).status).toBe(200)
    await redis.kill()
    // A revoke goes ahead though nobody can say whether its assertion was used.
    await statuses(3, () => postFrom(own, ELSEWHERE, '/revoke', { ...used, token: 'e30.e30.c2ln' }))
    const seen = await statuses(12, () => impostor(own, ELSEWHERE, 'orchestrator', kid))
    expect(seen.filter((status) => status === 401).length).toBeLessThanOrEqual(LIMITS.perSourceAndClient.burst)
  } finally {
    await own.close()
    await redis.stop()
  }
})

describe('revoking under a flood', () => {
  const STRANGERS = { peer: '192.0.2.50' }
  const forged = (token: string) =>
    `${token.slice(0, token.lastIndexOf('.'))}.${Buffer.alloc(64, 9).toString('base64url')}`

  test('an agent that was never seen at an address revokes from there while strangers flood /token', async () => {
    const { session } = await world.opened()
    await statuses(30, () => garbage(STRANGERS.peer))
    await statuses(30, () => impostor(world, STRANGERS))
    const revoked = await postFrom(world, STRANGERS, '/revoke', {
      ...world.authentication('orchestrator'),
      token: session,
    })
    expect(revoked.status).toBe(200)
    expect(revoked.body.revoked).toBeDefined()
  })

  test('a user ends a session from there too; forged tokens at /sessions are limited, a token that was good stays so', async () => {
    const { sid } = await world.opened()
    const other = await world.opened()
    await statuses(30, () => garbage(STRANGERS.peer))
    const token = world.userToken()
    const end = (id: string) => bearerFrom(world, STRANGERS.peer, { method: 'DELETE', path: `/sessions/${id}`, token })
    expect((await end(sid)).status).toBe(200)
    const read = () =>
      bearerFrom(world, STRANGERS.peer, { method: 'GET', path: '/sessions', token: forged(world.userToken()) })
    const flood = await statuses(30, read)
    expect(flood.slice(0, 5)).toEqual(times(5, 401))
    expect(new Set(flood.slice(5))).toEqual(new Set([429]))
    expect((await end(other.sid)).status).toBe(200)
  })

  test('an operator is never held up: not by what floods /token and /sessions, nor by what floods /admin itself', async () => {
    // Alice has just revoked what she opened, and must sign in again.
    const open = await world.open({ subject_token: world.idToken({ sub: 'bob' }) })
    const sid = claimsOf(open.body.access_token)['sid']
    const token = await managementToken(world)
    await statuses(30, () => garbage(STRANGERS.peer))
    const path = `/admin/v1/sessions/${sid}`
    const order = (method: string, bearer: string) => bearerFrom(world, STRANGERS.peer, { method, path, token: bearer })
    expect(await statuses(30, () => order('GET', forged(token)))).toEqual(times(30, 401))
    expect((await order('DELETE', token)).status).toBe(200)
  })
})

test('a used assertion is a stranger’s while its client is over its own limit, too', async () => {
  const own = await startWorld({ limits: { ...LIMITS, perClient: { perSecond: 0.25, burst: 3 } }, ticks })
  try {
    const used = {
      grant_type: 'client_credentials',
      resource: `${own.issuer}/api`,
      ...own.authentication('orchestrator'),
    }
    expect((await postFrom(own, HOME, '/token', used)).status).toBe(200)
    await statuses(2, () => honest(own, HOME))
    const limited = await honest(own, HOME)
    expect([limited.status, limited.body.error_reason]).toEqual([429, 'client_limited'])
    const seen: (string | undefined)[] = []
    for (let replay = 0; replay < 20; replay += 1) {
      seen.push((await postFrom(own, ELSEWHERE, '/token', used)).body.error_reason)
    }
    // Nobody has looked whether it was used: but the source pays for it, and the next ones are not even verified.
    expect(seen.slice(LIMITS.perSourceAndClient.burst)).toEqual(times(15, 0).map(() => undefined))
    expect((await honest(own, HOME)).body.error_reason).toBe('client_limited')
  } finally {
    await own.close()
  }
})

describe('clock step', () => {
  test('the machine’s clock set forward or back opens no gate and closes none', async () => {
    await statuses(10, () => garbage('203.0.113.1'))
    for (const seconds of [86_400, -2 * 86_400]) {
      ;(world.clock as ManualClock).advance(seconds)
      expect((await garbage('203.0.113.1')).status).toBe(429)
      expect((await garbage('203.0.113.2')).status).toBe(400)
    }
    ;(world.clock as ManualClock).advance(86_400)
  })

  test('ticks that go back lock nobody out, ticks that leap fill a bucket once', async () => {
    await statuses(10, () => garbage('203.0.113.1'))
    ticks.advance(-1_000_000)
    expect((await garbage('203.0.113.1')).status).toBe(429)
    ticks.advance(1_000)
    expect((await garbage('203.0.113.1')).status).toBe(400)
    ticks.advance(1_000_000_000)
    expect(await statuses(11, () => garbage('203.0.113.1'))).toEqual([...times(10, 400), 429])
  })
})

describe('X-Forwarded-For spoofing', () => {
  test('without a trusted proxy, a header that names another source each time changes nothing', async () => {
    const seen = await statuses(12, (index) => garbage('203.0.113.1', { 'X-Forwarded-For': `192.0.2.${index}` }))
    expect(seen).toEqual([...times(10, 400), 429, 429])
    expect((await garbage('192.0.2.1')).status).toBe(400)
  })

  test('it cannot blame a known client’s source either', async () => {
    expect((await honest(world, HOME)).status).toBe(200)
    await statuses(30, () => garbage('203.0.113.1', { 'X-Forwarded-For': HOME.peer }))
    expect(await statuses(12, () => garbage(HOME.peer))).toEqual([...times(10, 400), 429, 429])
  })
})

function kidOf(assertion: string): string {
  return JSON.parse(Buffer.from(assertion.split('.')[0] ?? '', 'base64url').toString()).kid
}
