/**
 * Several brokers on one Redis are one broker: what one of them has handed out, spent or revoked holds at every other, and one
 * that cannot know issues nothing (DESIGN §7).
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CUTOFF_STALENESS_MS_MAX } from '../../src/kernel/store-limits.ts'
import { type BrokerProcess, type Fleet, startFleet, until } from '../support/broker-process.ts'
import { publicJwk, testKey } from '../support/keys.ts'
import { whenReady } from '../support/patience.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { type Answer, claimsOf, INTENT, patient, SLACK, TYPE } from '../support/world.ts'

/** What DESIGN promises is the feed's own delay; the bound allows for a machine busy with other things. */
const FEED_MS_MAX = 2_000

let redis: RunningRedis
let fleet: Fleet
let a: BrokerProcess
let b: BrokerProcess

beforeAll(async () => {
  redis = await startRedis()
  fleet = await startFleet(() => ({ store: { kind: 'redis', url: redis.url }, registry: withMoreAgents }))
  // Both find an empty key directory, at the same time.
  const both = await Promise.all([fleet.start(), fleet.start()])
  // What their machine keeps them from for a moment is asked again: only of a third is more expected.
  ;[a, b] = both.map(patient) as [BrokerProcess, BrokerProcess]
})

afterAll(async () => {
  await fleet?.close()
  await redis?.stop()
})

/** An agent's cut-off concerns sign-ins of the next minute, too: each test that cuts one off has its own. */
const AGENTS = ['cut', 'blocked', 'late', 'slow', 'rationed']
const USERS = ['cut-user', 'cut-pair', 'killed', 'late-user']

function withMoreAgents(document: Readonly<Record<string, unknown>>) {
  const agents = document['agents'] as { client_id: string }[]
  const orchestrator = agents.find((agent) => agent.client_id === 'orchestrator')
  const twins = AGENTS.map((id) => ({
    ...orchestrator,
    client_id: id,
    keys: [{ ...publicJwk(testKey(`${id}-key`)), version: '1' }],
    delegates: ['researcher'],
    upstream: { corp: `${id}-at-idp` },
    ...(id === 'rationed' ? { issuance: [{ scope: 'mcp:tools:read', per_minute: 5 }] } : {}),
  }))
  const users = USERS.map((sub) => ({ issuer: 'corp', sub, groups: ['finance'] }))
  return { ...document, agents: [...agents, ...twins], users: [...(document['users'] as unknown[]), ...users] }
}

async function sessionFor(broker: BrokerProcess, { agent = 'orchestrator', user = 'alice' } = {}): Promise<string> {
  const opened = await patient(broker).exchange(agent, {
    subject_token: broker.idToken({ sub: user, aud: `${agent}-at-idp` }),
    subject_token_type: TYPE.id,
    requested_token_type: TYPE.session,
    authorization_details: JSON.stringify(INTENT),
  })
  expect(opened.status, JSON.stringify(opened.body)).toBe(200)
  return opened.body.access_token
}

async function accessFrom(broker: BrokerProcess, session: string, agent = 'orchestrator'): Promise<string> {
  const continued = await patient(broker).continue(session, {}, agent)
  expect(continued.status, JSON.stringify(continued.body)).toBe(200)
  return continued.body.access_token
}

/** Each has the head start in every other round. */
const inTurn = (round: number) => (round % 2 === 0 ? [a, b, a, b] : [b, a, b, a])

async function isActive(broker: BrokerProcess, token: string): Promise<boolean> {
  const answer = await patient(broker).introspect(token)
  expect(answer.status, JSON.stringify(answer.body)).toBe(200)
  return answer.body.active
}

async function order(broker: BrokerProcess, path: 'revocations' | 'lifts', body: unknown): Promise<Answer> {
  const answer = await broker.bearer(`/admin/v1/${path}`, await fleet.managementToken(), 'POST', body)
  expect(answer.status, JSON.stringify(answer.body)).toBe(200)
  return answer
}

