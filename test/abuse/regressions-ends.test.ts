/**
 * Ends that did not end everything, or said less than they did: a revoke under another name of the same session, a delegation
 * token revoked too late, one token revoked again and again, and revokes that a store failing in the middle held up.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { CLOCK_SKEW_S } from '../../src/kernel/limits.ts'
import { type Store, StoreUnavailable } from '../../src/store/ports.ts'
import {
  type Claims,
  details,
  type Grant,
  granted,
  intent,
  openDeep,
  order,
  refused,
  tools,
  walk,
} from '../support/hops.ts'
import { invalidRequest } from '../support/refusal.ts'
import { type Answer, startWorld, TYPE, WAREHOUSE, type World } from '../support/world.ts'

const blocked = invalidRequest('principal_blocked')
const ended = invalidRequest('session_not_issuing')

let world: World
beforeEach(async () => {
  world = await startWorld()
})
afterEach(() => world.close())

const activity = async (access: Grant): Promise<boolean> => (await world.introspect(access.token)).body.active

/** Ends something by name; gives the one record of it. */
async function end(path: string, bearer: string): Promise<Claims> {
  const answer = await world.bearer(path, bearer, 'DELETE')
  expect([answer.status, answer.body.audit], JSON.stringify(answer.body)).toEqual([200, 'recorded'])
  const [record] = await world.audit(1)
  expect(record.outcome).toBe('granted')
  return { report: answer.body.revoked, record }
}

const rootPath = ({ claims }: Grant) => `/sessions/${claims.sid}/nodes/${claims.anc[0]}`
const openWith = (evidence: string) => () => world.open({ subject_token: evidence })
/** Another token of the same sign-in. */
const sameSignIn = () => world.open({ subject_token: world.idToken({ jti: 'another' }) })

const researcherOpens = () =>
  world.exchange('researcher', {
    subject_token: world.idToken({ aud: 'researcher-at-idp' }),
    subject_token_type: TYPE.id,
    requested_token_type: TYPE.session,
    authorization_details: details(intent(), tools(WAREHOUSE, { query: { limit: { maximum: 50 } } })),
  })

describe('a user ends a session by the name of its root node, and the agent opens the next', () => {
  test('the session is revoked, its evidence and its agent’s access with it', async () => {
    const evidence = world.idToken()
    const session = await granted(world.open({ subject_token: evidence }))
    const other = await granted(sameSignIn())
    const access = await granted(world.continue(other.token))
    const { report, record } = await end(rootPath(session), world.userToken())
    // Both sessions of this agent for this user are dead, so both are named.
    expect([...report.sessions].sort()).toEqual([session.claims.sid, other.claims.sid].sort())
    expect(record).toMatchObject({ event: 'session.revoke', by: 'user:corp:alice', session: session.claims.sid })
    await refused(world, openWith(evidence), invalidRequest('evidence_blocked'))
    await refused(world, sameSignIn, blocked)
    await refused(world, () => world.continue(session.token), ended)
    expect(await activity(access)).toBe(false)
    const { body } = await world.bearer(`/sessions/${session.claims.sid}`, world.userToken())
    expect(body.state).toBe('revoked')
  })

  test('in the agent’s own hands the same order closes it, and no more', async () => {
    const evidence = world.idToken()
    const session = await granted(world.open({ subject_token: evidence }))
    const other = await granted(sameSignIn())
    const { report, record } = await end(rootPath(session), await world.apiToken())
    expect(report.sessions).toEqual([session.claims.sid])
    expect(record).toMatchObject({ event: 'session.close', by: 'agent:orchestrator', session: session.claims.sid })
    await refused(world, () => world.continue(session.token), ended)
    await granted(openWith(evidence)())
    await granted(world.continue(other.token))
    const { body } = await world.bearer(`/sessions/${session.claims.sid}`, world.userToken())
    expect(body.state).toBe('closed')
  })

  test('by the session’s own name, the records say who did which as well', async () => {
    const [one, two] = [await openDeep(world), await openDeep(world)]
    const byAgent = await end(`/sessions/${one.claims.sid}`, await world.apiToken())
    const byUser = await end(`/sessions/${two.claims.sid}`, world.userToken())
    expect([byAgent.record.event, byUser.record.event]).toEqual(['session.close', 'session.revoke'])
  })
})

