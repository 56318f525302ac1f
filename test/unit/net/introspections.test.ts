import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { INTROSPECTIONS_WAITING_MAX } from '../../../src/kernel/outbound-limits.ts'
import { Rejection } from '../../../src/kernel/rejection.ts'
import { Secret } from '../../../src/kernel/secret.ts'
import type { Introspection, Issuer } from '../../../src/model/issuer.ts'
import { Discovery } from '../../../src/net/discovery.ts'
import { createGuardedFetch } from '../../../src/net/guarded-fetch.ts'
import { Introspections } from '../../../src/net/introspections.ts'
import { answerJson, issuerRecord, startIssuer, type TestIssuer } from '../../support/issuer.ts'
import { privateJwk, publicJwk, testKey } from '../../support/keys.ts'

const NOW = 1_800_000_000
const TOKEN = new Secret('0paque')
let idp: TestIssuer
let file: string
let failures: unknown[]
let introspections: Introspections

beforeEach(async () => {
  idp = await startIssuer()
  file = 's3cret'
  failures = []
  const network = { fetchJson: createGuardedFetch({ allowLoopback: true }), clock: { nowMs: () => NOW * 1000 } }
  introspections = new Introspections({
    ...network,
    discovery: new Discovery(network),
    readPrivateFile: async () => new Secret(file),
    onFailure: (_issuer, error) => failures.push(error),
  })
})
afterEach(() => idp.close())

const asking = (over: Partial<Introspection> = {}, issuer: Partial<Issuer> = {}): Issuer => ({
  ...issuerRecord({ issuer: idp.url, slug: 'idp', jwksUri: undefined, algorithms: undefined }),
  introspection: {
    clientId: 'errand',
    endpoint: `${idp.url}/ask`,
    method: 'client_secret_basic',
    credentialFile: '/secret',
    ...over,
  },
  ...issuer,
})

async function refused(attempt: Promise<unknown>): Promise<Rejection> {
  const error = await attempt.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(Rejection)
  expect((error as Rejection).reason).toBe('subject_issuer_unavailable')
  return error as Rejection
}

describe('asking about an opaque token', () => {
  it('gives what the provider says, and authenticates by the secret as configured', async () => {
    const seen: (string | undefined)[] = []
    idp.misbehave((request, response) => {
      let body = ''
      request.on('data', (chunk: Buffer) => (body += chunk.toString()))
      request.on('end', () => {
        seen.push(request.headers.authorization, body)
        answerJson(response, { active: true, sub: 'alice' })
      })
    })
    expect(await introspections.ask(asking(), TOKEN, NOW)).toEqual({ active: true, sub: 'alice' })
    await introspections.ask(asking({ method: 'client_secret_post' }), TOKEN, NOW)
    expect(seen[0]).toBe(`Basic ${Buffer.from('errand:s3cret').toString('base64')}`)
    expect(seen[1]).toBe('token_type_hint=access_token&token=0paque')
    expect(seen[2]).toBeUndefined()
    expect(seen[3]).toBe('token_type_hint=access_token&token=0paque&client_id=errand&client_secret=s3cret')
  })

  it('finds the endpoint by discovery, on the issuer’s own host or one that its entry lists', async () => {
    let introspection_endpoint = `${idp.url}/introspect`
    idp.misbehave((request, response) =>
      answerJson(
        response,
        request.url?.startsWith('/.well-known') ? { issuer: idp.url, introspection_endpoint } : { active: true },
      ),
    )
    expect(await introspections.ask(asking({ endpoint: undefined }), TOKEN, NOW)).toEqual({ active: true })
    for (const elsewhere of ['https://evil.example/introspect', 'http://127.0.0.1:1/introspect', '/introspect', '']) {
      introspection_endpoint = elsewhere
      const other = new Introspections({
        fetchJson: createGuardedFetch({ allowLoopback: true }),
        discovery: new Discovery({ fetchJson: createGuardedFetch({ allowLoopback: true }), clock: { nowMs: () => 0 } }),
        readPrivateFile: async () => new Secret(file),
      })
      const before = idp.countRequests()
      await refused(other.ask(asking({ endpoint: undefined }), TOKEN, NOW))
      expect(idp.countRequests() - before).toBe(1)
    }
  })

  it.each([
    ['no JSON', 'not a key'],
    ['a public key', JSON.stringify({ ...publicJwk(testKey('k')), alg: 'ES256' })],
    ['a key without its algorithm', JSON.stringify({ ...privateJwk(testKey('k')), alg: undefined })],
    ['a key for another algorithm', JSON.stringify({ ...privateJwk(testKey('k')), alg: 'RS256' })],
    ['a symmetric key', JSON.stringify({ kty: 'oct', kid: 'k', alg: 'HS256', k: 'c2VjcmV0' })],
  ])('is refused, and nothing sent, where the private key’s file holds %s; the file is not quoted', async (_what, text) => {
    file = text
    const refusal = await refused(introspections.ask(asking({ method: 'private_key_jwt' }), TOKEN, NOW))
    expect(idp.countRequests()).toBe(0)
    expect(inspect([refusal, failures], { depth: 10 })).not.toMatch(/not a key|c2VjcmV0|"d"/)
  })

  it('shows neither token nor secret when it fails, nor what the provider has written', async () => {
    idp.misbehave((_request, response) =>
      response.writeHead(400, { 'content-type': 'application/json' }).end('{"error":"evil"}'),
    )
    const refusal = await refused(introspections.ask(asking(), TOKEN, NOW))
    expect(inspect([refusal, failures], { depth: 10 })).not.toMatch(/0paque|s3cret|evil/)
    expect(failures).toHaveLength(1)
  })

  it('of a provider that hangs holds so many and no more: others are refused at once, other providers’ are asked', async () => {
    const other = await startIssuer({ slug: 'other' })
    other.misbehave((_request, response) => answerJson(response, { active: false }))
    idp.misbehave(() => undefined)
    const waiting = Array.from({ length: INTROSPECTIONS_WAITING_MAX }, () =>
      refused(introspections.ask(asking(), TOKEN, NOW)),
    )
    const begunMs = performance.now()
    await refused(introspections.ask(asking(), TOKEN, NOW))
    const elsewhere = asking({ endpoint: `${other.url}/ask` }, { issuer: other.url, slug: 'other' })
    expect(await introspections.ask(elsewhere, TOKEN, NOW)).toEqual({ active: false })
    expect(performance.now() - begunMs).toBeLessThan(2_000)
    await Promise.all(waiting)
    idp.misbehave((_request, response) => answerJson(response, { active: true }))
    expect(await introspections.ask(asking(), TOKEN, NOW)).toEqual({ active: true })
    await other.close()
  })
})
