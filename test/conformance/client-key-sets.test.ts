/** Clients that publish their keys at a `jwks_uri` (RFC 7591 §2), over real HTTP: rotation, outage, isolation, no stranger's network. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createBroker } from '../../src/app.ts'
import { STRANGERS_AT_ONCE_MAX } from '../../src/kernel/limits.ts'
import { JWKS_COOLDOWN_MS, JWKS_FRESH_MS, JWKS_RETRY_MS, JWKS_STALE_MS_MAX } from '../../src/kernel/outbound-limits.ts'
import { answerJson, startIssuer, type TestIssuer } from '../support/issuer.ts'
import { publicJwk, sign, type TestKey, testKey } from '../support/keys.ts'
import { aWhile } from '../support/patience.ts'
import { expectRefused, invalidClient, toStranger } from '../support/refusal.ts'
import { type Answer, registryDocument, startWorld, WIKI, type World } from '../support/world.ts'

type Entry = Record<string, unknown>

let host: TestIssuer
let second: TestIssuer
let world: World

beforeEach(async () => {
  host = await startIssuer({ slug: 'published' })
  second = await startIssuer({ slug: 'second' })
  const idp = await startIssuer({ slug: 'corp' })
  const { agents, services } = registryDocument(idp)
  const sets = [
    { jwks_uri: `${host.url}/jwks`, version: '7' },
    { jwks_uri: `${second.url}/jwks`, version: '8' },
  ]
  const publishing = (entries: unknown, id: string, more: Entry) =>
    (entries as Entry[]).map((entry) => (entry['client_id'] === id ? { ...entry, ...more } : entry))
  const registry = {
    agents: publishing(agents, 'orchestrator', { keys: [], key_sets: sets }),
    services: publishing(services, 'wiki-server', { key_sets: sets.slice(0, 1) }),
  }
  world = await startWorld({ issuer: idp, registry })
})
afterEach(async () => {
  await world.close()
  await Promise.all([host.close(), second.close(), world.idp.close()])
})

const LATER = toStranger({ status: 503, error: 'temporarily_unavailable', reason: 'client_keys_unavailable' })

function assertion(key: TestKey, client: string, header: Entry = {}): Entry & { client_assertion: string } {
  const now = world.now()
  const claims = { iss: client, sub: client, aud: world.issuer, iat: now, exp: now + 60, jti: crypto.randomUUID() }
  return {
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: sign({ key, header, claims }).reveal(),
  }
}

const ask = (key: TestKey, client = 'orchestrator', header: Entry = {}): Promise<Answer> =>
  world.post('/token', { grant_type: 'client_credentials', resource: WIKI, ...assertion(key, client, header) })

const accepted = async (key: TestKey): Promise<void> => {
  const answer = await ask(key)
  expect(answer.status, JSON.stringify(answer.body)).toBe(200)
}
/** A refresh in the background has ended once the server was asked that often and its answer was read. */
async function settled(server: TestIssuer, requests: number): Promise<void> {
  while (server.countRequests() < requests) await new Promise((resolve) => setTimeout(resolve, 5))
  await aWhile(30)
}

describe('published keys', () => {
  test('authenticate, each as the version it was registered for, and are fetched once', async () => {
    await accepted(host.key)
    await accepted(second.key)
    await accepted(host.key)
    expect([host.countRequests(), second.countRequests()]).toEqual([1, 1])
    const records = (await world.audit()).filter(({ event }) => event === 'token.autonomous')
    expect(records.map(({ agent }) => agent.version).sort()).toEqual(['7', '7', '8'])
  })

  test('serve at every endpoint, beside an inline key, which needs no network', async () => {
    const inline = await world.introspect(world.idToken(), 'wiki-server')
    expect([inline.status, host.countRequests()]).toEqual([200, 0])
    for (const path of ['/introspect', '/revoke']) {
      const answer = await world.post(path, { ...assertion(host.key, 'wiki-server'), token: world.idToken() })
      expect(answer.status, JSON.stringify(answer.body)).toBe(200)
    }
    expect(host.countRequests()).toBe(1)
  })

  test('are refused once they are withdrawn and read again; the new one is accepted as soon as it is named', async () => {
    const old = host.key
    await accepted(old)
    const rotated = host.rotate()
    await world.advance(JWKS_COOLDOWN_MS / 1000)
    await accepted(rotated)
    await expectRefused(world, () => ask(old), invalidClient('client_assertion_signature'))
  })

  test('are refreshed in the background, and a removed key does not outlive the refresh', async () => {
    await accepted(host.key)
    const old = host.key
    host.rotate()
    await world.advance(JWKS_FRESH_MS / 1000)
    const before = host.countRequests()
    await accepted(old)
    await settled(host, before + 1)
    await expectRefused(world, () => ask(old), invalidClient('client_assertion_signature'))
  })

  test('are not trusted without end when they cannot be read again (hard bound): 503 for their client alone', async () => {
    await accepted(host.key)
    for (const server of [host, second]) server.misbehave((_request, response) => response.writeHead(500).end())
    await world.advance(JWKS_STALE_MS_MAX / 1000 - 1)
    await accepted(host.key)
    await world.advance(1)
    const { answer } = await expectRefused(world, () => ask(host.key), LATER)
    expect(answer.headers.get('retry-after')).toBe('1')
    expect((await world.introspect(world.idToken())).status).toBe(200)
    for (const server of [host, second]) server.misbehave(undefined)
    await world.advance(JWKS_RETRY_MS / 1000)
    await accepted(host.key)
  })

  test('of one version are not lost because another version’s cannot be read', async () => {
    second.misbehave((_request, response) => response.writeHead(500).end())
    await accepted(host.key)
    // Which key is meant is not said: the set that cannot be read might hold it too.
    await expectRefused(world, () => ask(host.key, 'orchestrator', { kid: undefined }), LATER)
  })

  test('that answer to one name in two sets are nobody’s: the version could not be told', async () => {
    const both = [publicJwk(host.key)]
    second.misbehave((_request, response) => answerJson(response, { keys: both }))
    await expectRefused(world, () => ask(host.key), invalidClient('client_assertion_signature'))
  })

  test('do not authenticate anybody else', async () => {
    await accepted(host.key)
    await expectRefused(world, () => ask(host.key, 'researcher'), invalidClient('client_assertion_signature'))
    await expectRefused(world, () => ask(second.key, 'wiki-server'), invalidClient('client_assertion_signature'))
  })
})