describe('what one has handed out, the other honours', () => {
  test('brokers that start together on an empty key directory publish the same keys and the same metadata', async () => {
    for (const path of ['/jwks', '/.well-known/oauth-authorization-server']) {
      const [atA, atB] = await Promise.all([a.request(path), b.request(path)])
      expect(atA.status).toBe(200)
      expect(atB.body).toEqual(atA.body)
    }
    expect((await a.request('/jwks')).body.keys.length).toBeGreaterThan(0)
  })

  test('a session is opened, continued, delegated and accepted at alternating brokers', async () => {
    const session = await sessionFor(a)
    const access = await accessFrom(b, session)
    expect(await isActive(a, access)).toBe(true)
    const delegated = await b.delegate(session)
    expect(delegated.status, JSON.stringify(delegated.body)).toBe(200)
    const accepted = await a.accept(delegated.body.access_token)
    expect(accepted.status, JSON.stringify(accepted.body)).toBe(200)
    const sub = await accessFrom(b, accepted.body.access_token, 'researcher')
    expect(claimsOf(sub)).toMatchObject({
      iss: fleet.issuer,
      act: { sub: 'agent:researcher', act: { sub: 'agent:orchestrator' } },
    })
    expect(await isActive(a, sub)).toBe(true)
  })

  test('a delegation offered to both at once is accepted exactly once', async () => {
    const session = await sessionFor(a)
    const winners = { a: 0, b: 0 }
    for (let round = 0; round < 20; round += 1) {
      const delegated = await a.delegate(session)
      expect(delegated.status, JSON.stringify(delegated.body)).toBe(200)
      const offered = delegated.body.access_token
      const answers = await Promise.all(inTurn(round).map((broker) => broker.accept(offered)))
      expect(answers.map((answer) => answer.status).sort()).toEqual([200, 400, 400, 400])
      const refused = answers.filter((answer) => answer.status === 400)
      expect(refused.map((answer) => answer.body.error_reason)).toEqual(Array(3).fill('delegation_consumed'))
      winners[inTurn(round)[answers.findIndex((answer) => answer.status === 200)] === a ? 'a' : 'b'] += 1
    }
    console.log('accepted at', winners)
  })

  test('a client assertion sent to both at once is taken exactly once (RFC 7523 §3)', async () => {
    for (let round = 0; round < 20; round += 1) {
      const params = {
        grant_type: 'client_credentials',
        ...a.authentication('orchestrator'),
        resource: `${fleet.issuer}/api`,
      }
      const answers = await Promise.all(inTurn(round).map((broker) => whenReady(() => broker.post('/token', params))))
      expect(answers.map((answer) => answer.status).sort()).toEqual([200, 401, 401, 401])
      for (const refused of answers.filter((answer) => answer.status === 401)) {
        expect(refused.body.error).toBe('invalid_client')
        expect(refused.body).not.toHaveProperty('error_reason')
      }
    }
  })
})

test('what an agent may be issued within a minute, all brokers issue together, each finding the others’ (R093)', async () => {
  const session = await sessionFor(a, { agent: 'rationed' })
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, at) => (at % 2 ? a : b).continue(session, {}, 'rationed')),
  )
  expect(answers.map(({ status }) => status).toSorted()).toEqual([...Array(5).fill(200), ...Array(15).fill(429)])
  for (const broker of [a, b]) {
    const refused = await broker.continue(session, {}, 'rationed')
    expect(refused).toMatchObject({ status: 429, body: { error_reason: 'issuance_limited' } })
  }
})

