/** Checklist I 93–95: a live answer, for the server the token is for and for nobody else. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Claims, details, granted, intent, openDeep, refused, tools, type Walk, walk } from '../support/hops.ts'
import { invalidClient, invalidRequest, toStranger } from '../support/refusal.ts'
import { SLACK, startWorld, WAREHOUSE, type World } from '../support/world.ts'

let world: World
let hops: Walk
beforeAll(async () => {
  world = await startWorld()
  hops = await walk(world)
})
afterAll(() => world.close())

const INACTIVE = { active: false }
const introspected = async (token: string, server?: string): Promise<Claims> =>
  (await world.introspect(token, server)).body

describe('RFC 7662 §2.1 the caller', () => {
  test('RFC 7662 §2.1 without authentication it is refused, and learns nothing of the token', async () => {
    // 93
    const request = () => world.post('/introspect', { token: hops.access.token })
    await refused(world, request, invalidClient('client_authentication_missing'))
  })

  test('RFC 7662 §2.1 a bearer token is no authentication here', async () => {
    // 93
    const api = await world.apiToken('warehouse-server', 'revocations')
    const request = () => world.post('/introspect', { token: hops.access.token }, { Authorization: `Bearer ${api}` })
    await refused(world, request, invalidClient('client_authentication_unsupported'))
  })

  test('RFC 7662 §2.1 an assertion signed with another key is refused', async () => {
    // 93
    const request = () =>
      world.post('/introspect', {
        ...world.authentication('slack-server'),
        client_assertion: world.assertion('slack-server', { iss: 'warehouse-server', sub: 'warehouse-server' }),
        token: hops.access.token,
      })
    await refused(world, request, invalidClient('client_assertion_signature'))
  })

  test('RFC 7662 §2.1 a request without a token is malformed', async () => {
    const request = () => world.post('/introspect', world.authentication('warehouse-server'))
    await refused(world, request, invalidRequest('parameter_missing'))
  })

  test('RFC 6749 §3.2 a token sent twice is refused', async () => {
    const twice = { ...world.authentication('warehouse-server'), token: [hops.access.token, hops.access.token] }
    await refused(world, () => world.post('/introspect', twice), toStranger(invalidRequest('parameter_duplicated')))
  })
})

describe('RFC 7662 §2.2 a token that is not active is exactly {"active":false}', () => {
  // 94
  test.each([
    'slack-server',
    'wiki-server',
    'orchestrator',
    'scribe',
  ])('for %s, whom it is not for: not even the agent that holds it', async (caller) => {
    expect(await introspected(hops.access.token, caller)).toEqual(INACTIVE)
  })

  test('what is not one of our tokens at all', async () => {
    const [header = '', payload = '', signature = ''] = hops.access.token.split('.')
    const flipped = `${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`
    const garbage = ['x', 'a.b.c', '{}', `${header}.${payload}.`, `${header}.${payload}.${flipped}`, world.idToken()]
    for (const text of garbage) expect(await introspected(text), text.slice(0, 20)).toEqual(INACTIVE)
  })

  test('what has expired', async () => {
    const timed = await startWorld()
    try {
      const { token, claims } = await granted(timed.continue((await openDeep(timed)).token))
      await timed.advance(claims.exp - timed.now() - 1)
      expect((await timed.introspect(token)).body.active).toBe(true)
      await timed.advance(1)
      expect((await timed.introspect(token)).body).toEqual(INACTIVE)
    } finally {
      await timed.close()
    }
  })

  test('what was revoked, alone, with its node, and with its session', async () => {
    const session = await openDeep(world)
    const access = () => granted(world.continue(session.token))
    const [alone, sibling] = [await access(), await access()]
    await world.revoke(alone.token)
    expect([await introspected(alone.token), (await introspected(sibling.token)).active]).toEqual([INACTIVE, true])
    await world.revoke(session.token)
    expect(await introspected(sibling.token)).toEqual(INACTIVE)
  })

  test('whatever kind of answer it is, it is not to be stored', async () => {
    for (const token of [hops.access.token, 'garbage']) {
      const { headers, status } = await world.introspect(token)
      expect([status, headers.get('cache-control')]).toEqual([200, 'no-store'])
    }
  })
})

describe('RFC 7662 §2.2 an active token', () => {
  test('RFC 7662 §2.2 is described with its subject, its full chain and what it may do', async () => {
    // 95
    const { active, token_type, ...claims } = await introspected(hops.access.token)
    expect([active, token_type]).toEqual([true, 'Bearer'])
    for (const name of [
      'iss',
      'sub',
      'aud',
      'client_id',
      'exp',
      'iat',
      'jti',
      'scope',
      'act',
      'authorization_details',
    ]) {
      expect(claims[name], name).toEqual(hops.access.claims[name])
    }
    expect(claims.act).toMatchObject({
      sub: 'agent:scribe',
      act: { sub: 'agent:researcher', act: { sub: 'agent:orchestrator' } },
    })
  })

  test('RFC 7662 §2.2 a hint about its type changes nothing', async () => {
    for (const hint of ['access_token', 'refresh_token', 'urn:errand:token-type:session', 'nonsense']) {
      const params = { ...world.authentication('warehouse-server'), token: hops.access.token, token_type_hint: hint }
      expect((await world.post('/introspect', params)).body.active, hint).toBe(true)
    }
  })

  test('each server is told about its own tokens', async () => {
    const session = await openDeep(world)
    const slack = await granted(world.continue(session.token, { resource: SLACK }))
    expect((await introspected(slack.token, 'slack-server')).active).toBe(true)
    expect(await introspected(slack.token, 'warehouse-server')).toEqual(INACTIVE)
  })

  test('a token of an agent working for itself is active too, and has no act', async () => {
    const asking = details(intent({ origin: { type: 'schedule' } }), tools(WAREHOUSE, { list_tables: {} }))
    const alone = await granted(
      world.clientCredentials('orchestrator', { resource: WAREHOUSE, authorization_details: asking }),
    )
    const answer = await introspected(alone.token)
    expect(answer).toMatchObject({ active: true, sub: 'agent:orchestrator' })
    expect(answer).not.toHaveProperty('act')
  })

  test('asking is recorded under the server’s name', async () => {
    await world.introspect(hops.access.token)
    const [record] = await world.audit(1)
    expect(record).toMatchObject({
      event: 'token.introspect',
      by: 'service:warehouse-server',
      jti: hops.access.claims.jti,
      detail: 'active',
    })
  })
})
