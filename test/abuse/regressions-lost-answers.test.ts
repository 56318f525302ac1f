/**
 * The store does what it was told and its answer gets lost, or it was never told: whoever asked repeats the request and must
 * be able to tell. A delegation is good for one acceptance, so losing it to an answer that nobody heard is a denial of
 * service, and taking it twice would be worse (DESIGN §5: commits are idempotent by `jti`).
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { StoreUnavailable } from '../../src/store/ports.ts'
import { type Claims, type Grant, granted, openDeep, refused } from '../support/hops.ts'
import { invalidRequest } from '../support/refusal.ts'
import { type Answer, startWorld, TYPE, WAREHOUSE, type World } from '../support/world.ts'

const consumed = invalidRequest('delegation_consumed')

let world: World
let session: Grant
let delegation: Grant
let heal: () => void
beforeEach(async () => {
  world = await startWorld()
  session = await openDeep(world)
  delegation = await granted(world.delegate(session.token))
  heal = () => undefined
})
afterEach(async () => {
  heal()
  await world.close()
})

/** How one commit ends: carried out and its answer lost, or lost on the way there; `work` happens in between. */
type Loss = 'answer' | 'request'

/** The next commits end so, those after them as ever. Gives how many there were. */
function lose(losses: readonly Loss[], meanwhile: () => Promise<unknown> = async () => undefined): () => number {
  const { sessions } = world.broker.store
  const { commit } = sessions
  const left = [...losses]
  let seen = 0
  sessions.commit = async (wanted) => {
    seen += 1
    const loss = left.shift()
    if (loss === undefined) return commit.call(sessions, wanted)
    if (loss === 'answer') await commit.call(sessions, wanted)
    await meanwhile()
    throw new StoreUnavailable('the test has taken it away')
  }
  heal = () => {
    sessions.commit = commit
  }
  return () => seen
}

/** Every record of this one request, newest first. */
const recordsSince = async (before: ReadonlySet<string>): Promise<readonly (readonly string[])[]> =>
  (await world.audit(200)).filter(({ id }) => !before.has(id)).map(({ event, outcome }) => [event, outcome])

const known = async (): Promise<ReadonlySet<string>> => new Set((await world.audit(200)).map(({ id }) => id))

const tree = async (): Promise<readonly Claims[]> =>
  (await world.bearer(`/sessions/${session.claims.sid}`, world.userToken())).body.tree

/** Who holds how many tokens, and in which state. */
const hops = async () => (await tree()).map(({ agent, state, tokens }) => [agent, state, tokens])

function expectUnavailable({ status, headers, body }: Answer): void {
  expect([status, body.error, body.access_token]).toEqual([503, 'temporarily_unavailable', undefined])
  expect(Number(headers.get('retry-after'))).toBeGreaterThan(0)
}

const asAccess = { requested_token_type: TYPE.access, resource: WAREHOUSE }

describe('one answer is lost while a delegation is accepted', () => {
  test.each(['answer', 'request'] as const)('the %s: repeated, it succeeds, once', async (loss) => {
    const before = await known()
    const commits = lose([loss])
    const held = await granted(world.accept(delegation.token))
    expect(commits()).toBe(2)
    heal()
    expect(await recordsSince(before)).toEqual([['delegation.accept', 'granted']])
    expect(
      (await world.introspect((await granted(world.continue(held.token, {}, 'researcher'))).token)).body.active,
    ).toBe(true)
    await refused(world, () => world.accept(delegation.token), consumed)
    expect(await hops()).toEqual([
      ['orchestrator', 'live', 0],
      ['researcher', 'live', 1],
    ])
  })

  test('with an access token at once: counted once', async () => {
    const commits = lose(['answer'])
    const access = await granted(world.accept(delegation.token, asAccess))
    expect(commits()).toBe(2)
    heal()
    expect((await world.introspect(access.token)).body.active).toBe(true)
    expect(await hops()).toEqual([
      ['orchestrator', 'live', 0],
      ['researcher', 'live', 1],
    ])
  })

  test('another accepts it in between: the second is refused, and does not take the first one’s success for its own', async () => {
    const others: Answer[] = []
    const { sessions } = world.broker.store
    const { commit } = sessions
    lose(['request'], async () => {
      const failing = sessions.commit
      sessions.commit = commit
      others.push(await world.accept(delegation.token))
      sessions.commit = failing
    })
    const { status, body } = await world.accept(delegation.token)
    expect([status, body.error_reason, body.access_token]).toEqual([400, 'delegation_consumed', undefined])
    expect(others.map((answer) => answer.status)).toEqual([200])
    heal()
    expect(await hops()).toMatchObject([
      ['orchestrator', 'live', 0],
      ['researcher', 'live', 0],
    ])
  })

  test('the session is revoked in between: repeating it revives nothing', async () => {
    const { sessions } = world.broker.store
    const { commit } = sessions
    lose(['request'], async () => {
      const failing = sessions.commit
      sessions.commit = commit
      const ended = await world.bearer(`/sessions/${session.claims.sid}`, world.userToken(), 'DELETE')
      expect(ended.status).toBe(200)
      sessions.commit = failing
    })
    const { status, body } = await world.accept(delegation.token)
    expect([status, body.error_reason, body.access_token]).toEqual([400, 'session_not_issuing', undefined])
  })
})

