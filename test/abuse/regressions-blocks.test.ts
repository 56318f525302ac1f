/**
 * Ways round a cut-off or a block that a review of the core found open, each walked again: as the delegate instead of the
 * opener, in the middle of a chain, with what was still pending, by opening again where nobody signs in, and by names that
 * only look like somebody's.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { StoreUnavailable } from '../../src/store/ports.ts'
import {
  type Claims,
  details,
  type Grant,
  granted,
  intent,
  kill,
  lift,
  managementToken,
  openDeep,
  order,
  refused,
  tools,
  walk,
} from '../support/hops.ts'
import { invalidRequest } from '../support/refusal.ts'
import { type Answer, startWorld, TYPE, WAREHOUSE, type World } from '../support/world.ts'

const ALICE = 'user:corp:alice'
const blocked = invalidRequest('principal_blocked')
const cutOff = invalidRequest('subject_token_revoked')

let world: World
beforeEach(async () => {
  world = await startWorld()
})
afterEach(() => world.close())

const activity = async (access: Grant): Promise<boolean> => (await world.introspect(access.token)).body.active

/** What can be delegated to the orchestrator by the researcher. */
const researcherFor = (claims: object = {}): Promise<Answer> =>
  world.exchange('researcher', {
    subject_token: world.idToken({ aud: 'researcher-at-idp', ...claims }),
    subject_token_type: TYPE.id,
    requested_token_type: TYPE.session,
    authorization_details: details(intent(), tools(WAREHOUSE, { query: { limit: { maximum: 50 } }, list_tables: {} })),
  })

const toOrchestrator = (from: Grant): Promise<Answer> =>
  world.delegate(
    from.token,
    {
      audience: 'orchestrator',
      authorization_details: details(intent(), tools(WAREHOUSE, { list_tables: {} })),
    },
    'researcher',
  )

/** The block alone: what stands after its cut-off has nothing left to kill, because everything was decided after it. */
async function blockPair(agent: string): Promise<void> {
  const { cutoffs, store } = world.broker
  const id = `${ALICE}|${agent}`
  await cutoffs.write(store.control, [{ entry: 'block', kind: 'pair', id, expiresAtMs: null }])
}

describe('an operator blocks an agent for one user, and the agent comes', () => {
  test('as the delegate of another agent: it is not even offered the delegation', async () => {
    const session = await openDeep(world)
    await kill(world, { dimension: 'user_agent', user: ALICE, agent: 'researcher', block: true })
    await refused(world, () => world.delegate(session.token), blocked)
    await granted(world.continue(session.token))
    const bobs = await openDeep(world, 2, { subject_token: world.idToken({ sub: 'bob' }) })
    await granted(world.accept((await granted(world.delegate(bobs.token))).token))
  })

  test('with a delegation that it was offered before, or has accepted', async () => {
    const session = await openDeep(world)
    const pending = await granted(world.delegate(session.token))
    const held = await granted(world.accept((await granted(world.delegate(session.token))).token))
    const access = await granted(world.continue(held.token, {}, 'researcher'))
    await blockPair('researcher')
    await refused(world, () => world.accept(pending.token), blocked)
    await refused(world, () => world.continue(held.token, {}, 'researcher'), blocked)
    expect(await activity(access)).toBe(false)
  })

  test('in the middle of a chain whose ends are welcome', async () => {
    const { root, scribe, access } = await walk(world)
    expect(await activity(access)).toBe(true)
    await blockPair('researcher')
    await refused(world, () => world.continue(scribe.token, {}, 'scribe'), blocked)
    expect(await activity(access)).toBe(false)
    await granted(world.continue(root.token))
  })

  test('as the delegator in the chain: what it had passed on goes no further', async () => {
    const { scribe, access } = await walk(world)
    await blockPair('orchestrator')
    await refused(world, () => world.continue(scribe.token, {}, 'scribe'), blocked)
    expect(await activity(access)).toBe(false)
  })

  test('and everything that the one order reaches is dead at introspection, until lifted and begun anew', async () => {
    const { root, access } = await walk(world)
    await kill(world, { dimension: 'user_agent', user: ALICE, agent: 'researcher', block: true })
    expect(await activity(access)).toBe(false)
    await refused(world, () => world.delegate(root.token), blocked)
    await lift(world, { kind: 'pair', id: `${ALICE}|researcher` })
    expect(await activity(access)).toBe(false)
    await granted(world.accept((await granted(world.delegate(root.token))).token))
  })
})

