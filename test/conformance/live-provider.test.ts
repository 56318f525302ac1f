/**
 * Users of a real identity provider (`oidc-provider`): ID tokens, JWT and opaque access tokens, found by discovery alone; what
 * happens while the provider is rotated, down, slow, huge or redirecting, and to the users of another one meanwhile
 * (standards.md §8, section D 36–39; threats H18, H20).
 */
import { randomBytes } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { JWKS_BYTES_MAX } from '../../src/kernel/limits.ts'
import { JWKS_COOLDOWN_MS, JWKS_FRESH_MS, JWKS_STALE_MS_MAX } from '../../src/kernel/outbound-limits.ts'
import type { RejectionReason } from '../../src/kernel/rejection.ts'
import { type Answer, startIssuer, type TestIssuer } from '../support/issuer.ts'
import { type LiveProvider, type LiveTokens, startLiveProvider } from '../support/live-provider.ts'
import { expectRefused, invalidRequest } from '../support/refusal.ts'
import { claimsOf, headerOf, registryDocument, startWorld, TYPE, WAREHOUSE, type World } from '../support/world.ts'

const APP = 'orchestrator-at-live'
const UNAVAILABLE = { status: 503, error: 'temporarily_unavailable', reason: 'subject_issuer_unavailable' } as const
let directory: string
let live: LiveProvider
let corp: TestIssuer
let world: World
/** Of alice: for the broker as the resource, and for nothing in particular. */
let jwt: LiveTokens
let opaque: LiveTokens

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'errand-live-'))
  const secret = randomBytes(24).toString('base64url')
  writeFileSync(join(directory, 'secret'), secret, { mode: 0o600 })
  const scopes = ['mcp:tools:read', 'mcp:tools:write']
  live = await startLiveProvider({ clientIds: [APP, 'another-app'], secret, scopes })
  corp = await startIssuer({ slug: 'corp' })
  world = await startWorld({ issuer: corp, registry: registry() })
  jwt = await live.login('alice', APP, world.issuer)
  opaque = await live.login('alice', APP)
})
afterAll(async () => {
  await world.close()
  await Promise.all([live.close(), corp.close()])
  rmSync(directory, { recursive: true })
})
afterEach(() => {
  for (const path of ['/', '/jwks', '/.well-known', '/token/introspection']) live.misbehave(path, undefined)
  corp.misbehave(undefined)
})

// biome-ignore lint/suspicious/noExplicitAny: a registry document of many shapes
function registry(): any {
  // biome-ignore lint/suspicious/noExplicitAny: as above
  const document = registryDocument(corp) as any
  const discovered = {
    issuer: live.issuer,
    slug: 'live',
    accepts: { id_token: true, access_token: 'ceiling' },
    introspection: { client_id: 'errand', client_secret_file: join(directory, 'secret') },
    user_audience: 'another-app',
  }
  const agents = document.agents.map((agent: { client_id: string; upstream?: object }) =>
    agent.client_id === 'orchestrator' ? { ...agent, upstream: { ...agent.upstream, live: APP } } : agent,
  )
  const users = [...document.users, { issuer: 'live', sub: 'alice', groups: ['finance'] }]
  return { ...document, agents, users, issuers: [...document.issuers, discovered] }
}

const openWith = (subject_token: string, subject_token_type: string, more: object = {}) =>
  world.open({ subject_token, subject_token_type, ...more })
const refused = (token: string, type: string, reason: RejectionReason) =>
  expectRefused(world, () => openWith(token, type), invalidRequest(reason))

describe('tokens of a provider that was found by discovery', () => {
  test.each([
    ['an ID token', () => jwt.id, TYPE.id],
    ['a JWT access token for the broker (RFC 8707, RFC 9068)', () => jwt.access, TYPE.access],
    ['an opaque access token', () => opaque.access, TYPE.access],
  ])('%s opens a session for its user', async (_what, token, type) => {
    const answer = await openWith(token(), type)
    expect(answer.status, JSON.stringify(answer.body)).toBe(200)
    expect(claimsOf(answer.body.access_token)).toMatchObject({ sub: 'user:live:alice' })
  })

  test('are of the kinds they are named after', () => {
    expect(headerOf(jwt.access)).toMatchObject({ typ: 'at+jwt', kid: 'live-1' })
    expect(claimsOf(jwt.access)).toMatchObject({ aud: world.issuer, client_id: APP })
    expect(opaque.access).not.toContain('.')
  })

  test('cost two requests for all that are signed, and one for each that is not', async () => {
    const before = ['/.well-known', '/jwks', '/token/introspection'].map((path) => live.count(path))
    for (let round = 0; round < 3; round += 1) {
      await openWith(jwt.id, TYPE.id)
      await openWith(opaque.access, TYPE.access)
    }
    const after = ['/.well-known', '/jwks', '/token/introspection'].map((path) => live.count(path))
    expect(after.map((count, index) => count - (before[index] ?? 0))).toEqual([0, 0, 3])
  })

  test('are refused where they were meant for another application, or are of another kind', async () => {
    const other = await live.login('alice', 'another-app')
    await refused(other.id, TYPE.id, 'subject_token_audience')
    await refused(other.access, TYPE.access, 'subject_token_audience')
    await refused(jwt.id, TYPE.access, 'subject_token_wrong_type')
    await refused(jwt.access, TYPE.id, 'subject_token_wrong_type')
    // A refresh token is active, too.
    await refused(opaque.refresh, TYPE.access, 'subject_token_wrong_type')
    const elsewhere = await live.login('alice', APP, 'https://other.example/api')
    await refused(elsewhere.access, TYPE.access, 'subject_token_audience')
    await refused((await live.login('zoe', APP)).id, TYPE.id, 'user_not_listed')
  })

  test('give no more than their scope', async () => {
    const answer = await openWith(jwt.access, TYPE.access, { requested_token_type: undefined, resource: WAREHOUSE })
    expect(answer.body.scope).toBe('mcp:tools:read')
    expect(claimsOf(jwt.access)['scope']).toContain('mcp:tools:write')
  })

  test('once revoked are refused at the very next presentation', async () => {
    const { access } = await live.login('alice', APP)
    expect((await openWith(access, TYPE.access)).status).toBe(200)
    await live.revoke(APP, access)
    await refused(access, TYPE.access, 'subject_token_inactive')
  })
})

