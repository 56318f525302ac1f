/** `POST /admin/v1/login`: who becomes an admin with their identity provider's token, as what, for how long; and who does not. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AdminEntry } from '../../src/model/admin-role.ts'
import { athOf, holderKey, jktOf, proof, proving } from '../support/dpop.ts'
import { kill, managementToken, order } from '../support/hops.ts'
import { expectRefused, type Refusal } from '../support/refusal.ts'
import { type Answer, claimsOf, registryDocument, startWorld, type World } from '../support/world.ts'

const ADMINS: readonly AdminEntry[] = [
  { user: 'corp:alice', roles: ['viewer', 'security'] },
  { group: 'auditors', roles: ['viewer'] },
  { user: 'corp:mallory', roles: ['security'] },
  { user: 'corp:zoe', roles: ['security'] },
]

let world: World
beforeAll(async () => {
  world = await startWorld({ config: { admins: ADMINS } })
})
afterAll(() => world.close())

type Claims = Readonly<Record<string, unknown>>
const adminToken = (claims: Claims = {}, at = world) => at.idToken({ aud: 'errand-admins', ...claims })

function login(body: unknown, headers: Readonly<Record<string, string>> = {}, at = world): Promise<Answer> {
  return at.request('/admin/v1/login', {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
}

describe('an admin signs in', () => {
  test('with a token for exactly that, and gets ten minutes as what the configuration says', async () => {
    const answer = await login({ token: adminToken() })
    expect(answer.body).toEqual({
      token: expect.any(String),
      token_type: 'Bearer',
      expires_in: 600,
      roles: ['viewer', 'security'],
    })
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect((await world.bearer('/admin/v1/sessions', answer.body.token)).status).toBe(200)
    const [read, signedIn] = await world.audit(2)
    expect(signedIn).toMatchObject({
      event: 'admin.login',
      outcome: 'granted',
      by: 'user:corp:alice',
      by_class: 'user',
      detail: 'roles viewer security',
      jti: claimsOf(answer.body.token)['jti'],
    })
    expect(read).toMatchObject({ event: 'session.read', by: 'user:corp:alice' })
  })

  test('and may ask for less than they have, which is then all they get', async () => {
    const { body } = await login({ token: adminToken({ nonce: 'less' }), roles: ['viewer'] })
    expect(body.roles).toEqual(['viewer'])
    const answer = await world.bearer('/admin/v1/lifts', body.token, 'POST', { kind: 'user', id: 'user:corp:x' })
    expect([answer.status, answer.body.error_reason]).toEqual([403, 'admin_forbidden'])
  })

  test('no longer than the token they came with', async () => {
    const { body } = await login({ token: adminToken({ exp: world.now() + 100 }) })
    expect(body.expires_in).toBe(100)
  })

  test('by a group that the registry lists them in', async () => {
    const grouped = await withUsers([{ issuer: 'corp', sub: 'alice', groups: ['auditors'] }], [ADMINS[1] as AdminEntry])
    try {
      expect((await login({ token: adminToken({}, grouped) }, {}, grouped)).body.roles).toEqual(['viewer'])
    } finally {
      await grouped.close()
    }
  })

  test('and nobody signs in twice with one token, however close together', async () => {
    const token = adminToken({ nonce: 'race' })
    const answers = await Promise.all(Array.from({ length: 8 }, () => login({ token })))
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 401, 401, 401, 401, 401, 401, 401])
    await expectRefused(world, () => login({ token }), stranger)
  })
})

async function withUsers(users: unknown, admins = ADMINS, issuer: object = {}): Promise<World> {
  const [usual] = registryDocument(world.idp)['issuers'] as object[]
  return startWorld({ issuer: world.idp, registry: { users, issuers: [{ ...usual, ...issuer }] }, config: { admins } })
}

const stranger: Refusal = { status: 401, error: 'invalid_token', reason: 'bearer_invalid', stranger: true }
const forbidden: Refusal = { status: 403, error: 'insufficient_scope', reason: 'admin_forbidden' }
const tooOld: Refusal = { status: 401, error: 'insufficient_user_authentication', reason: 'sign_in_too_old' }

describe('nobody else does', () => {
  test.each<readonly [string, () => Claims]>([
    ['a token for the sessions API', () => ({ aud: 'errand-users' })],
    ['a token for an agent', () => ({ aud: 'orchestrator-at-idp' })],
    ['a token for the broker itself', () => ({ aud: world.issuer })],
    ['the audience of management tokens', () => ({ aud: `${world.issuer}/admin` })],
    ['one audience too many', () => ({ aud: ['errand-admins', 'errand-users'] })],
    ['no audience', () => ({ aud: undefined })],
    ['a token that was issued to an agent', () => ({ azp: 'orchestrator-at-idp' })],
    ['a token that somebody acts with', () => ({ act: { sub: 'orchestrator-at-idp' } })],
    ['a client’s own token', () => ({ sub: 'portal', client_id: 'portal' })],
    ['a token that has expired', () => ({ exp: world.now() - 60 })],
    ['a user who is not listed', () => ({ sub: 'zoe' })],
    ['a user who is not active', () => ({ sub: 'mallory' })],
    ['another issuer', () => ({ iss: 'https://idp.example' })],
  ])('%s', async (_what, claims) => {
    await expectRefused(world, () => login({ token: adminToken(claims()) }), stranger)
  })

  test('a user whom the configuration does not name, by their own name in the records', async () => {
    const { record } = await expectRefused(world, () => login({ token: adminToken({ sub: 'bob' }) }), forbidden)
    expect(record).toMatchObject({ by: 'user:corp:bob', missing: ['an entry of admins'] })
  })

  test('an admin who asks for a role they do not have', async () => {
    const ask = () => login({ token: adminToken({ nonce: 'more' }), roles: ['viewer', 'policy_admin'] })
    expect((await expectRefused(world, ask, forbidden)).record.missing).toEqual(['role policy_admin'])
  })

  test.each([
    ['more than an hour ago', () => ({ auth_time: world.now() - 3_700 })],
    ['nobody knows when, at an issuer that would say it', () => ({ auth_time: undefined })],
  ] as const)('whoever signed in %s', async (_what, claims) => {
    await expectRefused(world, () => login({ token: adminToken(claims()) }), tooOld)
  })

  test('a management token, for another one', async () => {
    const token = await managementToken(world)
    await expectRefused(world, () => login({ token }), stranger)
  })

  test('a token of an issuer whose entry names no audience for admins', async () => {
    const silent = await withUsers([{ issuer: 'corp', sub: 'alice' }], ADMINS, { admin_audience: undefined })
    try {
      for (const aud of ['errand-admins', 'undefined', '', undefined]) {
        const token = silent.idToken({ aud })
        expect((await login({ token }, {}, silent)).status, String(aud)).toBe(401)
      }
    } finally {
      await silent.close()
    }
  })

  test.each<readonly [string, unknown]>([
    ['nothing', ''],
    ['an empty object', {}],
    ['a member twice', '{"token":"a.b.c","token":"a.b.c"}'],
    ['an unknown member', { token: 'a.b.c', admin: true }],
    ['an unknown role', { token: 'a.b.c', roles: ['root'] }],
    ['no role', { token: 'a.b.c', roles: [] }],
    ['deep nesting', `${'['.repeat(5_000)}${']'.repeat(5_000)}`],
  ])('%s', async (_what, body) => {
    expect((await login(body)).status).toBe(400)
  })

  test('a body that is too large, or of another type', async () => {
    expect((await login({ token: 'x'.repeat(70_000) })).status).toBe(413)
    expect((await login({ token: adminToken() }, { 'content-type': 'text/plain' })).status).toBe(400)
  })

  test('strangers who try again and again are held like everywhere else', async () => {
    const held = await startWorld({
      issuer: world.idp,
      config: { admins: ADMINS },
      limits: { perSource: { perSecond: 0.01, burst: 3 } },
    })
    try {
      const tried = []
      for (let n = 0; n < 5; n += 1) tried.push((await login({ token: held.idToken() }, {}, held)).status)
      expect(tried).toEqual([401, 401, 401, 429, 429])
    } finally {
      await held.close()
    }
  })
})

describe('an admin is one until somebody says otherwise', () => {
  test.each([
    ['cut off', { dimension: 'user', user: 'user:corp:alice' }],
    ['blocked', { dimension: 'user', user: 'user:corp:alice', block: true }],
    ['cut off with everything', { dimension: 'everything' }],
  ])('%s, and the token is dead, whatever it says', async (_what, wanted) => {
    const own = await startWorld({ issuer: world.idp, config: { admins: ADMINS } })
    try {
      const { token } = (await login({ token: adminToken({}, own) }, {}, own)).body
      expect((await own.bearer('/admin/v1/sessions', token)).status).toBe(200)
      await kill(own, wanted)
      await expectRefused(own, () => own.bearer('/admin/v1/sessions', token), stranger)
      await expectRefused(own, () => login({ token: adminToken({ nonce: 'again' }, own) }, {}, own), stranger)
    } finally {
      await own.close()
    }
  })

  test('a token of an issuer that is believed otherwise now: who signed them in may have been somebody else', async () => {
    const own = await startWorld({ issuer: world.idp, config: { admins: ADMINS } })
    try {
      const { token } = (await login({ token: adminToken({}, own) }, {}, own)).body
      expect((await own.bearer('/admin/v1/sessions', token)).status).toBe(200)
      const document = registryDocument(own.idp)
      const [usual] = document['issuers'] as object[]
      const issuers = [{ ...usual, jwks_uri: `${own.idp.url}/jwks?of=others` }]
      await own.broker.publisher.publishFiles([{ name: 'world.yaml', document: { ...document, issuers } }], {
        by: 'operator:test',
      })
      await expectRefused(own, () => own.bearer('/admin/v1/sessions', token), stranger)
    } finally {
      await own.close()
    }
  })

  test('whoever has no role left is told so, and it is recorded', async () => {
    const admins: AdminEntry[] = [{ user: 'corp:alice', roles: ['viewer'] }]
    const own = await startWorld({ issuer: world.idp, config: { admins } })
    try {
      const { token } = (await login({ token: adminToken({}, own) }, {}, own)).body
      admins.length = 0
      const { record } = await expectRefused(own, () => own.bearer('/admin/v1/sessions', token), forbidden)
      expect(record.by).toBe('user:corp:alice')
    } finally {
      await own.close()
    }
  })

  test('a broker that is not certain of the revocations shows an admin nothing, and still lets them kill', async () => {
    const own = await startWorld({ issuer: world.idp, config: { admins: ADMINS } })
    try {
      const { token } = (await login({ token: adminToken({}, own) }, {}, own)).body
      await kill(own, { dimension: 'agent', agent: 'researcher', block: true })
      const confirmed = own.broker.cutoffs.confirmed
      own.broker.cutoffs.confirmed = () => undefined
      ;(own.clock as unknown as { advance(seconds: number): void }).advance(5)
      expect((await own.bearer('/admin/v1/sessions', token)).body.error_reason ?? 'cutoffs_stale').toBe('cutoffs_stale')
      expect((await own.bearer('/admin/v1/sessions', token)).status).toBe(503)
      // Nor brings anything back: whether they themselves were blocked meanwhile, nobody here can say.
      const lift = await own.bearer('/admin/v1/lifts', token, 'POST', { kind: 'agent', id: 'researcher' })
      expect([lift.status, lift.body.error_reason]).toEqual([503, 'cutoffs_stale'])
      expect(own.broker.cutoffs.set.blocked('agent', 'researcher', own.clock.nowMs())).toBeDefined()
      own.broker.cutoffs.confirmed = confirmed
      const answer = await own.bearer('/admin/v1/revocations', token, 'POST', { dimension: 'agent', agent: 'scribe' })
      expect(answer.status).toBe(200)
    } finally {
      await own.close()
    }
  })
})

describe('a key at sign-in binds what is given (RFC 9449)', () => {
  const url = () => `${world.issuer}/admin/v1/login`
  const at = (path: string, token: string, htm = 'GET') =>
    proof(world, holderKey(), { claims: { htm, htu: `${world.issuer}${path}`, ath: athOf(token) } })

  test('the token is worth nothing without it', async () => {
    const headers = proving(world, holderKey(), { claims: { htu: url() } })
    const { body } = await login({ token: adminToken({ nonce: 'bound' }) }, headers)
    expect(body.token_type).toBe('DPoP')
    expect(claimsOf(body.token)['cnf']).toEqual({ jkt: jktOf(holderKey()) })
    const ask = (scheme: string, dpop?: string) =>
      world.request('/admin/v1/sessions', {
        headers: { authorization: `${scheme} ${body.token}`, ...(dpop === undefined ? {} : { dpop }) },
      })
    expect((await ask('Bearer')).status).toBe(401)
    const good = at('/admin/v1/sessions', body.token)
    expect((await ask('DPoP', good)).status).toBe(200)
    expect((await ask('DPoP', good)).status).toBe(401)
    const others = proof(world, holderKey('thief'), {
      claims: { htm: 'GET', htu: `${world.issuer}/admin/v1/sessions`, ath: athOf(body.token) },
    })
    expect((await ask('DPoP', others)).status).toBe(401)
  })

  test('a token that its issuer has bound is taken with that key alone', async () => {
    const bound = () => adminToken({ cnf: { jkt: jktOf(holderKey()) }, jti: randomUUID() })
    expect((await login({ token: bound() })).status).toBe(401)
    const thief = proving(world, holderKey('thief'), { claims: { htu: url() } })
    expect((await login({ token: bound() }, thief)).status).toBe(401)
    const holder = proving(world, holderKey(), { claims: { htu: url() } })
    expect((await login({ token: bound() }, holder)).body.token_type).toBe('DPoP')
  })
})

test('the bootstrap token of the broker’s own machine outlives a cut-off of everything', async () => {
  const own = await startWorld({ issuer: world.idp })
  try {
    const token = await managementToken(own)
    await kill(own, { dimension: 'everything' })
    expect((await own.bearer('/admin/v1/sessions', token)).status).toBe(200)
    expect((await order(own, '/lifts', { kind: 'user', id: 'user:corp:alice' })).status).toBe(404)
  } finally {
    await own.close()
  }
})
