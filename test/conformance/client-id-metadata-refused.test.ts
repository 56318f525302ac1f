/** #22: what a client metadata document must not be or say, and how it must not be served. Nothing of a refused one is kept. */
import type { ServerResponse } from 'node:http'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createBroker } from '../../src/app.ts'
import { CLIENT_METADATA_BYTES_MAX, JWKS_RETRY_MS } from '../../src/kernel/outbound-limits.ts'
import { decodeRegistry } from '../../src/registry/load-registry.ts'
import { type ClientDocuments, startClientDocuments } from '../support/client-documents.ts'
import { privateJwk, publicJwk, sign, testKey } from '../support/keys.ts'
import { expectRefused, invalidClient, type Refusal, toStranger } from '../support/refusal.ts'
import { type Answer, registryDocument, startWorld, WIKI, type World } from '../support/world.ts'

type Entry = Record<string, unknown>
type Serve = (response: ServerResponse) => void

let host: ClientDocuments
let world: World
let registry: Entry

beforeAll(async () => {
  host = await startClientDocuments()
  const first = await startWorld()
  const own = {
    client_id: host.client,
    client_metadata: { version: '9', algorithms: ['ES256'] },
    owner: 'partner-team@corp.example',
    environment: 'development',
    grant_types: ['client_credentials'],
    manifest: [{ server: 'wiki', category: 'read' }],
    standing_intent: { purpose: 'Read the wiki', tools: { wiki: { search: {}, read_page: {} } } },
  }
  const document = registryDocument(first.idp)
  registry = { ...document, agents: [...(document['agents'] as Entry[]), own] }
  world = await startWorld({ issuer: first.idp, registry })
  await first.broker.close()
})
afterAll(async () => {
  await world.close()
  await Promise.all([host.close(), world.idp.close()])
})
/** Nothing is asked again within this of a failure. */
beforeEach(() => world.advance(JWKS_RETRY_MS / 1000))

function form(): Record<string, string> {
  const now = world.now()
  const { client, key } = host
  const claims = { iss: client, sub: client, aud: world.issuer, iat: now, exp: now + 60, jti: crypto.randomUUID() }
  return {
    grant_type: 'client_credentials',
    resource: WIKI,
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: sign({ key, header: {}, claims }).reveal(),
  }
}
const ask = (): Promise<Answer> => world.post('/token', form())
const SECRET = {
  id: 'x',
  version: '1',
  sha256: 'A'.repeat(43),
  issued_at: '2026-11-21T12:00:00Z',
  expires_at: '2026-12-21T12:00:00Z',
}
const REFUSED = invalidClient('client_metadata_refused')
const LATER: Refusal = toStranger({ status: 503, error: 'temporarily_unavailable', reason: 'client_keys_unavailable' })