describe('the user has revoked an agent, and it comes back inside another agent’s session', () => {
  let revokedAt: number
  beforeEach(async () => {
    const { claims } = await openDeep(world)
    const answer = await world.bearer(`/sessions/${claims.sid}`, world.userToken(), 'DELETE')
    expect(answer.status, JSON.stringify(answer.body)).toBe(200)
    revokedAt = world.now()
    await world.advance(180)
  })

  test.each([-10, 0, 60])('that was opened with a sign-in of the revoke %d s: refused', async (seconds) => {
    const other = await granted(researcherFor({ auth_time: revokedAt + seconds }))
    await refused(world, () => toOrchestrator(other), blocked)
  })

  test('that was opened with a sign-in later than the margin: the user wants it again', async () => {
    const other = await granted(researcherFor({ auth_time: revokedAt + 61 }))
    const held = await granted(world.accept((await granted(toOrchestrator(other))).token, {}, 'orchestrator'))
    expect(await activity(await granted(world.continue(held.token)))).toBe(true)
  })

  test('that was opened newly, after an operator blocked the pair for good: no sign-in passes that', async () => {
    await kill(world, { dimension: 'user_agent', user: ALICE, agent: 'orchestrator', block: true })
    await world.advance(120)
    const other = await granted(researcherFor({ auth_time: world.now() }))
    await refused(world, () => toOrchestrator(other), blocked)
  })
})

describe('a delegation is pending while its delegate is cut off', () => {
  let session: Grant
  let pending: Grant
  beforeEach(async () => {
    session = await openDeep(world)
    pending = await granted(world.delegate(session.token))
  })

  const orders = [
    { dimension: 'agent', agent: 'researcher', block: false },
    { dimension: 'agent', agent: 'researcher', block: true },
    { dimension: 'user_agent', user: ALICE, agent: 'researcher', block: false },
    { dimension: 'user_agent', user: ALICE, agent: 'researcher', block: true },
  ] as const

  test.each(orders)('$dimension (block: $block): the report names it, and nobody can accept it', async (wanted) => {
    const report = await kill(world, wanted)
    expect(report.hops).toEqual([
      {
        session: session.claims.sid,
        node: pending.claims.jti,
        agent: 'researcher',
        depth: 1,
        tokens: 0,
        pending: true,
      },
    ])
    expect([report.sessions, report.unreached]).toEqual([[], []])
    await refused(world, () => world.accept(pending.token), invalidRequest('node_revoked'))
    await granted(world.continue(session.token))
  })

  test.each(
    orders,
  )('$dimension (block: $block): nor where its session’s record could not be marked', async (wanted) => {
    const { sessions } = world.broker.store
    const { commit } = sessions
    sessions.commit = async () => {
      throw new StoreUnavailable('the test has taken it away')
    }
    const report = await kill(world, wanted).finally(() => {
      sessions.commit = commit
    })
    expect(report.unreached).toEqual([session.claims.sid])
    await refused(world, () => world.accept(pending.token), cutOff)
    await refused(
      world,
      () => world.accept(pending.token, { requested_token_type: TYPE.access, resource: WAREHOUSE }),
      cutOff,
    )
    expect(report.hops.map((hop: Claims) => [hop.node, hop.pending])).toEqual([[pending.claims.jti, true]])
  })

  test('and is offered again at once: refused while the agent is blocked, in either dimension', async () => {
    await kill(world, { dimension: 'agent', agent: 'researcher', block: true })
    await refused(world, () => world.delegate(session.token), blocked)
    await lift(world, { kind: 'agent', id: 'researcher' })
    await granted(world.delegate(session.token))
    await kill(world, { dimension: 'user_agent', user: ALICE, agent: 'researcher', block: true })
    await refused(world, () => world.delegate(session.token), blocked)
  })
})