describe('what one has revoked is dead at the other', () => {
  test('a single token: at once, and its siblings live', async () => {
    const session = await sessionFor(a)
    const [one, other] = [await accessFrom(a, session), await accessFrom(b, session)]
    expect((await a.revoke(one)).status).toBe(200)
    expect(await isActive(b, one)).toBe(false)
    expect(await isActive(b, other)).toBe(true)
  })

  test('a node: at once, with what its holder was handed, and the root lives', async () => {
    const session = await sessionFor(a)
    const access = await accessFrom(a, session)
    const delegated = await a.delegate(session)
    const accepted = await b.accept(delegated.body.access_token)
    const sub = await accessFrom(b, accepted.body.access_token, 'researcher')
    expect((await a.revoke(accepted.body.access_token, 'researcher')).body.revoked.hops).toHaveLength(1)
    expect(await isActive(b, sub)).toBe(false)
    const continued = await b.continue(accepted.body.access_token, {}, 'researcher')
    expect(continued.body.error_reason).toMatch(/^(node_revoked|subject_token_revoked)$/)
    expect(await isActive(b, access)).toBe(true)
  })

  test('a session: at once, at every hop, and no token comes of it any more', async () => {
    const session = await sessionFor(a)
    const access = await accessFrom(a, session)
    const delegated = await a.delegate(session)
    const accepted = await b.accept(delegated.body.access_token)
    const sub = await accessFrom(b, accepted.body.access_token, 'researcher')
    expect((await a.revoke(session)).status).toBe(200)
    expect(await isActive(b, access)).toBe(false)
    expect(await isActive(b, sub)).toBe(false)
    for (const [token, holder] of [
      [session, 'orchestrator'],
      [accepted.body.access_token, 'researcher'],
    ] as const) {
      expect((await b.continue(token, {}, holder)).body).toMatchObject({ error: 'invalid_request' })
    }
  })

  test.each([
    {
      what: 'an agent',
      agent: 'cut',
      user: 'bob',
      kill: { dimension: 'agent', agent: 'cut' },
    },
    {
      what: 'a user',
      agent: 'orchestrator',
      user: 'cut-user',
      kill: { dimension: 'user', user: 'user:corp:cut-user' },
    },
    {
      what: 'an agent for one user',
      agent: 'orchestrator',
      user: 'cut-pair',
      kill: { dimension: 'user_agent', user: 'user:corp:cut-pair', agent: 'orchestrator' },
    },
  ])('$what: within the feed’s delay, and others live', async ({ what, agent, user, kill }) => {
    const session = await sessionFor(a, { agent, user })
    const access = await accessFrom(a, session, agent)
    const bystander = await accessFrom(a, await sessionFor(a))
    expect(await isActive(b, access)).toBe(true)
    await order(a, 'revocations', kill)
    const ms = await until(async () => !(await isActive(b, access)), FEED_MS_MAX)
    console.log(`${what}: dead at the other broker ${ms.toFixed(1)} ms after the answer`)
    expect(await isActive(b, bystander)).toBe(true)
    expect((await b.continue(session, {}, agent)).body).toMatchObject({ error: 'invalid_request' })
  })

  test('a session’s access tokens, and only those: within the feed’s delay; what is minted later lives', async () => {
    const session = await sessionFor(a)
    const access = await accessFrom(a, session)
    const { seq } = (await order(a, 'revocations', { dimension: 'session_access', session: claimsOf(session)['sid'] }))
      .body.revoked
    const ms = await until(async () => !(await isActive(b, access)), FEED_MS_MAX)
    console.log(`session access: dead at the other broker ${ms.toFixed(1)} ms after the answer`)
    const later = await accessFrom(b, session)
    expect(claimsOf(later)['rv']).toBeGreaterThanOrEqual(seq)
    expect(await isActive(a, later)).toBe(true)
  })

  test('a block written at one refuses at the other until it is lifted', async () => {
    const session = await sessionFor(a, { agent: 'blocked', user: 'bob' })
    await order(a, 'revocations', { dimension: 'agent', agent: 'blocked', block: true })
    const ask = (broker: BrokerProcess) =>
      broker.clientCredentials('blocked', { resource: `${fleet.issuer}/api`, scope: 'sessions' })
    const ms = await until(async () => (await ask(b)).body.error_reason === 'principal_blocked', FEED_MS_MAX)
    console.log(`block: known to the other broker ${ms.toFixed(1)} ms after the answer`)
    expect((await b.continue(session, {}, 'blocked')).status).toBe(400)
    const reopened = await b.exchange('blocked', {
      subject_token: b.idToken({ sub: 'bob', aud: 'blocked-at-idp', auth_time: b.now() }),
      subject_token_type: TYPE.id,
      requested_token_type: TYPE.session,
      authorization_details: JSON.stringify(INTENT),
    })
    expect(reopened.body).toMatchObject({ error: 'invalid_request', error_reason: 'principal_blocked' })
    await order(b, 'lifts', { kind: 'agent', id: 'blocked' })
    await until(async () => (await ask(a)).status === 200)
    // What was cut off stays cut off.
    expect((await a.continue(session, {}, 'blocked')).status).toBe(400)
  })
})