describe('a user ends a part of a session, and its holder opens a session of its own for the user', () => {
  test('the holder is cut off for this user; the rest of the session, and other users’, go on', async () => {
    const { root, researcher, scribe, access } = await walk(world)
    const own = await granted(researcherOpens())
    const ownAccess = await granted(world.continue(own.token, {}, 'researcher'))
    const bobs = await openDeep(world, 2, { subject_token: world.idToken({ sub: 'bob' }) })
    const { report, record } = await end(
      `/sessions/${root.claims.sid}/nodes/${researcher.claims.anc.at(-1)}`,
      world.userToken(),
    )
    expect(report.sessions).toEqual([own.claims.sid])
    expect(report.hops.map((hop: Claims) => hop.agent)).toEqual(['researcher', 'scribe', 'researcher'])
    expect(record).toMatchObject({ event: 'session.revoke', by: 'user:corp:alice' })
    await refused(world, researcherOpens, blocked)
    await refused(world, () => world.continue(own.token, {}, 'researcher'), invalidRequest('session_not_issuing'))
    await refused(world, () => world.continue(scribe.token, {}, 'scribe'), invalidRequest('node_revoked'))
    await refused(world, () => world.delegate(root.token), blocked)
    for (const dead of [access, ownAccess]) expect(await activity(dead)).toBe(false)
    expect(await activity(await granted(world.continue(root.token)))).toBe(true)
    await granted(world.accept((await granted(world.delegate(bobs.token))).token))
  })

  test('a part that is only offered yet: the delegate is cut off before it has begun', async () => {
    const session = await openDeep(world)
    const pending = await granted(world.delegate(session.token))
    const { report } = await end(`/sessions/${session.claims.sid}/nodes/${pending.claims.jti}`, world.userToken())
    expect(report.hops).toMatchObject([{ node: pending.claims.jti, agent: 'researcher', pending: true }])
    await refused(world, () => world.accept(pending.token), invalidRequest('node_revoked'))
    await refused(world, researcherOpens, blocked)
  })

  test('in the hands of the agent above, the same order ends that part only', async () => {
    const { root, researcher, access } = await walk(world)
    await end(`/sessions/${root.claims.sid}/nodes/${researcher.claims.anc.at(-1)}`, await world.apiToken())
    expect(await activity(access)).toBe(false)
    await granted(researcherOpens())
    await granted(world.delegate(root.token))
  })
})

describe('a delegation token is revoked when nobody could accept it any more', () => {
  test.each([0, 121, 600])('%d seconds after it was made: the node it became is dead', async (seconds) => {
    const session = await openDeep(world)
    const delegation = await granted(world.delegate(session.token))
    const held = await granted(world.accept(delegation.token))
    const access = await granted(world.continue(held.token, {}, 'researcher'))
    await world.advance(seconds)
    const { status, body } = await world.revoke(delegation.token)
    expect([status, body.revoked?.hops]).toEqual([
      200,
      [{ session: session.claims.sid, node: delegation.claims.jti, agent: 'researcher', depth: 1, tokens: 1 }],
    ])
    await refused(world, () => world.continue(held.token, {}, 'researcher'), invalidRequest('node_revoked'))
    expect(await activity(access)).toBe(false)
    await granted(world.continue(session.token))
  })

  test('being late is for revoking alone: it is not accepted, and only its delegator revokes it', async () => {
    const session = await openDeep(world)
    const delegation = await granted(world.delegate(session.token))
    await world.advance(121)
    await refused(world, () => world.accept(delegation.token), invalidRequest('subject_token_expired'))
    const { status, body } = await world.revoke(delegation.token, 'researcher')
    expect([status, body.error_reason]).toEqual([400, 'token_of_another_client'])
  })
})

describe('one access token is revoked again and again', () => {
  test('one entry in the control slot, which ends with the token; its siblings live', async () => {
    const session = await openDeep(world)
    const [one, sibling] = [await granted(world.continue(session.token)), await granted(world.continue(session.token))]
    const { control } = world.broker.store
    const before = await control.snapshot()
    const first = await world.revoke(one.token)
    const again = await world.revoke(one.token)
    const third = await world.revoke(one.token)
    const { entries } = await control.snapshot()
    const added = entries.filter((entry) => !before.entries.some((known) => known.seq === entry.seq))
    expect(added).toEqual([
      {
        entry: 'cutoff',
        dimension: 'node',
        id: one.claims.jti,
        seq: first.body.revoked.seq,
        atMs: expect.any(Number),
        expiresAtMs: (one.claims.exp + CLOCK_SKEW_S) * 1000,
      },
    ])
    for (const { status, body } of [first, again, third]) {
      expect([status, body.revoked.seq]).toEqual([200, first.body.revoked.seq])
      expect(body.revoked.hops).toMatchObject([{ agent: 'orchestrator', tokens: 1 }])
    }
    expect([await activity(one), await activity(sibling)]).toEqual([false, true])
    await granted(world.continue(session.token))
  })

  test('once the token is over, nothing of it is kept, and revoking it is a success without a kill', async () => {
    const session = await openDeep(world)
    const access = await granted(world.continue(session.token))
    await world.revoke(access.token)
    const held = () => world.broker.cutoffs.set.entries().some(({ id }) => id === access.claims.jti)
    expect(held()).toBe(true)
    await world.advance(access.body.expires_in + CLOCK_SKEW_S + 1)
    expect(held()).toBe(false)
    const { seq } = await world.broker.store.control.snapshot()
    const { status, body } = await world.revoke(access.token)
    expect([status, body.revoked]).toEqual([200, undefined])
    expect((await world.broker.store.control.snapshot()).seq).toBe(seq)
  })
})