describe('#22 a document is refused', () => {
  const says: readonly (readonly [string, (host: ClientDocuments) => Entry])[] = [
    ['that names another client', () => ({ client_id: 'https://agents.example/report' })],
    ['whose client_id is another spelling of its URL', ({ client }) => ({ client_id: `${client}/` })],
    ['that names no client', () => ({ client_id: undefined })],
    ['whose client needs no secret at all', () => ({ token_endpoint_auth_method: 'none' })],
    ['whose client would send a shared secret', () => ({ token_endpoint_auth_method: 'client_secret_basic' })],
    [
      'that says no method: RFC 7591 takes that for client_secret_basic',
      () => ({ token_endpoint_auth_method: undefined }),
    ],
    ['of a method that nobody here knows', () => ({ token_endpoint_auth_method: 'tls_client_auth' })],
    ['with a secret in it', () => ({ client_secret: 'shared with everybody who reads it' })],
    ['with the end of a secret in it', () => ({ client_secret_expires_at: 0 })],
    ['with a private key in it', ({ key }) => ({ jwks: { keys: [privateJwk(key)] } })],
    ['with a symmetric key in it', () => ({ jwks: { keys: [{ kty: 'oct', k: 'c2VjcmV0', kid: 'a' }] } })],
    ['without keys', () => ({ jwks: undefined })],
    ['with two sets of keys', ({ origin }) => ({ jwks_uri: `${origin}/keys.json` })],
    ['whose keys are elsewhere', () => ({ jwks: undefined, jwks_uri: 'http://127.0.0.1:1/keys.json' })],
    ['whose keys are at no URL', () => ({ jwks: undefined, jwks_uri: ['x'] })],
    ['that wants an algorithm its entry does not allow', () => ({ token_endpoint_auth_signing_alg: 'RS256' })],
  ]
  test.each(says)('%s', async (_what, change) => {
    host.serve('/agents/report', host.document(change(host)))
    await expectRefused(world, ask, REFUSED)
    expect(host.asked()).toEqual(['/agents/report'])
  })

  const good = () => JSON.stringify(host.document())
  const served: readonly (readonly [string, Serve])[] = [
    ['a redirect, even to itself', (to) => to.writeHead(302, { location: host.client }).end()],
    ['201', (to) => to.writeHead(201, { 'content-type': 'application/json' }).end(good())],
    ['404', (to) => to.writeHead(404, { 'content-type': 'application/json' }).end(good())],
    ['500', (to) => to.writeHead(500, { 'content-type': 'application/json' }).end(good())],
    ['HTML', (to) => to.writeHead(200, { 'content-type': 'text/html' }).end(good())],
    ['no media type', (to) => to.writeHead(200).end(good())],
    [
      'more than 5 KB',
      (to) =>
        to.writeHead(200, { 'content-type': 'application/json' }).end(good().padEnd(CLIENT_METADATA_BYTES_MAX + 1)),
    ],
    [
      'a repeated member',
      (to) => to.writeHead(200, { 'content-type': 'application/json' }).end(`{"client_id":"x",${good().slice(1)}`),
    ],
    ['an array', (to) => to.writeHead(200, { 'content-type': 'application/json' }).end(`[${good()}]`)],
    ['half of it', (to) => to.writeHead(200, { 'content-type': 'application/json' }).end(good().slice(0, 100))],
  ]
  test.each(served)('that is served as %s', async (_what, serve) => {
    host.serve('/agents/report', (_request: unknown, response: ServerResponse) => serve(response))
    await expectRefused(world, ask, REFUSED)
    expect(host.asked()).toEqual(['/agents/report'])
  })
})

describe('the keys that a document points to', () => {
  const pointing = () =>
    host.serve('/agents/report', host.document({ jwks: undefined, jwks_uri: `${host.origin}/keys.json` }))
  test.each<[string, Serve]>([
    ['that redirect', (to) => to.writeHead(302, { location: `${host.origin}/elsewhere.json` }).end()],
    ['that are no key set', (to) => to.writeHead(200, { 'content-type': 'application/json' }).end('{"keys":1}')],
    ['that are not there', (to) => to.writeHead(404).end()],
  ])('%s are refused like the document itself', async (_what, serve) => {
    pointing()
    host.serve('/keys.json', (_request: unknown, response: ServerResponse) => serve(response))
    await expectRefused(world, ask, REFUSED)
    expect(host.asked()).toEqual(['/agents/report', '/keys.json'])
  })
})

describe('a refused document', () => {
  test('is not kept: what is mended is accepted, and what it was costs one request a second', async () => {
    host.serve('/agents/report', host.document({ token_endpoint_auth_method: 'none' }))
    for (let round = 0; round < 5; round += 1) await expectRefused(world, ask, REFUSED)
    expect(host.asked()).toEqual(['/agents/report'])
    host.serve('/agents/report', host.document())
    await world.advance(JWKS_RETRY_MS / 1000)
    const answer = await ask()
    expect(answer.status, JSON.stringify(answer.body)).toBe(200)
    expect(host.asked()).toEqual(['/agents/report'])
  })
})