const MISBEHAVIOURS: readonly (readonly [string, Answer])[] = [
  ['is down', (request) => request.socket.destroy()],
  ['fails', (_request, response) => response.writeHead(503).end()],
  ['hangs', () => undefined],
  ['redirects', (_request, response) => response.writeHead(302, { location: 'http://169.254.169.254/' }).end()],
  [
    'floods',
    (_request, response) =>
      response.writeHead(200, { 'content-type': 'application/json' }).end(' '.repeat(JWKS_BYTES_MAX + 1)),
  ],
]

describe('while the provider', () => {
  test.each(
    MISBEHAVIOURS,
  )('%s, its signed tokens are verified with the keys that are known, and opaque ones wait', async (_what, answer) => {
    await openWith(jwt.id, TYPE.id)
    live.misbehave('/', answer)
    expect((await openWith(jwt.id, TYPE.id)).status).toBe(200)
    await expectRefused(world, () => openWith(opaque.access, TYPE.access), UNAVAILABLE)
    live.misbehave('/', undefined)
    expect((await openWith(opaque.access, TYPE.access)).status).toBe(200)
  })

  test('hangs, users of another one open sessions, and the broker stays ready', async () => {
    live.misbehave('/', () => undefined)
    const waiting = Array.from({ length: 50 }, () => openWith(opaque.access, TYPE.access))
    const startedMs = performance.now()
    for (let round = 0; round < 10; round += 1) {
      expect((await world.open()).status).toBe(200)
      expect((await world.request('/readyz')).status).toBe(200)
    }
    // All of them were answered before the first that waits: its deadline is seconds away.
    expect(performance.now() - startedMs).toBeLessThan(2_500)
    expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual(waiting.map(() => 503))
  })

  test('is rotated, tokens of the new key are accepted at once, those of the old one until the next reading', async () => {
    await openWith(jwt.id, TYPE.id)
    live.rotate()
    const fresh = await live.login('alice', APP, world.issuer)
    expect(headerOf(fresh.id)['kid']).toBe('live-2')
    await world.advance(JWKS_COOLDOWN_MS / 1000)
    expect((await openWith(fresh.id, TYPE.id)).status).toBe(200)
    await refused(jwt.id, TYPE.id, 'subject_token_signature')
    jwt = fresh
  })

  test('is rotated and hangs in that moment, only its new tokens wait: those of known keys do not', async () => {
    await world.advance(JWKS_COOLDOWN_MS / 1000)
    live.rotate()
    const fresh = await live.login('alice', APP, world.issuer)
    live.misbehave('/jwks', () => undefined)
    const waiting = expectRefused(world, () => openWith(fresh.id, TYPE.id), invalidRequest('subject_token_signature'))
    await waiting
    expect((await openWith(jwt.id, TYPE.id)).status).toBe(200)
    live.misbehave('/jwks', undefined)
    await world.advance(JWKS_COOLDOWN_MS / 1000)
    expect((await openWith(fresh.id, TYPE.id)).status).toBe(200)
    jwt = fresh
  })

  test('stays away for longer than keys are kept, its tokens are refused until it is back', async () => {
    live.misbehave('/', (request) => request.socket.destroy())
    await world.advance(JWKS_STALE_MS_MAX / 1000 - 60)
    await world.advance(61)
    await expectRefused(world, () => openWith(jwt.id, TYPE.id), UNAVAILABLE)
    live.misbehave('/', undefined)
    await world.advance(JWKS_FRESH_MS / 1000)
    // Its keys are read again; its own hour is over by now.
    await refused(jwt.id, TYPE.id, 'subject_token_expired')
  })
})
