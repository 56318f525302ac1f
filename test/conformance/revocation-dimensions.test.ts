/**
 * DESIGN §7, checklist J 99–102: one write in one dimension kills everything that was decided before it in that dimension,
 * and nothing beside it. Each test has something that must die and something that must live.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
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
import { invalidRequest, type Refusal } from '../support/refusal.ts'
import { INTENT, SLACK, startWorld, TYPE, WAREHOUSE, type World } from '../support/world.ts'

let world: World
beforeEach(async () => {
  world = await startWorld()
})
afterEach(() => world.close())

const isActive = async (token: string): Promise<boolean> => (await world.introspect(token)).body.active
const access = (session: Grant, agent = 'orchestrator') => granted(world.continue(session.token, {}, agent))
const revoked = invalidRequest('subject_token_revoked')
const blocked = invalidRequest('principal_blocked')

const bobs = () => granted(world.open({ subject_token: world.idToken({ sub: 'bob' }) }))
const researchers = (claims: object = {}) =>
  world.exchange('researcher', {
    subject_token: world.idToken({ aud: 'researcher-at-idp', ...claims }),
    subject_token_type: TYPE.id,
    requested_token_type: TYPE.session,
    authorization_details: details(
      intent({ max_depth: 1 }),
      tools(WAREHOUSE, { query: { limit: { maximum: 50 } }, list_tables: {} }),
    ),
  })

describe('the node', () => {
  test('kills what hangs below it; what is above and beside lives', async () => {
    const hops = await walk(world)
    const sibling = await granted(world.accept((await granted(world.delegate(hops.root.token))).token))
    const [own, beside] = [await access(hops.root), await access(sibling, 'researcher')]
    const order = { dimension: 'node', session: hops.root.claims.sid, node: hops.toResearcher.claims.jti }
    const report = await kill(world, order)
    expect(report.hops.map(({ agent }: { agent: string }) => agent)).toEqual(['researcher', 'scribe'])
    expect(await Promise.all([hops.access, own, beside].map(({ token }) => isActive(token)))).toEqual([
      false,
      true,
      true,
    ])
    await refused(world, () => world.continue(hops.scribe.token, {}, 'scribe'), invalidRequest('node_revoked'))
  })
})

describe('the session', () => {
  test('kills its whole tree and no other session', async () => {
    const [hops, other] = [await walk(world), await bobs()]
    const beside = await access(other)
    const report = await kill(world, { dimension: 'session', session: hops.root.claims.sid })
    expect(report.sessions).toEqual([hops.root.claims.sid])
    expect([await isActive(hops.access.token), await isActive(beside.token)]).toEqual([false, true])
    await refused(world, () => world.continue(hops.root.token), invalidRequest('session_not_issuing'))
  })

  test('session_access kills the access tokens alone: the session goes on and gives new ones', async () => {
    const hops = await walk(world)
    const before = [hops.access, await access(hops.root)]
    await kill(world, { dimension: 'session_access', session: hops.root.claims.sid })
    expect(await Promise.all(before.map(({ token }) => isActive(token)))).toEqual([false, false])
    const after = [await access(hops.scribe, 'scribe'), await access(hops.root)]
    expect(await Promise.all(after.map(({ token }) => isActive(token)))).toEqual([true, true])
  })
})

describe('the agent', () => {
  test('kills everything it holds for anybody, and lets those without it live', async () => {
    const [alices, others, sub] = [await openDeep(world), await bobs(), await granted(researchers())]
    const tokens = [await access(alices), await access(others), await access(sub, 'researcher')]
    await kill(world, { dimension: 'agent', agent: 'orchestrator' })
    expect(await Promise.all(tokens.map(({ token }) => isActive(token)))).toEqual([false, false, true])
    await refused(world, () => world.continue(alices.token), invalidRequest('session_not_issuing'))
    await granted(world.continue(sub.token, {}, 'researcher'))
  })

  test('kills what passes through it: an inner actor authorizes nothing and still counts', async () => {
    const hops = await walk(world)
    const own = await access(hops.root)
    await kill(world, { dimension: 'agent', agent: 'researcher' })
    expect([await isActive(hops.access.token), await isActive(own.token)]).toEqual([false, true])
    await refused(world, () => world.continue(hops.scribe.token, {}, 'scribe'), revokedOrDead)
    await refused(world, () => world.continue(hops.researcher.token, {}, 'researcher'), revokedOrDead)
    await granted(world.continue(hops.root.token))
  })

  test('kills a delegation that is on its way to it: the agent is not let in by what was decided before', async () => {
    const session = await openDeep(world)
    const { token } = await granted(world.delegate(session.token))
    await kill(world, { dimension: 'agent', agent: 'researcher' })
    await refused(world, () => world.accept(token), invalidRequest('node_revoked'))
    await granted(world.accept((await granted(world.delegate(session.token))).token))
  })

  test('kills that delegation by its number alone, where no list knew of it to mark it', async () => {
    const { indexes } = world.broker.store
    const { add } = indexes
    indexes.add = async () => undefined
    const { token } = await granted(world.delegate((await openDeep(world)).token))
    indexes.add = add
    await kill(world, { dimension: 'agent', agent: 'researcher' })
    await refused(world, () => world.accept(token), revoked)
  })

  test('kills its API token too', async () => {
    const api = await world.apiToken()
    await kill(world, { dimension: 'agent', agent: 'orchestrator' })
    const answer = await world.bearer('/sessions', api)
    expect([answer.status, answer.body.error]).toEqual([401, 'invalid_token'])
    expect((await world.bearer('/sessions', await world.apiToken())).status).toBe(200)
  })

  test('refuses evidence from before it, and takes evidence from a minute after it', async () => {
    await kill(world, { dimension: 'agent', agent: 'orchestrator' })
    await refused(world, () => world.open(), blocked)
    await world.advance(75)
    const now = world.now()
    await granted(world.open({ subject_token: world.idToken({ auth_time: now }) }))
  })

  const revokedOrDead = invalidRequest('node_revoked')
})

describe('the user', () => {
  test('kills everything on their behalf, through every agent, and nobody else’s', async () => {
    const [hops, sub, others] = [await walk(world), await granted(researchers()), await bobs()]
    const tokens = [hops.access, await access(sub, 'researcher'), await access(others)]
    await kill(world, { dimension: 'user', user: 'user:corp:alice' })
    expect(await Promise.all(tokens.map(({ token }) => isActive(token)))).toEqual([false, false, true])
    for (const request of [() => world.open(), () => researchers()]) await refused(world, request, blocked)
    await granted(world.open({ subject_token: world.idToken({ sub: 'bob' }) }))
  })

  test('kills a delegation on their behalf that nobody had accepted', async () => {
    const { token } = await granted(world.delegate((await openDeep(world)).token))
    await kill(world, { dimension: 'user', user: 'user:corp:alice' })
    await refused(world, () => world.accept(token), invalidRequest('session_not_issuing'))
  })

  test('leaves the work of agents for themselves alone', async () => {
    const alone = details(intent({ origin: { type: 'schedule' } }), tools(WAREHOUSE, { list_tables: {} }))
    const { token } = await granted(
      world.clientCredentials('orchestrator', { resource: WAREHOUSE, authorization_details: alone }),
    )
    await kill(world, { dimension: 'user', user: 'user:corp:alice' })
    expect(await isActive(token)).toBe(true)
  })
})

describe('the pair of user and agent', () => {
  const pair = { dimension: 'user_agent', user: 'user:corp:alice', agent: 'orchestrator' }

  test('kills what this agent does for this user, and neither the user’s other agents nor the agent’s other users', async () => {
    const [alices, sub, others] = [await openDeep(world), await granted(researchers()), await bobs()]
    const tokens = [await access(alices), await access(sub, 'researcher'), await access(others)]
    await kill(world, pair)
    expect(await Promise.all(tokens.map(({ token }) => isActive(token)))).toEqual([false, true, true])
    await refused(world, () => world.open(), blocked)
    await granted(bobs().then(({ token }) => world.continue(token)))
  })

  test('kills what the agent holds in a session that another agent opened for the user', async () => {
    const hops = await walk(world)
    const own = await access(hops.root)
    await kill(world, { ...pair, agent: 'researcher' })
    expect([await isActive(hops.access.token), await isActive(own.token)]).toEqual([false, true])
  })

  test('kills a delegation for the user that is on its way to the agent', async () => {
    const session = await openDeep(world)
    const { token } = await granted(world.delegate(session.token))
    await kill(world, { ...pair, agent: 'researcher' })
    await refused(world, () => world.accept(token), invalidRequest('node_revoked'))
  })
})

describe('a block stands until it is lifted', () => {
  test('a blocked agent gets nothing by any flow; lifting lets new work begin and revives nothing old', async () => {
    const session = await openDeep(world)
    const old = await access(session)
    await kill(world, { dimension: 'agent', agent: 'orchestrator', block: true })
    await world.advance(120)
    const later = () => world.open({ subject_token: world.idToken({ auth_time: world.now() }) })
    const api = () => world.clientCredentials('orchestrator', { resource: `${world.issuer}/api`, scope: 'sessions' })
    const alone = () =>
      world.clientCredentials('orchestrator', {
        resource: WAREHOUSE,
        authorization_details: details(intent({ origin: { type: 'schedule' } }), tools(WAREHOUSE, { list_tables: {} })),
      })
    for (const request of [later, api, alone]) await refused(world, request, blocked)
    await lift(world, { kind: 'agent', id: 'orchestrator' })
    await granted(later())
    await granted(alone())
    expect(await isActive(old.token)).toBe(false)
    await refused(world, () => world.continue(session.token), invalidRequest('session_not_issuing'))
  })

  test('a blocked sub-agent is given nothing and accepts nothing, until it is lifted', async () => {
    const session = await openDeep(world)
    const pending = await granted(world.delegate(session.token))
    await kill(world, { dimension: 'agent', agent: 'researcher', block: true })
    await refused(world, () => world.delegate(session.token), blocked)
    await refused(world, () => world.accept(pending.token), invalidRequest('node_revoked'))
    await lift(world, { kind: 'agent', id: 'researcher' })
    await granted(world.accept((await granted(world.delegate(session.token))).token))
  })

  test('a blocked user is refused with whatever evidence, until an operator lifts it', async () => {
    await kill(world, { dimension: 'user', user: 'user:corp:alice', block: true })
    await world.advance(120)
    const later = () => world.open({ subject_token: world.idToken({ auth_time: world.now() }) })
    await refused(world, later, blocked)
    await lift(world, { kind: 'user', id: 'user:corp:alice' })
    await granted(later())
  })

  test('a blocked pair is refused with whatever evidence, until an operator lifts it', async () => {
    await kill(world, { dimension: 'user_agent', user: 'user:corp:alice', agent: 'orchestrator', block: true })
    await world.advance(120)
    const later = () => world.open({ subject_token: world.idToken({ auth_time: world.now() }) })
    await refused(world, later, blocked)
    await granted(world.open({ subject_token: world.idToken({ sub: 'bob' }) }))
    await lift(world, { kind: 'pair', id: 'user:corp:alice|orchestrator' })
    await granted(later())
  })

  test('operators see what stands blocked; evidence that is blocked ends by itself and is not listed', async () => {
    const session = await openDeep(world)
    await kill(world, { dimension: 'session', session: session.claims.sid })
    await kill(world, { dimension: 'agent', agent: 'researcher', block: true })
    const { entries } = await world.broker.store.control.snapshot()
    expect(entries.some((entry) => entry.entry === 'block' && entry.kind === 'evidence')).toBe(true)
    const listed = (await world.bearer('/admin/v1/blocks', await managementToken(world))).body.blocks
    expect(listed.map(({ kind, id }: { kind: string; id: string }) => `${kind} ${id}`).sort()).toEqual([
      'agent researcher',
      'pair user:corp:alice|orchestrator',
    ])
  })

  test('a blocked pair is not got round by having another agent delegate', async () => {
    const session = await openDeep(world)
    await kill(world, { dimension: 'user_agent', user: 'user:corp:alice', agent: 'researcher', block: true })
    await refused(world, () => world.delegate(session.token), blocked)
    await granted(world.accept((await granted(world.delegate((await bobs()).token))).token))
  })
})

describe('numbers decide, not clocks and not lists', () => {
  test('of two cut-offs in one instant, the second kills what was issued between them', async () => {
    const session = await openDeep(world)
    const order = { dimension: 'session_access', session: session.claims.sid }
    const first = await kill(world, order)
    const between = await access(session)
    const second = await kill(world, order)
    const after = await access(session)
    expect([await isActive(between.token), await isActive(after.token)]).toEqual([false, true])
    expect(between.claims.rv).toBeGreaterThanOrEqual(first.seq)
    expect(between.claims.rv).toBeLessThan(second.seq)
  })

  test.each([
    ['the agent', { dimension: 'agent', agent: 'orchestrator' }],
    ['the user', { dimension: 'user', user: 'user:corp:alice' }],
    ['the pair', { dimension: 'user_agent', user: 'user:corp:alice', agent: 'orchestrator' }],
  ])('a session that no list knows of dies all the same by %s, though its record was never marked', async (_what, order) => {
    await kill(world, { dimension: 'session_access', session: (await bobs()).claims.sid })
    const { indexes } = world.broker.store
    const { add } = indexes
    indexes.add = async () => undefined
    const session = await openDeep(world)
    indexes.add = add
    const token = await access(session)
    const delegation = await granted(world.delegate(session.token))
    expect((await kill(world, order)).sessions).toEqual(order.dimension === 'agent' ? [expect.any(String)] : [])
    expect(await isActive(token.token)).toBe(false)
    await refused(world, () => world.continue(session.token), revoked)
    await refused(world, () => world.accept(delegation.token), revoked)
  })
})

describe('orders are decoded strictly', () => {
  const malformed: Refusal = invalidRequest('body_malformed')
  test.each([
    ['an unknown dimension', { dimension: 'everyone' }],
    ['an unknown member', { dimension: 'agent', agent: 'orchestrator', blok: true }],
    ['a missing member', { dimension: 'user_agent', user: 'user:corp:alice' }],
    ['an empty name', { dimension: 'user', user: '' }],
    ['a block that is no boolean', { dimension: 'agent', agent: 'orchestrator', block: 'yes' }],
    ['an array', [{ dimension: 'agent', agent: 'orchestrator' }]],
  ])('%s is refused and kills nothing', async (_what, body) => {
    const session = await openDeep(world)
    await refused(world, () => order(world, '/revocations', body), malformed)
    await granted(world.continue(session.token))
  })

  test.each([
    ['a session', { dimension: 'session', session: 'ses_none' }],
    ['a node', { dimension: 'node', session: 'ses_none', node: 'nod_none' }],
    ['an agent', { dimension: 'agent', agent: 'orchestartor' }],
  ])('%s that does not exist is said, not silently killed', async (_what, body) => {
    const absent: Refusal = { status: 404, error: 'not_found', reason: 'not_found' }
    await refused(world, () => order(world, '/revocations', body), absent)
  })
})

describe('a lift is about a block that stands', () => {
  test('one that names none is said to name none', async () => {
    const absent: Refusal = { status: 404, error: 'not_found', reason: 'not_found' }
    await refused(world, () => order(world, '/lifts', { kind: 'agent', id: 'orchestrator' }), absent)
  })
})

test('every kill and lift is recorded under the operator’s name, with its order', async () => {
  await kill(world, { dimension: 'user', user: 'user:corp:alice', block: true })
  await lift(world, { kind: 'user', id: 'user:corp:alice' })
  const [lifted, killed] = await world.audit(2)
  expect(killed).toMatchObject({ event: 'control.write', by: 'operator:ops', outcome: 'granted' })
  expect(killed.detail).toContain('"user:corp:alice"')
  expect(lifted).toMatchObject({ event: 'control.write', by: 'operator:ops' })
})

test('a token for one resource is not spared because it is for another: a session is cut as one', async () => {
  const session = await granted(world.open({ authorization_details: JSON.stringify(INTENT) }))
  const slack = await granted(world.continue(session.token, { resource: SLACK }))
  await kill(world, { dimension: 'session', session: session.claims.sid })
  expect((await world.introspect(slack.token, 'slack-server')).body).toEqual({ active: false })
})
