/** Going on with what was closed, and choosing beforehand which session one will be in: neither is the caller's to do. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { granted, openDeep, refused, type Walk, walk } from '../support/hops.ts'
import { invalidRequest } from '../support/refusal.ts'
import { SLACK, startWorld, TYPE, WAREHOUSE, type World } from '../support/world.ts'

let world: World
beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world.close())

describe('a closed session', () => {
  let hops: Walk
  let pending: string
  beforeAll(async () => {
    hops = await walk(world)
    pending = (await granted(world.delegate(hops.root.token))).token
    const closed = await world.bearer(`/sessions/${hops.root.claims.sid}`, await world.apiToken(), 'DELETE')
    expect(closed.body.revoked.hops).toHaveLength(4)
  })

  const over = invalidRequest('session_not_issuing')
  const doors: readonly (readonly [string, () => ReturnType<World['open']>])[] = [
    ['the root continues', () => world.continue(hops.root.token)],
    ['the root continues elsewhere', () => world.continue(hops.root.token, { resource: SLACK })],
    ['the root delegates', () => world.delegate(hops.root.token)],
    ['a delegation of before is accepted', () => world.accept(pending)],
    [
      'it is accepted as an access token',
      () => world.accept(pending, { requested_token_type: TYPE.access, resource: WAREHOUSE }),
    ],
    ['an accepted delegation is accepted again', () => world.accept(hops.toResearcher.token)],
    ['a sub-agent continues', () => world.continue(hops.researcher.token, {}, 'researcher')],
    ['a sub-agent delegates', () => world.delegate(hops.researcher.token, { audience: 'scribe' }, 'researcher')],
    ['the last of the chain continues', () => world.continue(hops.scribe.token, {}, 'scribe')],
  ]
  test.each(doors)('gives nothing when %s', async (_what, request) => {
    await refused(world, request, over)
  })

  test('has no active token left, and is shown as closed, with its tree as it was', async () => {
    expect((await world.introspect(hops.access.token)).body).toEqual({ active: false })
    const seen = await world.bearer(`/sessions/${hops.root.claims.sid}`, await world.apiToken())
    expect([seen.body.state, seen.body.tree.length]).toEqual(['closed', 4])
  })

  test('is not brought back by ending it again, by its user or by a new session of the same pair', async () => {
    await world.bearer(`/sessions/${hops.root.claims.sid}`, await world.apiToken(), 'DELETE')
    const next = await openDeep(world)
    expect(next.claims.sid).not.toBe(hops.root.claims.sid)
    await granted(world.continue(next.token))
    await refused(world, () => world.continue(hops.root.token), over)
    expect((await world.introspect(hops.access.token)).body).toEqual({ active: false })
  })
})

describe('a session that is to be', () => {
  test('has a name of the broker’s choosing: no parameter, claim or detail sets it', async () => {
    const wished = 'ses_AAAAAAAAAAAAAAAAAAAAAA'
    const asking = { sid: wished, session: wished, jti: wished, anc: wished, rv: '999999999999999' }
    const subject_token = world.idToken({ sid: wished, anc: [wished], rv: 999_999_999_999_999 })
    const { claims } = await granted(world.open({ ...asking, subject_token }))
    for (const value of [claims.sid, claims.jti, claims.anc[0]]) expect(value).not.toBe(wished)
    expect(claims.rv).toBeLessThan(999_999_999_999_999)
  })

  test('two openings with the same evidence are two sessions, and ending one leaves the other', async () => {
    const subject_token = world.idToken()
    const [one, other] = [await granted(world.open({ subject_token })), await granted(world.open({ subject_token }))]
    expect(one.claims.sid).not.toBe(other.claims.sid)
    await world.revoke(one.token)
    await granted(world.continue(other.token))
  })

  test('names cannot be guessed from those before: 128 random bits each', async () => {
    const names = await Promise.all(Array.from({ length: 20 }, async () => (await openDeep(world)).claims))
    const ids = names.flatMap(({ sid, jti, anc }) => [sid, jti, ...anc])
    expect(new Set(ids).size).toBe(60)
    for (const id of ids) expect(id).toMatch(/^(ses|jti|nod)_[A-Za-z0-9_-]{22}$/)
  })
})
