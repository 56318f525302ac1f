import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { granted, kill, lift, refused } from '../../support/hops.ts'
import { claimsOf, DELEGATED, INTENT, startWorld, WAREHOUSE, type World } from '../../support/world.ts'
import { failing } from '../sessions/faults.ts'

let world: World
beforeEach(async () => {
  world = await startWorld()
})
afterEach(() => world.close())

const ALICE = 'user:corp:alice'
const sidOf = (token: string) => String(claimsOf(token)['sid'])
const settled = () => world.broker.store.indexes.add('settled', 'settled', world.clock.nowMs() + 1_000)

describe('one session of two is revoked by its user', () => {
  test('the report names both, because both are dead, and neither is listed as active', async () => {
    const first = await granted(world.open())
    const second = await granted(world.open({ subject_token: world.idToken({ jti: 'another' }) }))
    await settled()
    const answer = await world.bearer(`/sessions/${sidOf(first.token)}`, world.userToken(), 'DELETE')
    expect([...answer.body.revoked.sessions].sort()).toEqual([sidOf(first.token), sidOf(second.token)].sort())
    expect((await world.continue(second.token)).body.error_reason).toBe('session_not_issuing')
    const { body } = await world.bearer('/sessions', world.userToken())
    expect(body.sessions.map(({ state }: { state: string }) => state)).toEqual(['revoked', 'revoked'])
  })

  test('a hop that a user ends takes the same agent out of the user’s other sessions, and leaves the rest of them', async () => {
    const sessions = [
      await granted(world.open()),
      await granted(world.open({ subject_token: world.idToken({ jti: 'b' }) })),
    ]
    const hops = []
    for (const { token } of sessions) {
      const delegated = await granted(world.delegate(token, { authorization_details: JSON.stringify(DELEGATED) }))
      hops.push(await granted(world.accept(delegated.token)))
    }
    await settled()
    const node = hops[0]?.claims['anc'].at(-1)
    const path = `/sessions/${sidOf(sessions[0]?.token ?? '')}/nodes/${node}`
    const answer = await world.bearer(path, world.userToken(), 'DELETE')
    expect(answer.body.revoked.hops.map(({ agent }: { agent: string }) => agent)).toEqual(['researcher', 'researcher'])
    for (const { token } of hops) expect((await world.continue(token, {}, 'researcher')).status).toBe(400)
    for (const { token } of sessions) expect((await world.continue(token)).status).toBe(200)
  })
})

describe('a kill whose lists or records cannot be read has still happened, and says so', () => {
  test.each([
    ['agent', { dimension: 'agent', agent: 'orchestrator' }],
    ['user', { dimension: 'user', user: ALICE }],
    ['user and agent', { dimension: 'user_agent', user: ALICE, agent: 'orchestrator' }],
  ])('%s, the list away', async (_name, order) => {
    const session = await granted(world.open())
    const fault = failing(world.broker.store.indexes, 'list', {})
    const answer = await kill(world, order)
    fault.heal()
    expect(answer).toMatchObject({ sessions: [], truncated: true })
    expect((await world.continue(session.token)).body.error_reason).toBe('subject_token_revoked')
  })

  test('the record of a session away: it is named as unreached, and dead', async () => {
    const session = await granted(world.open())
    await settled()
    const fault = failing(world.broker.store.sessions, 'readAll', {})
    const byAgent = await kill(world, { dimension: 'agent', agent: 'orchestrator' })
    const byName = await kill(world, { dimension: 'session', session: sidOf(session.token) })
    fault.heal()
    for (const report of [byAgent, byName]) expect(report['unreached']).toEqual([sidOf(session.token)])
    expect((await world.continue(session.token)).status).toBe(400)
  })
})

test('lifting the block of an agent’s own work brings no token of before back', async () => {
  const details = JSON.stringify([{ type: 'agent_intent', purpose: 'Nightly figures' }, INTENT[1]])
  const ask = () => world.clientCredentials('orchestrator', { resource: WAREHOUSE, authorization_details: details })
  const [first, second] = [await granted(ask()), await granted(ask())]
  await kill(world, { dimension: 'session', session: sidOf(first.token) })
  await refused(world, ask, { status: 400, error: 'invalid_request', reason: 'principal_blocked' })
  await lift(world, { kind: 'pair', id: 'agent:orchestrator|orchestrator' })
  expect((await world.introspect(second.token)).body).toEqual({ active: false })
  expect((await world.introspect((await granted(ask())).token)).body.active).toBe(true)
})