describe('a host that does not answer', () => {
  test('is a matter of time, for its own client alone: 503, and others go on', async () => {
    const own = await startWorld({ issuer: world.idp, registry })
    host.serve('/agents/report', (request: { destroy(): void }) => request.destroy())
    await expectRefused(own, () => own.post('/token', form()), LATER)
    host.serve('/agents/report', () => undefined)
    await own.advance(JWKS_RETRY_MS / 1000)
    let isOver = false
    const hanging = own.post('/token', form()).finally(() => {
      isOver = true
    })
    expect((await own.introspect(own.idToken())).status).toBe(200)
    expect(isOver).toBe(false)
    expect((await hanging).status).toBe(503)
    await own.close()
  })
})

test('H80: a document on this machine is not read unless the operator has allowed it', async () => {
  host.serve('/agents/report', host.document())
  host.asked()
  const { config } = world
  const store = { kind: 'embedded', directory: `${config.keys.directory}/../guarded` } as const
  const outbound = { ...config.outbound, allowLoopback: false }
  const guarded = await createBroker(
    { ...config, store, outbound },
    {
      documents: [{ document: registry, sourceName: 'world.yaml' }],
      clock: world.clock,
    },
  )
  try {
    const answer = await guarded.app.request('/token', { method: 'POST', body: new URLSearchParams(form()) })
    expect([answer.status, host.asked()]).toEqual([401, []])
  } finally {
    await guarded.close()
  }
})

const OTHERS = {
  workload_issuers: [{ issuer: 'https://ci.example/jobs', slug: 'ci', platform: 'oidc' }],
  authorization_servers: [{ issuer: 'https://as.example/tenant', slug: 'as' }],
}

describe('an entry is refused', () => {
  const problemsOf = (change: Entry): string => {
    const agents = registry['agents'] as Entry[]
    const own = { ...agents.at(-1), ...change }
    try {
      const document = { ...registry, ...OTHERS, agents: [...agents.slice(0, -1), own] }
      decodeRegistry(document, 'r.yaml', { issuer: world.issuer })
      return ''
    } catch (error) {
      return String(error)
    }
  }
  test.each<[string, Entry, string]>([
    ['whose URL is plain http elsewhere', { client_id: 'http://agents.example/report' }, 'must be https'],
    ['whose URL has no path', { client_id: 'https://agents.example' }, 'needs a path'],
    ['whose URL has a bare path', { client_id: 'https://agents.example/' }, 'needs a path'],
    ['whose URL has a query', { client_id: 'https://agents.example/a?b' }, 'no query'],
    ['whose URL has a fragment', { client_id: 'https://agents.example/a#b' }, 'fragment'],
    ['whose URL has a user', { client_id: 'https://u:p@agents.example/a' }, 'user name'],
    ['whose URL has dot segments', { client_id: 'https://agents.example/a/../b' }, 'written as URLs parse'],
    ['whose URL has a default port', { client_id: 'https://agents.example:443/b' }, 'written as URLs parse'],
    ['whose URL has escapes', { client_id: 'https://agents.example/%61' }, 'needs a path of letters'],
    ['whose URL is a resource’s', { client_id: WIKI }, 'is the URL of'],
    ['whose URL is a platform’s', { client_id: 'https://ci.example/jobs' }, 'is the URL of'],
    ['whose URL is another authorization server’s', { client_id: 'https://as.example/tenant' }, 'is the URL of'],
    ['whose URL is the broker’s', { client_id: 'http://127.0.0.1:4400/agent' }, 'belongs to the broker itself'],
    [
      'with keys beside the document',
      { keys: [{ ...publicJwk(testKey('document-key')), version: '1' }] },
      'nothing beside it does',
    ],
    [
      'with an API key beside the document',
      { api_keys: [{ ...SECRET, resources: ['wiki'], scopes: ['mcp:tools:read'] }] },
      'nothing beside it does',
    ],
    ['with a secret beside the document', { client_secrets: [SECRET] }, 'nothing beside it does'],
    [
      'without saying which version the keys are of',
      { client_metadata: undefined },
      'is needed where client_id is a URL',
    ],
    ['with metadata and a plain name', { client_id: 'plain' }, 'needs a client_id that is the URL'],
  ])('%s', (_what, change, said) => {
    expect(problemsOf(change)).toContain(said)
  })
})