describe('strangers', () => {
  test('provoke no fetch under a name that is not registered, and one per cool-down under one that is', async () => {
    const unknown = testKey('unknown')
    await expectRefused(world, () => ask(unknown, 'nobody'), invalidClient('client_unknown'))
    expect(host.countRequests()).toBe(0)
    await accepted(host.key)
    const before = host.countRequests()
    await world.advance(JWKS_COOLDOWN_MS / 1000)
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => ask(unknown, 'orchestrator', { kid: `guess-${index}` })),
    )
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([401]))
    expect(host.countRequests() - before).toBe(1)
  })

  test('do not use up one client’s look at new keys under the name of another that shares its URL', async () => {
    await accepted(host.key)
    await world.advance(JWKS_COOLDOWN_MS / 1000)
    const guess = () => ask(testKey('unknown'), 'wiki-server', { kid: 'guess' })
    await expectRefused(world, guess, invalidClient('client_assertion_signature'))
    await accepted(host.rotate())
  })

  test('one client’s server that never answers delays no other client', async () => {
    host.misbehave(() => undefined)
    second.misbehave(() => undefined)
    let isOver = false
    const hanging = ask(host.key).finally(() => {
      isOver = true
    })
    expect((await world.introspect(world.idToken())).status).toBe(200)
    expect(isOver).toBe(false)
    expect((await hanging).status).toBe(503)
  })

  test('many who claim a client whose server never answers keep no place that a newcomer needs', async () => {
    host.misbehave(() => undefined)
    second.misbehave(() => undefined)
    let isOver = false
    const hanging = Promise.all(Array.from({ length: 2 * STRANGERS_AT_ONCE_MAX }, () => ask(host.key))).finally(() => {
      isOver = true
    })
    // Let them arrive: each would wait for the network in one of the few places where credentials are verified.
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect((await world.introspect(world.idToken())).status).toBe(200)
    expect(isOver).toBe(false)
    expect(new Set((await hanging).map(({ status }) => status))).toEqual(new Set([503]))
  })
})

test('H80: keys are not fetched from this machine unless the operator has allowed it', async () => {
  const server = createServer((_request, response) => answerJson(response, { keys: [publicJwk(host.key)] }))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  let asked = 0
  server.on('request', () => {
    asked += 1
  })
  const document = registryDocument(world.idp)
  const agents = (document['agents'] as Entry[]).map((entry) =>
    entry['client_id'] === 'orchestrator'
      ? { ...entry, keys: [], key_sets: [{ jwks_uri: `http://127.0.0.1:${port}/jwks`, version: '1' }] }
      : entry,
  )
  const { config } = world
  const store = { kind: 'embedded', directory: `${config.keys.directory}/../guarded` } as const
  const guarded = await createBroker(
    { ...config, store, outbound: { ...config.outbound, allowLoopback: false } },
    { documents: [{ document: { ...document, agents }, sourceName: 'world.yaml' }], clock: world.clock },
  )
  try {
    const body = new URLSearchParams({
      grant_type: 'client_credentials',
      resource: WIKI,
      ...assertion(host.key, 'orchestrator'),
    })
    const answer = await guarded.app.request('/token', { method: 'POST', body })
    expect([answer.status, asked]).toEqual([503, 0])
  } finally {
    await guarded.close()
    server.close()
  }
})
