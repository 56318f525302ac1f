/** Checklist J 97–100, 102: what a revoke kills, what it leaves, and who may. */
import { mkdtempSync, rmSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type Claims,
  details,
  type Grant,
  granted,
  intent,
  openDeep,
  refused,
  tools,
  type Walk,
  walk,
} from '../support/hops.ts'
import { startIssuer } from '../support/issuer.ts'
import { invalidClient, invalidRequest } from '../support/refusal.ts'
import { SLACK, startWorld, WAREHOUSE, type World } from '../support/world.ts'

let world: World
beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world.close())

const isActive = async (token: string, server?: string): Promise<boolean> =>
  (await world.introspect(token, server)).body.active
const hopsOf = (body: Claims) => body.revoked.hops.map((hop: Claims) => [hop.agent, hop.depth, hop.tokens])

describe('RFC 7009 §2.1 a client revokes what it holds', () => {
  test('RFC 7009 §2.1 a session token: the session is closed, and every token of it is dead from the next check on', async () => {
    // 97
    const session = await openDeep(world)
    const access = await granted(world.continue(session.token))
    const { status, body } = await world.revoke(session.token)
    expect([status, body.audit]).toEqual([200, 'recorded'])
    expect(body.revoked.sessions).toEqual([session.claims.sid])
    expect(hopsOf(body)).toEqual([['orchestrator', 0, 1]])
    expect(await isActive(access.token)).toBe(false)
    await refused(world, () => world.continue(session.token), invalidRequest('session_not_issuing'))
    await refused(world, () => world.delegate(session.token), invalidRequest('session_not_issuing'))
  })

  test('RFC 7009 §2.2 revoking again is a success that kills nothing more', async () => {
    const session = await openDeep(world)
    await world.revoke(session.token)
    expect((await world.revoke(session.token)).status).toBe(200)
  })

  test('RFC 7009 §2.1 an access token dies alone: its session and the tokens beside it live', async () => {
    const session = await openDeep(world)
    const [one, other] = [await granted(world.continue(session.token)), await granted(world.continue(session.token))]
    const { body } = await world.revoke(one.token)
    expect(body.revoked.sessions).toEqual([])
    expect([await isActive(one.token), await isActive(other.token)]).toEqual([false, true])
    await granted(world.continue(session.token))
  })

  test('RFC 7009 §2.2 unknown text, another issuer’s token and an expired one are a success', async () => {
    // 97
    for (const token of ['x', 'a.b.c', '%', world.idToken()]) {
      const { status, body } = await world.revoke(token)
      expect([status, body.revoked], token.slice(0, 8)).toEqual([200, undefined])
    }
    const timed = await startWorld()
    try {
      const { token } = await openDeep(timed)
      await timed.advance(4_000)
      expect((await timed.revoke(token)).status).toBe(200)
    } finally {
      await timed.close()
    }
  })

  test.each([
    'access_token',
    'refresh_token',
    'urn:errand:token-type:delegation',
    'nonsense',
  ])('RFC 7009 §2.1 a session token is found in spite of the hint %s', async (token_type_hint) => {
    // 98
    const session = await openDeep(world)
    const { body } = await world.revoke(session.token, 'orchestrator', { token_type_hint })
    expect(body.revoked.sessions).toEqual([session.claims.sid])
  })

  test('RFC 7009 §2.1 nobody revokes without authentication', async () => {
    const session = await openDeep(world)
    const request = () => world.post('/revoke', { token: session.token })
    await refused(world, request, invalidClient('client_authentication_missing'))
    await granted(world.continue(session.token))
  })
})

describe('RFC 7009 §2.1 another client’s token is refused, and stays alive', () => {
  let hops: Walk
  beforeAll(async () => {
    hops = await walk(world)
  })

  test.each([
    ['the root’s session token, by its sub-agent', () => hops.root, 'researcher'],
    ['a sub-agent’s session token, by the root', () => hops.researcher, 'orchestrator'],
    ['a sub-agent’s session token, by a sibling', () => hops.researcher, 'scribe'],
    ['a delegation, by the one who accepted it', () => hops.toResearcher, 'researcher'],
    ['an access token, by the server it is for', () => hops.access, 'warehouse-server'],
    ['an access token, by an agent above', () => hops.access, 'researcher'],
  ] as const)('%s', async (_what, grant, client) => {
    // 97
    await refused(world, () => world.revoke(grant().token, client), invalidRequest('token_of_another_client'))
    expect(await isActive(hops.access.token)).toBe(true)
  })
})

