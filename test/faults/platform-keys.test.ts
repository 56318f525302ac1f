/**
 * A platform whose key server is down, slow, huge, lying, redirecting or rotated affects its own workloads and nobody else:
 * keys that are known keep working until their hard limit, and the broker stays ready.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { JWKS_BYTES_MAX } from '../../src/kernel/limits.ts'
import { JWKS_COOLDOWN_MS, JWKS_FRESH_MS, JWKS_RETRY_MS, JWKS_STALE_MS_MAX } from '../../src/kernel/outbound-limits.ts'
import { granted } from '../support/hops.ts'
import { type Answer, answerJson, startIssuer, type TestIssuer } from '../support/issuer.ts'
import { privateJwk, publicJwk, testKey } from '../support/keys.ts'
import { expectRefused, invalidClient, invalidRequest, toStranger } from '../support/refusal.ts'
import { asClient, startWorkloadWorld, type WorkloadWorld } from '../support/workloads.ts'
import type { World } from '../support/world.ts'

let at: WorkloadWorld
let world: World
let elsewhere: TestIssuer
beforeAll(async () => {
  elsewhere = await startIssuer({ slug: 'elsewhere' })
})
afterAll(() => elsewhere.close())

const LATER = toStranger({ status: 503, error: 'temporarily_unavailable', reason: 'client_keys_unavailable' })

const FAULTS: readonly [string, Answer][] = [
  ['answers 500', (_request, response) => void response.writeHead(500).end()],
  ['hangs', () => undefined],
  ['redirects', (_request, response) => void response.writeHead(302, { location: `${elsewhere.url}/jwks` }).end()],
  ['floods', (_request, response) => answerJson(response, { keys: [], more: 'x'.repeat(JWKS_BYTES_MAX) })],
  [
    'answers with HTML',
    (_request, response) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<p>'),
  ],
  [
    'answers with no JSON',
    (_request, response) => void response.writeHead(200, { 'content-type': 'application/json' }).end('{'),
  ],
  ['hands out a private key', (_request, response) => answerJson(response, { keys: [privateJwk(testKey('ci-1'))] })],
  ['cuts the connection', (request) => void request.socket.destroy()],
]

describe.each(FAULTS)('a platform that %s', (_title, misbehaviour) => {
  beforeAll(async () => {
    at = await startWorkloadWorld()
    world = at.world
  })
  afterAll(() => at.close())
  beforeEach(() => at.ci.misbehave(misbehaviour))

  test('refuses its own workloads until it can be read, and nobody else’s', async () => {
    // At once, so that whoever has nothing to do with it would be held up, too.
    const [refused] = await Promise.all([at.ask(at.jobToken()), granted(world.open())])
    expect([refused.status, refused.body.error]).toEqual([503, 'temporarily_unavailable'])
    await expectRefused(world, () => at.ask(at.jobToken()), LATER)
    await granted(at.ask(at.podToken()))
    expect((await world.request('/readyz')).status).toBe(200)
    const subject = () => at.open(at.jobToken(), asClient(at.podToken()))
    const asSubject = { status: 503, error: 'temporarily_unavailable', reason: 'subject_issuer_unavailable' } as const
    await expectRefused(world, subject, asSubject)
    expect([elsewhere.countRequests(), elsewhere.countConnections()]).toEqual([0, 0])
    at.ci.misbehave(undefined)
    await world.advance(JWKS_RETRY_MS / 1000)
    await granted(at.ask(at.jobToken()))
  })
})

describe('keys that are known', () => {
  beforeAll(async () => {
    at = await startWorkloadWorld()
    world = at.world
  })
  afterAll(() => at.close())

  test('keep working while their platform is down, until the hard limit', async () => {
    await granted(at.ask(at.jobToken()))
    at.ci.misbehave((_request, response) => void response.writeHead(500).end())
    await world.advance(JWKS_STALE_MS_MAX / 1000 - 1)
    await granted(at.ask(at.jobToken()))
    await world.advance(1)
    await expectRefused(world, () => at.ask(at.jobToken()), LATER)
    await granted(at.ask(at.podToken()))
    at.ci.misbehave(undefined)
    await world.advance(JWKS_RETRY_MS / 1000)
    await granted(at.ask(at.jobToken()))
  })

  test('are replaced when the platform rotates: the new one is read when a token names it, the old one then refused', async () => {
    const old = at.jobToken()
    await granted(at.ask(old))
    at.ci.rotate()
    await world.advance(JWKS_COOLDOWN_MS / 1000)
    await granted(at.ask(at.jobToken()))
    await expectRefused(world, () => at.ask(old), invalidClient('client_assertion_signature'))
  })

  test('of one platform are not another’s, even where it publishes them', async () => {
    const now = world.now()
    const job = { iss: at.ci.url, sub: 'job/reporter', aud: 'errand', iat: now, exp: now + 60 }
    const crossed = () => at.open(at.cluster.sign(job).reveal(), asClient(at.podToken()))
    await expectRefused(world, crossed, invalidRequest('subject_token_signature'))
    const both = [publicJwk(at.ci.key), publicJwk(at.cluster.key)]
    at.ci.misbehave((_request, response) => answerJson(response, { keys: both }))
    await world.advance(JWKS_FRESH_MS / 1000)
    await granted(at.ask(at.jobToken()))
    const pod = { iss: at.cluster.url, sub: 'system:serviceaccount:agents:report-agent', 'kubernetes.io': {} }
    const later = { aud: 'errand', iat: world.now(), exp: world.now() + 60 }
    const forged = () => at.ask(at.ci.sign({ ...pod, ...later }, { alg: 'ES256' }).reveal())
    await expectRefused(world, forged, invalidClient('client_assertion_signature'))
  })
})