describe('the store fails in the middle of a revoke', () => {
  let session: Grant
  let held: Grant
  let access: Grant
  beforeEach(async () => {
    session = await openDeep(world)
    held = await granted(world.accept((await granted(world.delegate(session.token))).token))
    access = await granted(world.continue(held.token, {}, 'researcher'))
  })

  /** The operation fails so many times, then works as before. */
  function failing<P extends 'sessions' | 'claims' | 'audit'>(port: P, operation: keyof Store[P], times: number) {
    const part = world.broker.store[port] as unknown as Record<PropertyKey, (...given: unknown[]) => unknown>
    const works = part[operation]
    let left = times
    part[operation] = async (...given) => {
      left -= 1
      if (left >= 0) throw new StoreUnavailable('the test has taken it away')
      return works?.apply(part, given)
    }
    return { used: () => times - Math.max(0, left), heal: () => Reflect.set(part, operation, works) }
  }

  const ways: readonly (readonly [string, () => Promise<Answer>])[] = [
    ['the user', () => world.bearer(`/sessions/${session.claims.sid}`, world.userToken(), 'DELETE')],
    ['the user, by its root node', () => world.bearer(rootPath(session), world.userToken(), 'DELETE')],
    ['the agent, by its token', () => world.revoke(session.token)],
    ['an operator', () => order(world, '/revocations', { dimension: 'session', session: session.claims.sid })],
    ['an operator, by agent', () => order(world, '/revocations', { dimension: 'agent', agent: 'orchestrator' })],
  ]

  test.each(ways)('%s: a session that cannot be marked is said to be unreached, and is dead', async (_who, revoke) => {
    const commit = failing('sessions', 'commit', 1)
    const { status, body } = await revoke()
    expect([status, body.audit, body.revoked?.unreached]).toEqual([200, 'recorded', [session.claims.sid]])
    expect(body.revoked.sessions).toEqual([session.claims.sid])
    expect(body.revoked.hops.map((hop: Claims) => hop.agent)).toEqual(['orchestrator', 'researcher'])
    expect(commit.used()).toBe(1)
    const revoked = invalidRequest('subject_token_revoked')
    await refused(world, () => world.continue(session.token), revoked)
    await refused(world, () => world.delegate(session.token), revoked)
    await refused(world, () => world.continue(held.token, {}, 'researcher'), revoked)
    expect(await activity(access)).toBe(false)
  })

  test('repeating the revoke marks what was unreached', async () => {
    failing('sessions', 'commit', 1)
    expect((await world.revoke(session.token)).body.revoked.unreached).toEqual([session.claims.sid])
    expect((await world.revoke(session.token)).body.revoked.unreached).toEqual([])
    await refused(world, () => world.continue(session.token), ended)
  })

  test('one whose assertion cannot be claimed is carried out at /revoke, and nowhere else', async () => {
    const claims = failing('claims', 'claim', 3)
    const issuing = await world.continue(session.token)
    const asking = await world.introspect(access.token)
    expect([issuing.status, asking.status]).toEqual([503, 503])
    const { status, body } = await world.revoke(session.token)
    expect([status, body.revoked?.sessions, body.audit]).toEqual([200, [session.claims.sid], 'recorded'])
    expect(claims.used()).toBe(3)
    expect(await activity(access)).toBe(false)
  })

  test('a replayed assertion still revokes nothing while the store can tell', async () => {
    const used = world.authentication('orchestrator')
    expect((await world.post('/revoke', { ...used, token: 'nothing' })).status).toBe(200)
    const { status, body } = await world.post('/revoke', { ...used, token: session.token })
    expect([status, body.error]).toEqual([401, 'invalid_client'])
    expect(await activity(access)).toBe(true)
  })

  test.each(
    ways,
  )('%s: one that cannot be recorded is carried out, and recorded with the next flush', async (_who, revoke) => {
    await world.broker.flushAudit()
    const before = new Set((await world.audit(100)).map(({ id }) => id))
    const audit = failing('audit', 'append', Number.POSITIVE_INFINITY)
    const { status, body } = await revoke()
    expect([status, body.audit, body.revoked?.sessions]).toEqual([200, 'deferred', [session.claims.sid]])
    const added = async () => (await world.audit(100)).filter(({ id }) => !before.has(id))
    expect(await added()).toEqual([])
    audit.heal()
    // Overlapping, as a slow store makes them: none is lost, none is written twice.
    await Promise.all([world.broker.flushAudit(), world.broker.flushAudit()])
    expect(await added()).toMatchObject([{ outcome: 'granted' }])
    expect(await activity(access)).toBe(false)
  })

  test('all three at once: it is dead, and says what was missed', async () => {
    const claims = failing('claims', 'claim', 1)
    const commit = failing('sessions', 'commit', 1)
    const audit = failing('audit', 'append', 1)
    const { status, body } = await world.revoke(session.token)
    expect([status, body.audit, body.revoked?.unreached]).toEqual([200, 'deferred', [session.claims.sid]])
    expect([claims.used(), commit.used(), audit.used()]).toEqual([1, 1, 1])
    expect(await activity(access)).toBe(false)
  })
})
