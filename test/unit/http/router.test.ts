import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { JOSE_HEADER } from '../../support/jose-header.ts'
import { expectRefused } from '../../support/refusal.ts'
import { startWorld, type World } from '../../support/world.ts'

let world: World
beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world.close())

/** Every route, with the methods it serves. */
const ROUTES: readonly [path: string, methods: readonly string[]][] = [
  ['/.well-known/oauth-authorization-server', ['GET']],
  ['/.well-known/openid-configuration', ['GET']],
  ['/jwks', ['GET']],
  ['/authorize', ['GET']],
  ['/healthz', ['GET']],
  ['/readyz', ['GET']],
  ['/token', ['POST']],
  ['/introspect', ['POST']],
  ['/revoke', ['POST']],
  ['/sessions', ['GET']],
  ['/sessions/ses_x', ['GET', 'DELETE']],
  ['/sessions/ses_x/nodes/nod_x', ['DELETE']],
  ['/admin/v1/sessions', ['GET']],
  ['/admin/v1/sessions/ses_x', ['GET', 'DELETE']],
  ['/admin/v1/audit', ['GET']],
  ['/admin/v1/contents/ses_x/digest', ['GET']],
  ['/admin/v1/blocks', ['GET']],
  ['/admin/v1/revocations', ['POST']],
  ['/admin/v1/lifts', ['POST']],
]
const PROTECTED = ROUTES.filter(([path]) => /^\/(sessions|admin)/.test(path))
const notFound = { status: 404, error: 'not_found', reason: 'route_unknown', stranger: true } as const
const notAllowed = { status: 405, error: 'invalid_request', reason: 'method_not_allowed', stranger: true } as const

describe('the router', () => {
  it.each(ROUTES)('serves %s by %s only, and says so (RFC 9110 §15.5.6)', async (path, methods) => {
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'SEARCH']) {
      const request = () => world.request(path, { method })
      if (methods.includes(method)) {
        expect([method, (await request()).status]).not.toEqual([method, 405])
        continue
      }
      const { answer } = await expectRefused(world, request, notAllowed)
      expect(answer.headers.get('allow')?.split(', ')).toEqual(methods)
    }
  })

  it.each(
    ROUTES.filter(([, methods]) => methods.includes('GET')),
  )('answers HEAD of %s as GET, bodiless', async (path) => {
    const [get, head] = [await world.request(path), await world.request(path, { method: 'HEAD' })]
    expect([head.status, head.body]).toEqual([get.status, undefined])
    expect(head.headers.get('content-type')).toBe(get.headers.get('content-type'))
    expect(head.headers.get('cache-control')).toBe(get.headers.get('cache-control'))
  })

  it('lets pages of other origins read what is public, and nothing else', async () => {
    for (const [path, methods] of ROUTES) {
      const preflight = await world.request(path, { method: 'OPTIONS', headers: { Origin: 'https://x.example' } })
      const isPublic = methods.includes('GET') && !PROTECTED.some(([known]) => known === path)
      expect([path, preflight.status]).toEqual([path, isPublic ? 204 : 405])
      expect([path, preflight.headers.get('access-control-allow-origin')]).toEqual([path, isPublic ? '*' : null])
    }
  })

  it.each([
    '/',
    '/Token',
    '/token/',
    '/sessions/',
    '/sessions/a/b',
    '/sessions/a/nodes',
    '/admin',
    '/admin/v1',
    '/admin/v1/keys',
    '/.well-known/',
    '/.well-known/oauth-authorization-server/x',
    '/.git/config',
  ])('knows no %s', async (path) => {
    await expectRefused(world, () => world.request(path), notFound)
    await expectRefused(world, () => world.request(path, { method: 'POST', body: 'x' }), notFound)
  })

  it('protects every endpoint that takes bearer tokens, with the challenge of RFC 6750 §3', async () => {
    for (const [path, methods] of PROTECTED) {
      for (const method of methods) {
        const json = method === 'POST' ? { body: '{}', headers: { 'Content-Type': 'application/json' } } : {}
        const missing = { status: 401, error: 'invalid_token', reason: 'bearer_missing', stranger: true } as const
        const { answer } = await expectRefused(world, () => world.request(path, { method, ...json }), missing)
        expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="errand"')
        const headers = { ...json.headers, Authorization: 'Bearer aaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbb.cccccccccccccccc' }
        const invalid = { ...missing, reason: 'bearer_invalid' } as const
        const refused = await expectRefused(world, () => world.request(path, { method, ...json, headers }), invalid)
        expect(refused.answer.headers.get('www-authenticate')).toMatch(/^Bearer realm="errand", error="invalid_token"/)
      }
    }
  })

  it('reads nothing of a request to an admin endpoint before it knows the media type', async () => {
    const refusal = { status: 400, error: 'invalid_request', reason: 'media_type_unsupported', stranger: true } as const
    for (const path of ['/admin/v1/revocations', '/admin/v1/lifts']) {
      const headers = { 'Content-Type': 'text/plain' }
      await expectRefused(world, () => world.request(path, { method: 'POST', body: '{}', headers }), refusal)
    }
  })
})

describe('a fault of ours', () => {
  const faults: [string, unknown][] = [
    ['an Error', new TypeError('secret detail at /etc/broker.ts:7')],
    ['a string', 'secret detail'],
    ['undefined', undefined],
  ]

  it.each(faults)('that is %s gives server_error, no token, and one record', async (_, fault) => {
    const { sessions } = world.broker.store
    const commit = sessions.commit
    sessions.commit = async () => {
      throw fault
    }
    try {
      await world.broker.flushAudit()
      const before = new Set((await world.audit(1_000)).map(({ id }) => id))
      const answer = await world.open()
      expect([answer.status, answer.body.error]).toEqual([500, 'server_error'])
      expect(Object.keys(answer.body).sort()).toEqual(['decision_id', 'error', 'error_description'])
      expect(JSON.stringify(answer.body)).not.toMatch(/secret|\/etc\//)
      expect(JSON.stringify(answer.body)).not.toMatch(JOSE_HEADER)
      const added = (await world.audit(1_000)).filter(({ id }) => !before.has(id))
      expect(added).toMatchObject([{ id: answer.body.decision_id, outcome: 'refused', reason: 'server_error' }])
    } finally {
      sessions.commit = commit
    }
    expect((await world.open()).status, 'and the next request is served').toBe(200)
  })

  it('in a reading endpoint is no 404 and no empty list', async () => {
    const { indexes } = world.broker.store
    const list = indexes.list
    const token = await world.apiToken()
    indexes.list = async () => {
      throw new Error('secret detail')
    }
    try {
      const answer = await world.bearer('/sessions', token)
      expect([answer.status, answer.body.error]).toEqual([500, 'server_error'])
    } finally {
      indexes.list = list
    }
  })
})
