/** API keys as client authentication: off by default, at the token endpoint alone, for less than their agent may, for a while. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { newApiKey } from '../../src/credentials/client/api-key.ts'
import { expectRefused, invalidClient, invalidRequest, invalidTarget, toStranger } from '../support/refusal.ts'
import {
  type Answer,
  claimsOf,
  registryDocument,
  startWorld,
  TYPE,
  WAREHOUSE,
  WIKI,
  type World,
} from '../support/world.ts'

type Entry = Record<string, unknown>

const DAY_S = 86_400
const READ = 'mcp:tools:read'
const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const reader = newApiKey()
const successor = newApiKey()
const lapsed = newApiKey()
const poor = newApiKey()

let off: World
let on: World

function entries(world: World): Entry[] {
  const time = (days: number) => new Date((world.now() + days * DAY_S) * 1000).toISOString()
  const entry = (id: string, sha256: string, days: readonly [number, number], more: Entry = {}) => ({
    id,
    version: '4',
    sha256,
    resources: ['wiki'],
    scopes: [READ],
    issued_at: time(days[0]),
    expires_at: time(days[1]),
    ...more,
  })
  const keys: Readonly<Record<string, readonly Entry[]>> = {
    orchestrator: [
      entry('k-reader', reader.fingerprint(), [-80, 10]),
      entry('k-next', successor.fingerprint(), [0, 89], { version: '5' }),
      entry('k-poor', poor.fingerprint(), [0, 89], { scopes: ['mcp:tools:destructive'] }),
    ],
    researcher: [entry('k-lapsed', lapsed.fingerprint(), [-90, -1], { resources: ['warehouse'] })],
  }
  return (registryDocument(world.idp)['agents'] as Entry[]).map((agent) => ({
    ...agent,
    api_keys: keys[String(agent['client_id'])] ?? [],
  }))
}

beforeAll(async () => {
  const first = await startWorld()
  off = await startWorld({ issuer: first.idp, registry: { agents: entries(first) } })
  on = await startWorld({ issuer: first.idp, settings: { apiKeys: true }, registry: { agents: entries(first) } })
  await first.broker.close()
})
afterAll(async () => {
  await on.close()
  await off.close()
  await on.idp.close()
})

const bearer = (key: { reveal(): string }) => ({ Authorization: `Bearer ${key.reveal()}` })
const ask = (key: { reveal(): string }, more: Entry = {}, world = on, path = '/token'): Promise<Answer> =>
  world.post(
    path,
    { grant_type: 'client_credentials', client_id: 'orchestrator', resource: WIKI, ...more } as never,
    bearer(key),
  )

describe('where API keys are switched on', () => {
  test('a key authenticates its agent, as the version it is bound to, again and again; the record names the key', async () => {
    for (const [key, id, version] of [
      [reader, 'k-reader', '4'],
      [successor, 'k-next', '5'],
      [reader, 'k-reader', '4'],
    ] as const) {
      const answer = await ask(key)
      expect(answer.status, JSON.stringify(answer.body)).toBe(200)
      const claims = claimsOf(answer.body.access_token)
      expect(claims).toMatchObject({ sub: 'agent:orchestrator', aud: WIKI, scope: READ, agent: { version } })
      expect(claims).not.toHaveProperty('act')
      const record = (await on.audit()).find((one) => one.id === answer.body.decision_id)
      expect(record).toMatchObject({ client_auth: { method: 'api_key', credential: id }, outcome: 'granted' })
    }
  })

  test('a key opens the servers it names and no other, whatever its agent may', async () => {
    const details = (location: string, tool: string) =>
      JSON.stringify([
        { type: 'agent_intent', purpose: 'Look around' },
        { type: 'mcp_tools', locations: [location], tools: { [tool]: {} } },
      ])
    const elsewhere = { resource: WAREHOUSE, authorization_details: details(WAREHOUSE, 'list_tables') }
    await expectRefused(on, () => ask(reader, elsewhere), invalidTarget('api_key_target'))
    const asItself = await on.clientCredentials('orchestrator', elsewhere)
    expect(asItself.status, JSON.stringify(asItself.body)).toBe(200)
  })

  test('a key opens the scopes it names and no other', async () => {
    const details = JSON.stringify([
      { type: 'agent_intent', purpose: 'Edit and read' },
      { type: 'mcp_tools', locations: [WIKI], tools: { search: {}, read_page: {}, edit_page: {} } },
    ])
    const both = await on.clientCredentials('orchestrator', { resource: WIKI, authorization_details: details })
    expect(both.body.scope).toBe('mcp:tools:read mcp:tools:write')
    const narrowed = await ask(reader, { authorization_details: details })
    expect(narrowed.body.scope, JSON.stringify(narrowed.body)).toBe(READ)
    const write = () => ask(reader, { authorization_details: details, scope: 'mcp:tools:write' })
    await expectRefused(on, write, { status: 400, error: 'invalid_scope', reason: 'nothing_granted' })
    await expectRefused(on, () => ask(poor), { status: 400, error: 'invalid_scope', reason: 'nothing_granted' })
  })

  test('a key never stands behind a user, a handle or the broker’s own API', async () => {
    const refused = { status: 400, error: 'unauthorized_client', reason: 'grant_type_not_allowed' } as const
    const { session } = await on.opened()
    for (const [subject_token, subject_token_type] of [
      [on.idToken(), TYPE.id],
      [session, TYPE.session],
    ]) {
      const exchange = { grant_type: TOKEN_EXCHANGE, subject_token, subject_token_type }
      await expectRefused(on, () => ask(reader, exchange), refused)
    }
    const api = { resource: `${on.issuer}/api`, scope: 'sessions' }
    await expectRefused(on, () => ask(reader, api), invalidTarget('api_key_target'))
  })

  test('a key authenticates nobody at any other endpoint, and is no bearer token', async () => {
    const unsupported = invalidClient('client_authentication_unsupported')
    for (const path of ['/introspect', '/revoke']) {
      await expectRefused(on, () => ask(reader, { token: on.idToken() }, on, path), unsupported)
    }
    for (const path of ['/sessions', '/admin/v1/sessions']) {
      const answer = await on.request(path, { headers: bearer(reader) })
      expect([answer.status, answer.body.error]).toEqual([401, 'invalid_token'])
    }
  })

  test('a key stops at its end, and when its agent is stopped', async () => {
    const soon = new Date((on.now() + 60) * 1000).toISOString()
    const ending = entries(on).map((agent) => ({
      ...agent,
      api_keys: (agent['api_keys'] as Entry[]).map((key) =>
        key['id'] === 'k-reader' ? { ...key, expires_at: soon } : key,
      ),
    }))
    const own = await startWorld({ issuer: on.idp, settings: { apiKeys: true }, registry: { agents: ending } })
    expect((await ask(reader, {}, own)).status).toBe(200)
    await own.advance(60)
    await expectRefused(own, () => ask(reader, {}, own), invalidClient('api_key_expired'))
    expect((await ask(successor, {}, own)).status).toBe(200)
    await own.close()
    const agents = entries(on).map((agent) => ({ ...agent, state: 'suspended' }))
    const stopped = await startWorld({ issuer: on.idp, settings: { apiKeys: true }, registry: { agents } })
    await expectRefused(stopped, () => ask(reader, {}, stopped), invalidRequest('agent_inactive'))
    await stopped.close()
  })

  test('RFC 8414 §2: the metadata say so, for the token endpoint', async () => {
    const { body } = await on.request('/.well-known/oauth-authorization-server')
    expect(body.token_endpoint_auth_methods_supported).toEqual(['private_key_jwt', 'api_key'])
    expect(body.introspection_endpoint_auth_methods_supported).toEqual(['private_key_jwt'])
  })
})

describe('what is refused of a key', () => {
  test('one answer for every key that is not believed, to the byte (H66)', async () => {
    const text = reader.reveal()
    const swapped = text.slice(0, 20) + (text[20] === 'A' ? 'B' : 'A') + text.slice(21)
    const refusals = [
      [() => ask(newApiKey()), 'api_key_wrong'],
      [() => ask(reader, { client_id: 'researcher' }), 'api_key_wrong'],
      [() => ask(reader, { client_id: 'warehouse-server' }), 'api_key_wrong'],
      [() => ask(reader, { client_id: 'nobody' }), 'client_unknown'],
      [() => ask(lapsed, { client_id: 'researcher' }), 'api_key_expired'],
      [() => ask({ reveal: () => swapped }), 'api_key_malformed'],
      [() => ask({ reveal: () => `${text}A` }), 'api_key_malformed'],
      [() => ask(reader, { client_id: undefined }), 'api_key_malformed'],
    ] as const
    const answers: string[] = []
    for (const [request, reason] of refusals) {
      const { answer } = await expectRefused(on, request, invalidClient(reason))
      expect(answer.headers.get('www-authenticate')).toBe('Bearer')
      answers.push(JSON.stringify(answer.body))
    }
    expect(new Set(answers).size).toBe(1)
  })

  test('RFC 6749 §2.3: a key beside an assertion or a secret is refused, not preferred', async () => {
    const refused = toStranger(invalidRequest('client_authentication_ambiguous'))
    await expectRefused(on, () => ask(reader, on.authentication('orchestrator') as Entry), refused)
    await expectRefused(on, () => ask(reader, { client_secret: 'x' }), refused)
  })

  test('a key in the body, or with the scheme Basic, is no key', async () => {
    const inBody = () =>
      on.post('/token', {
        grant_type: 'client_credentials',
        resource: WIKI,
        client_secret: reader.reveal(),
        client_id: 'orchestrator',
      })
    await expectRefused(on, inBody, invalidClient('client_authentication_unsupported'))
    const header = { Authorization: `Basic ${Buffer.from(`orchestrator:${reader.reveal()}`).toString('base64')}` }
    const basic = () => on.post('/token', { grant_type: 'client_credentials', resource: WIKI }, header)
    await expectRefused(on, basic, invalidClient('client_authentication_unsupported'))
  })
})

describe('where API keys are not switched on, as by default', () => {
  test('a key of the registry authenticates nobody, and the metadata do not offer it', async () => {
    await expectRefused(off, () => ask(reader, {}, off), invalidClient('client_authentication_unsupported'))
    const { body } = await off.request('/.well-known/oauth-authorization-server')
    expect(body.token_endpoint_auth_methods_supported).toEqual(['private_key_jwt'])
  })
})