describe('an operator ends work that nobody signed in for, and the agent begins it again', () => {
  const alone = {
    resource: WAREHOUSE,
    authorization_details: details(intent(), tools(WAREHOUSE, { list_tables: {} })),
  }
  const again = () => world.clientCredentials('orchestrator', alone)
  const itself = { kind: 'pair', id: 'agent:orchestrator|orchestrator' }

  test.each([
    ['by the kill switch', (sid: string) => order(world, '/revocations', { dimension: 'session', session: sid })],
    [
      'by name',
      async (sid: string) => world.bearer(`/admin/v1/sessions/${sid}`, await managementToken(world), 'DELETE'),
    ],
  ] as const)('%s: refused until the operator lifts the block, however long it waits', async (_how, end) => {
    const [ended, other] = [await granted(again()), await granted(again())]
    const answer = await end(ended.claims.sid)
    expect(answer.status, JSON.stringify(answer.body)).toBe(200)
    await refused(world, again, blocked)
    for (const access of [ended, other]) expect(await activity(access)).toBe(false)
    await world.advance(7_200)
    await refused(world, again, blocked)
    await lift(world, itself)
    expect(await activity(await granted(again()))).toBe(true)
  })

  test('its work for users, other agents’ own work, and its API tokens go on', async () => {
    await order(world, '/revocations', { dimension: 'session', session: (await granted(again())).claims.sid })
    const session = await openDeep(world)
    expect(await activity(await granted(world.continue(session.token)))).toBe(true)
    await granted(world.clientCredentials('researcher', alone))
    const api = await world.apiToken()
    expect((await world.bearer(`/sessions/${session.claims.sid}`, api, 'DELETE')).status).toBe(200)
    await refused(world, again, blocked)
  })
})

describe('an order with a typing error does not look like a kill', () => {
  test.each([
    { dimension: 'user', user: 'alice', block: true },
    { dimension: 'user', user: 'user:corpp:alice', block: true },
    { dimension: 'user', user: 'user:corp:' },
    { dimension: 'user', user: 'agent:orchestrator' },
    { dimension: 'agent', agent: 'orchestratr', block: true },
    { dimension: 'agent', agent: 'agent:orchestrator', block: true },
    { dimension: 'user_agent', user: ALICE, agent: 'orchestratr', block: true },
    { dimension: 'user_agent', user: 'alice', agent: 'orchestrator', block: true },
    { dimension: 'session', session: 'nowhere' },
    { dimension: 'session_access', session: 'nowhere' },
    { dimension: 'node', session: 'nowhere', node: 'nowhere' },
  ])('kill %j', async (body) => {
    await expectNothingOrdered('/revocations', body)
  })

  test.each([
    { kind: 'user', id: ALICE },
    { kind: 'agent', id: 'researcher' },
    { kind: 'pair', id: 'alice|orchestrator' },
    { kind: 'evidence', id: 'nothing' },
  ])('lift %j: there is no such block', async (body) => {
    await kill(world, { dimension: 'agent', agent: 'scribe', block: true })
    await kill(world, { dimension: 'user_agent', user: ALICE, agent: 'scribe', block: true })
    await expectNothingOrdered('/lifts', body)
    await lift(world, { kind: 'agent', id: 'scribe' })
    await expectNothingOrdered('/lifts', { kind: 'agent', id: 'scribe' })
  })

  async function expectNothingOrdered(path: '/revocations' | '/lifts', body: unknown): Promise<void> {
    const before = await world.broker.store.control.snapshot()
    // Made before: one request is what is looked at.
    const token = await managementToken(world)
    const refusal = { status: 404, error: 'not_found', reason: 'not_found' } as const
    await refused(world, () => world.bearer(`/admin/v1${path}`, token, 'POST', body), refusal)
    const after = await world.broker.store.control.snapshot()
    expect([after.seq, after.entries]).toEqual([before.seq, before.entries])
  }
})