describe('a broker that cannot know', () => {
  test('one that was paused does not mint on what it knew before', async () => {
    const session = await sessionFor(a)
    const c = await fleet.start()
    const before = await accessFrom(c, session)
    for (const pausedMs of [300, 2_300, 1_200, 2_100, 2_100]) {
      c.pause()
      const killed = await order(a, 'revocations', { dimension: 'session_access', session: claimsOf(session)['sid'] })
      // They wait in its sockets and are read the moment it runs again.
      const waiting = Array.from({ length: 10 }, () => c.continue(session))
      await sleep(pausedMs)
      c.resume()
      for (const answer of await Promise.all(waiting)) {
        if (answer.status === 200) {
          const token = answer.body.access_token
          const knew = Number(claimsOf(token)['rv']) >= killed.body.revoked.seq
          // Beyond the bound nothing is decided on an old view; within it, what was so decided is born dead.
          if (pausedMs > CUTOFF_STALENESS_MS_MAX) expect([pausedMs, knew]).toEqual([pausedMs, true])
          expect([pausedMs, knew, await isActive(a, token)]).toEqual([pausedMs, knew, knew])
        } else {
          expect(answer.status, JSON.stringify(answer.body)).toBe(503)
          expect(answer.body).toMatchObject({ error: 'temporarily_unavailable' })
          // A call to the store that was under way when it was paused is over its deadline, and the store taken for away.
          expect(['cutoffs_stale', 'store_unavailable']).toContain(answer.body.error_reason)
          expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
        }
      }
      await until(async () => (await c.request('/readyz')).status === 200)
      expect(await isActive(c, before)).toBe(false)
      // Ready is whoever has confirmed its view lately; what it has not heard of yet, it hears of within the feed's bound.
      await until(async () => isActive(c, await accessFrom(c, session)))
    }
    await c.stop()
  })

  test.each([3_000, -3_000])('one whose clock is %i ms off issues nothing, says so, and still revokes', async (ms) => {
    const session = await sessionFor(a)
    const access = await accessFrom(a, session)
    const c = await fleet.start({ clockOffsetMs: ms })
    expect((await c.request('/readyz')).status).toBe(503)
    expect((await c.request('/healthz')).status).toBe(200)
    const refused = [
      await c.open(),
      await c.continue(session),
      await c.delegate(session),
      await c.clientCredentials('orchestrator', { resource: `${fleet.issuer}/api` }),
      await c.introspect(access),
    ]
    for (const answer of refused) {
      expect(answer.status, JSON.stringify(answer.body)).toBe(503)
      expect(answer.body).toMatchObject({ error: 'temporarily_unavailable', error_reason: 'cutoffs_stale' })
    }
    expect((await patient(c).revoke(session)).body.revoked.sessions).toEqual([claimsOf(session)['sid']])
    expect(await isActive(a, access)).toBe(false)
    await c.stop()
  })

  test('one that is started later knows every cut-off and block from its first answer', async () => {
    const session = await sessionFor(a)
    const cutAccess = await accessFrom(a, session)
    const lateSession = await sessionFor(a, { agent: 'late', user: 'late-user' })
    const ofLate = await accessFrom(a, lateSession, 'late')
    await order(a, 'revocations', { dimension: 'session_access', session: claimsOf(session)['sid'] })
    await order(b, 'revocations', { dimension: 'agent', agent: 'late', block: true })
    const c = await fleet.start()
    expect(await isActive(c, cutAccess)).toBe(false)
    expect(await isActive(c, ofLate)).toBe(false)
    expect((await patient(c).continue(lateSession, {}, 'late')).status).toBe(400)
    const blocked = await patient(c).clientCredentials('late', { resource: `${fleet.issuer}/api` })
    expect(blocked.body.error_reason).toBe('principal_blocked')
    expect(await isActive(c, await accessFrom(c, session))).toBe(true)
    await c.stop()
  })
})

