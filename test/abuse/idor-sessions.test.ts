/**
 * Guessing and borrowing names of sessions and nodes (H87): to everybody else a session does not exist, in the same words,
 * whether it is there or not.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Claims, granted, managementToken, openDeep, type Walk, walk } from '../support/hops.ts'
import { type Answer, startWorld, type World } from '../support/world.ts'

let world: World
let hops: Walk
let others: Claims
beforeAll(async () => {
  world = await startWorld()
  hops = await walk(world)
  others = (await granted(world.open({ subject_token: world.idToken({ sub: 'bob' }) }))).claims
})
afterAll(() => world.close())

const ABSENT = 'ses_AAAAAAAAAAAAAAAAAAAAAA'
const paths = (sid: string) => [`/sessions/${sid}`, `/sessions/${sid}/nodes/${hops.root.claims.anc[0]}`]
/** Everything of an answer but what is its own: the decision's id. */
const shape = ({ status, headers, body }: Answer) => {
  const { decision_id: _own, ...rest } = body
  return { status, type: headers.get('content-type'), rest }
}

describe('a session that is not yours is not there', () => {
  const callers: readonly (readonly [string, () => Promise<string>])[] = [
    ['another user', async () => world.userToken('bob')],
    ['an agent that takes no part in it', () => world.apiToken('orchestrator-twin')],
    ['a sub-agent of another session', () => world.apiToken('orchestrator-twin')],
  ]

  test.each(callers)('%s gets the same 404 for it as for one that never was', async (_who, token) => {
    const bearer = await token()
    for (const [index, path] of paths(hops.root.claims.sid).entries()) {
      const absent = paths(ABSENT)[index] ?? ''
      for (const method of index === 0 ? ['GET', 'DELETE'] : ['DELETE']) {
        const answers = [await world.bearer(path, bearer, method), await world.bearer(absent, bearer, method)]
        expect(answers[0]?.status).toBe(404)
        expect(shape(answers[0] as Answer)).toEqual(shape(answers[1] as Answer))
      }
    }
    expect((await world.introspect(hops.access.token)).body.active).toBe(true)
  })

  test('lists hold what is one’s own and nothing else', async () => {
    const listed = async (token: string) =>
      (await world.bearer('/sessions', token)).body.sessions.map(({ session }: Claims) => session)
    expect(await listed(world.userToken('bob'))).toEqual([others.sid])
    expect(await listed(await world.apiToken('orchestrator-twin'))).toEqual([])
    expect(await listed(await world.apiToken('scribe'))).toEqual([hops.root.claims.sid])
    expect((await listed(world.userToken())).includes(others.sid)).toBe(false)
  })

  test('strange names are absent names', async () => {
    const bearer = await world.apiToken()
    for (const name of ['..', '%2e%2e', '*', '%00', 'ses_', 'a'.repeat(5_000), 'n%3Ax', '%F0%9F%98%80', 'state']) {
      const answer = await world.bearer(`/sessions/${name}`, bearer)
      expect([answer.status >= 400 && answer.status < 500, answer.body.session], name.slice(0, 10)).toEqual([
        true,
        undefined,
      ])
    }
  })
})

describe('a participant sees and ends what hangs below it, and nothing above or beside', () => {
  test('its view is its own subtree', async () => {
    const seen = async (client: string) =>
      (await world.bearer(`/sessions/${hops.root.claims.sid}`, await world.apiToken(client))).body.tree.map(
        ({ agent }: Claims) => agent,
      )
    expect(await seen('orchestrator')).toEqual(['orchestrator', 'researcher', 'scribe'])
    expect(await seen('researcher')).toEqual(['researcher', 'scribe'])
    expect(await seen('scribe')).toEqual(['scribe'])
  })

  test.each([
    ['the root', () => hops.root.claims.anc[0]],
    ['the node above it', () => hops.toResearcher.claims.jti],
    ['a node that is not there', () => 'jti_AAAAAAAAAAAAAAAAAAAAAA'],
    ['a token of its own, which is no node', () => hops.access.claims.jti],
  ])('the scribe cannot end %s', async (_what, node) => {
    const path = `/sessions/${hops.root.claims.sid}/nodes/${node()}`
    const answer = await world.bearer(path, await world.apiToken('scribe'), 'DELETE')
    expect([answer.status, answer.body.error]).toEqual([404, 'not_found'])
    expect((await world.introspect(hops.access.token)).body.active).toBe(true)
  })

  test('a node of one session cannot be ended under the name of another', async () => {
    const own = await openDeep(world)
    const path = `/sessions/${own.claims.sid}/nodes/${hops.toResearcher.claims.jti}`
    expect((await world.bearer(path, await world.apiToken(), 'DELETE')).status).toBe(404)
    expect((await world.bearer(path, world.userToken(), 'DELETE')).status).toBe(404)
    const order = { dimension: 'node', session: own.claims.sid, node: hops.toResearcher.claims.jti }
    const answer = await world.bearer('/admin/v1/revocations', await managementToken(world), 'POST', order)
    expect(answer.status).toBe(404)
    expect((await world.introspect(hops.access.token)).body.active).toBe(true)
  })
})

test('the API has no users’ tokens of agents and no services without the scope', async () => {
  const service = await world.clientCredentials('warehouse-server', { resource: `${world.issuer}/api` })
  expect(service.body.scope).toBe('revocations')
  const answer = await world.bearer('/sessions', service.body.access_token)
  expect([answer.status, answer.body.error]).toEqual([403, 'insufficient_scope'])
  expect(
    (await world.clientCredentials('warehouse-server', { resource: `${world.issuer}/api`, scope: 'sessions' })).status,
  ).toBe(400)
})