describe('RFC 8693 §2.1 leaves linkage to the broker: here a parent takes its descendants along', () => {
  // 99
  test('revoking a delegation kills what was accepted from it and all below, and leaves the delegator and siblings', async () => {
    const hops = await walk(world)
    const sibling = await granted(world.accept((await granted(world.delegate(hops.root.token))).token))
    const siblings = await granted(world.continue(sibling.token, {}, 'researcher'))
    const own = await granted(world.continue(hops.root.token))
    const { body } = await world.revoke(hops.toResearcher.token)
    expect(hopsOf(body)).toEqual([
      ['researcher', 1, 0],
      ['scribe', 2, 1],
    ])
    expect(body.revoked.sessions).toEqual([])
    expect(await isActive(hops.access.token)).toBe(false)
    await refused(world, () => world.continue(hops.researcher.token, {}, 'researcher'), nodeDead)
    await refused(world, () => world.continue(hops.scribe.token, {}, 'scribe'), nodeDead)
    await refused(world, () => world.delegate(hops.researcher.token, ONWARD, 'researcher'), nodeDead)
    expect([await isActive(siblings.token), await isActive(own.token)]).toEqual([true, true])
    await granted(world.continue(sibling.token, {}, 'researcher'))
  })

  test('a sub-agent that revokes its session token ends its own subtree and nothing above', async () => {
    const hops = await walk(world)
    const { body } = await world.revoke(hops.researcher.token, 'researcher')
    expect(hopsOf(body)).toEqual([
      ['researcher', 1, 0],
      ['scribe', 2, 1],
    ])
    expect(await isActive(hops.access.token)).toBe(false)
    await granted(world.continue(hops.root.token))
  })

  test('a delegation revoked before anybody accepted it can no longer be accepted', async () => {
    const session = await openDeep(world)
    const { token, claims } = await granted(world.delegate(session.token))
    const { body } = await world.revoke(token)
    expect(body.revoked.hops).toEqual([
      { session: session.claims.sid, node: claims.jti, agent: 'researcher', depth: 1, tokens: 0, pending: true },
    ])
    await refused(world, () => world.accept(token), nodeDead)
  })

  test('a delegation offered by a revoked node dies with it, though nobody had accepted it', async () => {
    const hops = await walk(world)
    const pending = await granted(world.delegate(hops.researcher.token, ONWARD, 'researcher'))
    await world.revoke(hops.toResearcher.token)
    await refused(world, () => world.accept(pending.token, {}, 'scribe'), nodeDead)
  })

  test('of acceptances and a revoke at once, whatever was accepted is dead afterwards', async () => {
    const session = await openDeep(world)
    const { token } = await granted(world.delegate(session.token))
    const [accepted] = await Promise.all([world.accept(token), world.revoke(session.token)])
    if (accepted.status === 200) {
      await refused(
        world,
        () => world.continue(accepted.body.access_token, {}, 'researcher'),
        invalidRequest('session_not_issuing'),
      )
    }
  })

  const nodeDead = invalidRequest('node_revoked')
  const ONWARD = {
    audience: 'scribe',
    authorization_details: details(
      intent(),
      tools(WAREHOUSE, { query: { table: { const: 'revenue' }, limit: { maximum: 5 } } }),
    ),
  }
})

describe('sessions are ended by name, without a token of theirs', () => {
  // 100
  let hops: Walk
  beforeAll(async () => {
    hops = await walk(world)
  })

  test('the root agent closes its session, with an API token', async () => {
    const session = await openDeep(world)
    const access = await granted(world.continue(session.token, { resource: SLACK }))
    const answer = await world.bearer(`/sessions/${session.claims.sid}`, await world.apiToken(), 'DELETE')
    expect([answer.status, answer.body.revoked.sessions]).toEqual([200, [session.claims.sid]])
    expect(await isActive(access.token, 'slack-server')).toBe(false)
    const seen = await world.bearer(`/sessions/${session.claims.sid}`, await world.apiToken())
    expect(seen.body.state).toBe('closed')
  })

  test('a participant ends its own subtree by the name of its node, and not the session', async () => {
    const own = await world.apiToken('researcher')
    const whole = await world.bearer(`/sessions/${hops.root.claims.sid}`, own, 'DELETE')
    expect([whole.status, whole.body.error]).toEqual([404, 'not_found'])
    expect(await isActive(hops.access.token)).toBe(true)
    const node = `/sessions/${hops.root.claims.sid}/nodes/${hops.toResearcher.claims.jti}`
    const answer = await world.bearer(node, own, 'DELETE')
    expect(hopsOf(answer.body)).toEqual([
      ['researcher', 1, 0],
      ['scribe', 2, 1],
    ])
    expect(await isActive(hops.access.token)).toBe(false)
    await granted(world.continue(hops.root.token))
  })

  test('a client without the scope sessions ends nothing', async () => {
    const session = await openDeep(world)
    const api = await world.apiToken('orchestrator', 'revocations')
    const answer = await world.bearer(`/sessions/${session.claims.sid}`, api, 'DELETE')
    expect([answer.status, answer.body.error]).toEqual([403, 'insufficient_scope'])
    expect(answer.headers.get('www-authenticate')).toContain('insufficient_scope')
    await granted(world.continue(session.token))
  })
})

describe('an absent session is a dead session', () => {
  // 102
  test('a session record that is gone revives nothing: its tokens are inactive and give no more', async () => {
    // Kept past its end plus skew, then forgotten; the keys and the signature are as good as ever.
    const timed = await startWorld()
    try {
      const asking = details(intent({ expires_in: 60 }), tools(WAREHOUSE, { list_tables: {} }))
      const session: Grant = await granted(timed.open({ authorization_details: asking }))
      const access = await granted(timed.continue(session.token))
      await timed.advance(60 + 31)
      expect(await timed.broker.store.sessions.readAll(session.claims.sid)).toBeUndefined()
      expect((await timed.introspect(access.token)).body).toEqual({ active: false })
    } finally {
      await timed.close()
    }
  })

  test('revocations outlive the broker: a second one on the same store knows them', async () => {
    const directory = mkdtempSync('/tmp/errand-restart-')
    // The same policy: another issuer in the place of the first would be a change that takes users' tokens away.
    const issuer = await startIssuer({ slug: 'corp' })
    const options = {
      issuer,
      store: { kind: 'embedded', directory: `${directory}/store` },
      keysDirectory: `${directory}/keys`,
    } as const
    try {
      const before = await startWorld(options)
      const [dead, alive] = [await openDeep(before), await openDeep(before)]
      const access = [await granted(before.continue(dead.token)), await granted(before.continue(alive.token))]
      await before.revoke(dead.token)
      await before.close()
      const after = await startWorld(options)
      const active = await Promise.all(access.map(async ({ token }) => (await after.introspect(token)).body.active))
      await after.close()
      expect(active).toEqual([false, true])
    } finally {
      await issuer.close()
      rmSync(directory, { recursive: true, force: true })
    }
  })
})
