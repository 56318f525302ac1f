/**
 * An agent ends its own session and cuts off its own sub-agents with its own credentials, and nobody else's (H87): by node or by
 * client id, over the sessions API and at the revocation endpoint. What does not hang below it does not exist for it.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Grant, granted, openDeep, refused, type Walk, walk } from '../support/hops.ts'
import { invalidRequest } from '../support/refusal.ts'
import { startWorld, type World } from '../support/world.ts'

let world: World
let hops: Walk
let session: string
beforeEach(async () => {
  world = await startWorld()
  hops = await walk(world)
  session = hops.root.claims.sid
})
afterEach(() => world.close())

const isActive = async ({ token }: Grant) => (await world.introspect(token)).body.active === true
const cutOff = async (agent: string, by: string, of = session) =>
  world.bearer(`/sessions/${of}/agents/${agent}`, await world.apiToken(by), 'DELETE')
const agentsOf = (report: { hops: readonly { agent: string }[] }) => report.hops.map(({ agent }) => agent)

describe('a sub-agent by its client id', () => {
  test('dies with all below it, by the root agent; what is above and beside lives', async () => {
    const own = await granted(world.continue(hops.root.token))
    const other = await openDeep(world)
    const answer = await cutOff('researcher', 'orchestrator')
    expect(agentsOf(answer.body.revoked)).toEqual(['researcher', 'scribe'])
    expect(answer.body.revoked.sessions).toEqual([])
    expect([await isActive(hops.access), await isActive(own)]).toEqual([false, true])
    await refused(world, () => world.continue(hops.researcher.token, {}, 'researcher'), invalidRequest('node_revoked'))
    await granted(world.continue(hops.root.token))
    await granted(world.accept((await granted(world.delegate(other.token))).token))
    // Its own: it may think better of it, and pass on anew.
    await granted(world.accept((await granted(world.delegate(hops.root.token))).token))
  })

  test('dies by an agent in between, which reaches its own subtree alone', async () => {
    const beside = await granted(world.accept((await granted(world.delegate(hops.root.token))).token))
    const answer = await cutOff('scribe', 'researcher')
    expect(agentsOf(answer.body.revoked)).toEqual(['scribe'])
    expect(await isActive(hops.access)).toBe(false)
    await granted(world.continue(hops.researcher.token, {}, 'researcher'))
    await granted(world.continue(beside.token, {}, 'researcher'))
  })

  test('may be cut off before it has accepted', async () => {
    const pending = await granted(world.delegate(hops.root.token))
    const answer = await cutOff('researcher', 'orchestrator')
    expect(answer.body.revoked.hops.some(({ pending: is }: { pending?: true }) => is === true)).toBe(true)
    await refused(world, () => world.accept(pending.token), invalidRequest('node_revoked'))
  })

  test('is cut off by the user with no way round for it in their name', async () => {
    const other = await openDeep(world)
    const answer = await world.bearer(`/sessions/${session}/agents/researcher`, world.userToken(), 'DELETE')
    expect(answer.status).toBe(200)
    await refused(world, () => world.delegate(other.token), invalidRequest('principal_blocked'))
  })

  test.each([
    ['the agent above it', 'orchestrator', 'researcher'],
    ['the agent that passed it on', 'researcher', 'scribe'],
    ['itself', 'scribe', 'scribe'],
    ['an agent that is nowhere below', 'orchestrator-twin', 'orchestrator'],
    ['anybody, by one that has no part in it', 'researcher', 'orchestrator-twin'],
    ['nobody', 'no-such-agent', 'orchestrator'],
    ['a name with another in it', 'researcher%2F..%2F..', 'orchestrator'],
  ])('cannot be used to end %s', async (_whom, agent, by) => {
    const answer = await cutOff(agent, by)
    const absent = await cutOff(agent, by, 'ses_AAAAAAAAAAAAAAAAAAAAAA')
    const { decision_id: _one, ...said } = answer.body
    const { decision_id: _other, ...saidOfNothing } = absent.body
    expect([answer.status, said]).toEqual([404, saidOfNothing])
    expect(await isActive(hops.access)).toBe(true)
    await granted(world.continue(hops.root.token))
  })

  test('of another session is not ended under the name of this one', async () => {
    const others = await granted(world.open({ subject_token: world.idToken({ sub: 'bob' }) }))
    expect((await cutOff('researcher', 'orchestrator', others.claims.sid)).status).toBe(404)
    expect(
      (await world.bearer(`/sessions/${session}/agents/researcher`, world.userToken('bob'), 'DELETE')).status,
    ).toBe(404)
    expect(await isActive(hops.access)).toBe(true)
  })
})

describe('at the revocation endpoint, with its own session token', () => {
  const part = (token: string, by: string, params: Record<string, string>) => world.revoke(token, by, params)

  test('a sub-agent, or a hop below, dies and the token lives', async () => {
    const first = await part(hops.root.token, 'orchestrator', { sub_agent: 'scribe' })
    expect(agentsOf(first.body.revoked)).toEqual(['scribe'])
    expect(await isActive(hops.access)).toBe(false)
    const second = await part(hops.root.token, 'orchestrator', { node: hops.toResearcher.claims.jti })
    expect(agentsOf(second.body.revoked)).toEqual(['researcher', 'scribe'])
    await granted(world.continue(hops.root.token))
  })

  test.each<[string, (walked: Walk) => [string, string, Record<string, string>]]>([
    ['the hop above', ({ researcher, root }) => [researcher.token, 'researcher', { node: root.claims.anc[0] }]],
    [
      'its own hop, which it has no name for',
      ({ researcher }) => [researcher.token, 'researcher', { sub_agent: 'researcher' }],
    ],
    ['the agent above', ({ scribe }) => [scribe.token, 'scribe', { sub_agent: 'researcher' }]],
    ['a name of nobody', ({ root }) => [root.token, 'orchestrator', { sub_agent: 'reseacher' }]],
  ])('%s is not below it: refused, and nothing dies', async (_what, made) => {
    const [token, by, params] = made(hops)
    const answer = await part(token, by, params)
    expect([answer.status, answer.body.error]).toEqual([404, 'not_found'])
    expect(await isActive(hops.access)).toBe(true)
    await granted(world.continue(hops.root.token))
    await granted(world.continue(hops.researcher.token, {}, 'researcher'))
  })

  test('another’s session token ends nothing, whatever is named', async () => {
    const answer = await part(hops.root.token, 'researcher', { sub_agent: 'scribe' })
    expect(answer.status).toBe(400)
    expect(await isActive(hops.access)).toBe(true)
  })

  test('a part of what is no session token, or two parts, is refused', async () => {
    for (const [token, by, params] of [
      [hops.access.token, 'scribe', { node: 'x' }],
      [hops.toResearcher.token, 'orchestrator', { sub_agent: 'scribe' }],
      [hops.root.token, 'orchestrator', { sub_agent: 'scribe', node: 'x' }],
    ] as const) {
      const answer = await part(token, by, params)
      expect([answer.status, answer.body.error_reason]).toEqual([400, 'parameter_malformed'])
    }
    expect(await isActive(hops.access)).toBe(true)
  })
})
