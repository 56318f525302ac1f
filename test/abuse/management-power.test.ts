/** What a management token can do, and that nothing else can do it: it ends things and reads, and it never becomes authority. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { operatorPrincipal, type PrincipalId, userPrincipal } from '../../src/kernel/ids.ts'
import { Minter } from '../../src/tokens/minter.ts'
import { granted, managementToken, openAccess, openDeep, order, refused } from '../support/hops.ts'
import { invalidRequest } from '../support/refusal.ts'
import { INTENT, startWorld, TYPE, WAREHOUSE, type World } from '../support/world.ts'

let world: World
let management: string
beforeAll(async () => {
  world = await startWorld()
  management = await managementToken(world)
})
afterAll(() => world.close())

const DOORS: readonly (readonly [string, string, unknown])[] = [
  ['GET', '/admin/v1/sessions', undefined],
  ['GET', '/admin/v1/sessions/ses_x', undefined],
  ['DELETE', '/admin/v1/sessions/ses_x', undefined],
  ['GET', '/admin/v1/audit', undefined],
  ['GET', '/admin/v1/contents/ses_x/digest', undefined],
  ['POST', '/admin/v1/revocations', { dimension: 'user', user: 'user:corp:alice' }],
  ['POST', '/admin/v1/lifts', { kind: 'user', id: 'user:corp:alice' }],
]

describe('the admin API opens to nobody else', () => {
  test.each(DOORS)('%s %s without a token says Bearer, and nothing happens', async (method, path, body) => {
    const answer = await world.request(path, {
      method,
      headers: { 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([401, 'Bearer realm="errand"'])
  })

  test.each(DOORS)('%s %s with any other token of ours or the user’s is refused', async (method, path, body) => {
    const session = await openDeep(world)
    const others = [
      session.token,
      (await granted(world.delegate(session.token))).token,
      (await granted(openAccess(world))).token,
      await world.apiToken('orchestrator', 'sessions revocations'),
      world.userToken(),
      world.idToken({ aud: `${world.issuer}/admin` }),
      world.assertion('orchestrator', { aud: `${world.issuer}/admin` }),
    ]
    for (const token of others) {
      const answer = await world.bearer(path, token, method, body)
      expect([answer.status, answer.body.error]).toEqual([401, 'invalid_token'])
    }
    await granted(world.continue(session.token))
  })

  test('a management token in the query, a cookie or the body is not seen', async () => {
    const ways = [
      world.request(`/admin/v1/sessions?access_token=${management}`),
      world.request('/admin/v1/sessions', { headers: { cookie: `access_token=${management}` } }),
      world.request('/admin/v1/revocations', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ access_token: management, dimension: 'user', user: 'user:corp:alice' }),
      }),
    ]
    for (const answer of await Promise.all(ways)) expect(answer.status).toBe(401)
  })
})

describe('a management token is no authority', () => {
  const subject = (type: string) => () =>
    world.open({ subject_token: management, subject_token_type: type, authorization_details: JSON.stringify(INTENT) })

  test.each([TYPE.id, TYPE.access])('it is no subject of type %s', async (type) => {
    await refused(world, subject(type), invalidRequest('subject_token_presenter'))
  })

  test.each([TYPE.session, TYPE.delegation])('it is no subject of type %s', async (type) => {
    const request = () => world.continue(management, { subject_token_type: type, resource: WAREHOUSE })
    await refused(world, request, invalidRequest('subject_token_wrong_type'))
  })

  test('it does not open the sessions API', async () => {
    expect((await world.bearer('/sessions', management)).status).toBe(401)
  })

  test('it is not published, not introspected and not revoked', async () => {
    expect((await world.introspect(management)).body).toEqual({ active: false })
    expect((await world.revoke(management)).body.error).toBe('unsupported_token_type')
  })
})

describe('it lives ten minutes and names an operator', () => {
  const mint = async (sub: PrincipalId, life: number) => {
    const now = world.now()
    return (
      await new Minter(world.broker.ring, world.config.settings).management({
        operator: sub,
        roles: ['viewer'],
        now,
        expiresAt: now + life,
      })
    ).token.reveal()
  }

  test('one that would live longer, or speaks for a user, is refused though the broker’s own key signed it', async () => {
    expect((await world.bearer('/admin/v1/sessions', await mint(operatorPrincipal('ops'), 600))).status).toBe(200)
    expect((await world.bearer('/admin/v1/sessions', await mint(operatorPrincipal('ops'), 601))).status).toBe(401)
    expect((await world.bearer('/admin/v1/sessions', await mint(userPrincipal('corp', 'alice'), 600))).status).toBe(401)
    expect((await world.bearer('/admin/v1/sessions', await mint(operatorPrincipal(''), 600))).status).toBe(401)
  })

  test('after them, to the second, it is dead', async () => {
    const timed = await startWorld()
    try {
      const token = await managementToken(timed)
      await timed.advance(599)
      expect((await timed.bearer('/admin/v1/sessions', token)).status).toBe(200)
      await timed.advance(1)
      expect((await timed.bearer('/admin/v1/sessions', token)).status).toBe(401)
    } finally {
      await timed.close()
    }
  })
})

describe('what it may not do', () => {
  test('it issues nothing: no path under /admin gives a token for it, and there is no method beside those there are', async () => {
    expect((await world.bearer('/admin/v1/login', management, 'POST', { token: management })).status).toBe(401)
    for (const path of ['/admin/v1/token', '/admin', '/admin/v1/keys']) {
      expect((await world.bearer(path, management, 'POST', {})).status, path).toBe(404)
    }
    for (const method of ['PUT', 'PATCH', 'DELETE']) {
      const answer = await world.bearer('/admin/v1/revocations', management, method, {})
      expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'POST'])
    }
  })

  test('a lift revives no token', async () => {
    const session = await openDeep(world)
    const access = await granted(world.continue(session.token))
    await order(world, '/revocations', { dimension: 'user', user: 'user:corp:alice', block: true })
    await order(world, '/lifts', { kind: 'user', id: 'user:corp:alice' })
    expect((await world.introspect(access.token)).body).toEqual({ active: false })
  })

  test('orders are JSON with the right type and nothing twice', async () => {
    const send = (body: string, type = 'application/json') =>
      world.request('/admin/v1/revocations', {
        method: 'POST',
        headers: { authorization: `Bearer ${management}`, 'content-type': type },
        body,
      })
    const good = '{"dimension":"user","user":"user:corp:bob"}'
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', '']) {
      expect((await send(good, type)).status, type).toBe(400)
    }
    for (const body of [
      '',
      '{',
      '[]',
      'null',
      '{"dimension":"user","user":"user:corp:bob","user":"user:corp:alice"}',
    ]) {
      expect((await send(body)).status, body).toBe(400)
    }
    expect((await send(good)).status).toBe(200)
  })

  test('a number of records that is no number does not read the log without bound', async () => {
    for (const limit of ['abc', '-1', '1e9', '0', '', 'NaN', '1.5', '999999999999999999999']) {
      const answer = await world.bearer(`/admin/v1/audit?limit=${limit}`, management)
      expect(answer.status === 200 || answer.status === 400, `${limit}: ${answer.status}`).toBe(true)
      if (answer.status === 200) expect(answer.body.records.length, limit).toBeLessThanOrEqual(200)
    }
  })
})