describe('both answers are lost', () => {
  test.each([
    [['answer', 'answer'], true],
    [['answer', 'request'], true],
    [['request', 'answer'], true],
    [['request', 'request'], false],
  ] as const)('%j: nobody is told that it failed, and it happened once or not at all', async (losses, happened) => {
    const before = await known()
    const commits = lose(losses)
    const answer = await world.accept(delegation.token)
    expectUnavailable(answer)
    expect(commits()).toBe(2)
    heal()
    await world.broker.settleCommits()
    // That nobody knew, the commit's own record where it did happen, and how it ended, all under one id.
    const outcomes = happened ? ['undone', 'unfinished', 'granted'] : ['refused', 'unfinished']
    expect(await recordsSince(before)).toEqual(outcomes.map((outcome) => ['delegation.accept', outcome]))
    const records = (await world.audit(200)).filter(({ id }) => !before.has(id))
    expect(new Set(records.map(({ id }) => id))).toEqual(new Set([answer.body.decision_id]))
    // What nobody holds is dead, and what never happened has burnt nothing.
    if (happened) await refused(world, () => world.accept(delegation.token), invalidRequest('node_revoked'))
    else await granted(world.accept(delegation.token))
    expect(await hops()).toEqual([
      ['orchestrator', 'live', 0],
      ['researcher', happened ? 'revoked' : 'live', 0],
    ])
  })

  test('what became of it can be ended by the token of the delegation', async () => {
    lose(['answer', 'answer'])
    expectUnavailable(await world.accept(delegation.token))
    heal()
    const { status, body } = await world.revoke(delegation.token)
    expect([status, body.revoked?.hops.map((hop: Claims) => hop.agent)]).toEqual([200, ['researcher']])
    expect(await hops()).toEqual([
      ['orchestrator', 'live', 0],
      ['researcher', 'revoked', 0],
    ])
    await granted(world.delegate(session.token))
  })
})

describe('the other flows that issue', () => {
  const flows: readonly (readonly [string, () => Promise<Answer>])[] = [
    ['open', () => world.open()],
    ['continue', () => world.continue(session.token)],
    ['delegate', () => world.delegate(session.token)],
  ]

  test.each(flows)('%s: one lost answer costs nothing and counts nothing twice', async (_flow, request) => {
    const before = await known()
    const commits = lose(['answer'])
    await granted(request())
    expect(commits()).toBe(2)
    heal()
    expect((await recordsSince(before)).map(([, outcome]) => outcome)).toEqual(['granted'])
  })

  test('a leaf is counted once', async () => {
    lose(['answer'])
    await granted(world.continue(session.token))
    heal()
    expect((await hops())[0]).toEqual(['orchestrator', 'live', 1])
  })

  test.each(flows)('%s: two lost answers are a 503 that does not say it was refused', async (_flow, request) => {
    const before = await known()
    lose(['answer', 'answer'])
    expectUnavailable(await request())
    heal()
    await world.broker.settleCommits()
    expect((await recordsSince(before)).map(([, outcome]) => outcome)).toEqual(['undone', 'unfinished', 'granted'])
  })
})
