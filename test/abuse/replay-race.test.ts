/** Single use under fire (H59): the same credential fifty times at once, and the winner's own retry. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { granted, openDeep } from '../support/hops.ts'
import { type Answer, startWorld, TYPE, WAREHOUSE, type World } from '../support/world.ts'

let world: World
beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world.close())

const FIFTY = 50
const atOnce = (request: (index: number) => Promise<Answer>) =>
  Promise.all(Array.from({ length: FIFTY }, (_, index) => request(index)))
const count = (answers: readonly Answer[], status: number) =>
  answers.filter((answer) => answer.status === status).length

test('one client assertion, fifty exchanges at once: exactly one token, and the rest are strangers', async () => {
  const client_assertion = world.assertion('orchestrator')
  const subjects = Array.from({ length: FIFTY }, (_, index) => world.idToken({ jti: `copy-${index}` }))
  const answers = await atOnce((index) => world.open({ client_assertion, subject_token: subjects[index] }))
  expect([count(answers, 200), count(answers, 401)]).toEqual([1, FIFTY - 1])
  expect(new Set(answers.filter(({ status }) => status === 401).map(({ body }) => body.error))).toEqual(
    new Set(['invalid_client']),
  )
})

test('one client assertion at five endpoints at once is good at one of them only', async () => {
  const { token } = await openDeep(world)
  const authentication = world.authentication('orchestrator')
  const answers = await Promise.all([
    world.open({ ...authentication }),
    world.continue(token, { ...authentication }),
    world.clientCredentials('orchestrator', { ...authentication, resource: `${world.issuer}/api` }),
    world.post('/introspect', { ...authentication, token }),
    world.post('/revoke', { ...authentication, token: 'x' }),
  ])
  expect(count(answers, 200)).toBe(1)
})

test('one actor token, fifty exchanges at once: exactly one token', async () => {
  const actor_token = world.assertion('orchestrator', {}, { typ: 'JWT' })
  const answers = await atOnce(() => world.open({ actor_token, actor_token_type: TYPE.jwt }))
  expect(count(answers, 200)).toBe(1)
})

test('one delegation, fifty acceptances at once, each rightly authenticated: exactly one node', async () => {
  const session = await openDeep(world)
  const { token, claims } = await granted(world.delegate(session.token))
  const answers = await atOnce(() => world.accept(token))
  expect([count(answers, 200), count(answers, 400)]).toEqual([1, FIFTY - 1])
  expect(new Set(answers.filter(({ status }) => status === 400).map(({ body }) => body.error_reason))).toEqual(
    new Set(['delegation_consumed']),
  )
  const tree = await world.bearer(`/sessions/${session.claims.sid}`, world.userToken())
  expect(tree.body.tree.map(({ node, state }: { node: string; state: string }) => [node, state])).toEqual([
    [session.claims.anc[0], 'live'],
    [claims.jti, 'live'],
  ])
})

test('one delegation accepted as session and as access token at once: exactly one of the two', async () => {
  const session = await openDeep(world)
  const { token } = await granted(world.delegate(session.token))
  const asAccess = { requested_token_type: TYPE.access, resource: WAREHOUSE }
  const answers = await atOnce((index) => world.accept(token, index % 2 === 0 ? {} : asAccess))
  expect(count(answers, 200)).toBe(1)
  const tree = await world.bearer(`/sessions/${session.claims.sid}`, world.userToken())
  const isAccess = answers.findIndex(({ status }) => status === 200) % 2 === 1
  expect(tree.body.tokens).toBe(isAccess ? 1 : 0)
})

test('fifty continuations at once with fifty assertions are fifty tokens, each counted', async () => {
  const session = await openDeep(world)
  const answers = await atOnce(() => world.continue(session.token))
  expect(count(answers, 200)).toBe(FIFTY)
  expect(new Set(answers.map(({ body }) => body.access_token)).size).toBe(FIFTY)
  const { body } = await world.revoke(session.token)
  expect(body.revoked.hops[0].tokens).toBe(FIFTY)
})

test('an assertion that was used up stays used up until its end and for the skew after it', async () => {
  const timed = await startWorld()
  try {
    const client_assertion = timed.assertion('orchestrator')
    await granted(timed.open({ client_assertion }))
    for (const seconds of [1, 58, 25, 10]) {
      await timed.advance(seconds)
      expect((await timed.open({ client_assertion })).status).toBe(401)
    }
  } finally {
    await timed.close()
  }
})