test('a broker killed with SIGKILL in the middle of its work loses no revocation it acknowledged', async () => {
  for (let round = 0, tries = 0; round < 3; round += 1, tries += 1) {
    const c = await fleet.start()
    const sessions = await Promise.all(Array.from({ length: 24 }, () => sessionFor(c, { user: 'killed' })))
    const tokens = await Promise.all(sessions.map((session) => accessFrom(c, session)))
    const idle = sessions.pop() ?? ''
    const kept = tokens.pop() ?? ''
    const acknowledged: number[] = []
    let running = true
    const load = Array.from({ length: 4 }, async () => {
      while (running) await c.continue(idle).catch(() => undefined)
    })
    const revokes = sessions.map(async (session, at) => {
      await sleep(at * 8)
      // Half of them whole sessions, half of them single tokens.
      const answer = await c.revoke(at % 2 === 0 ? session : (tokens[at] ?? '')).catch(() => undefined)
      if (answer?.status === 200) acknowledged.push(at)
      if (acknowledged.length === 8 + round) await c.kill()
    })
    await Promise.all(revokes)
    running = false
    await Promise.all(load)
    // Killed with some acknowledged and some not: otherwise nothing was tested, and it is done once more.
    expect(acknowledged.length).toBeGreaterThanOrEqual(8)
    expect(tries).toBeLessThan(20)
    if (acknowledged.length === sessions.length) round -= 1
    for (const at of acknowledged) expect([at, await isActive(a, tokens[at] ?? '')]).toEqual([at, false])
    expect(await isActive(b, kept)).toBe(true)
    // Unknown means: ask again. Nothing half-done stands in the way.
    for (const [at, session] of sessions.entries()) expect([at, (await b.revoke(session)).status]).toEqual([at, 200])
    for (const token of tokens) expect(await isActive(a, token)).toBe(false)
  }
})

test('a broker that is told to stop answers what it has begun, then ends, also for clients that ask on', async () => {
  const session = await sessionFor(a)
  for (let tries = 1; ; tries += 1) {
    const statuses = await stopInTheMiddle(session)
    for (const status of statuses) expect([200, 503]).toContain(status)
    // What a busy machine holds up for longer than it was to be is answered, too, and begun once more.
    if (statuses.includes(503) && tries < 10) continue
    expect(statuses).toEqual([200, 200, 200, 200, 200])
    return
  }
})

async function stopInTheMiddle(session: string): Promise<readonly number[]> {
  const c = await fleet.start()
  await accessFrom(c, session)
  let asking = true
  let answered = 0
  const busy = Array.from({ length: 4 }, async () => {
    while (asking) {
      const alive = await c.request('/healthz').catch(() => undefined)
      if (alive?.status === 200) answered += 1
    }
  })
  await until(async () => answered > 20)
  // Holds these up in the middle of their work.
  redis.pause()
  const asked = Array.from({ length: 5 }, () => c.continue(session, { resource: SLACK }))
  await sleep(100)
  const begun = performance.now()
  const stopped = c.stop()
  await sleep(50)
  redis.resume()
  const statuses = (await Promise.all(asked)).map((answer) => answer.status)
  expect(await stopped).toBe(0)
  // Not the keep-alive time of whoever asked last, nor the grace for requests that do not end.
  expect(performance.now() - begun).toBeLessThan(3_000)
  asking = false
  await Promise.all(busy)
  await expect(c.request('/healthz')).rejects.toThrow()
  return statuses
}
