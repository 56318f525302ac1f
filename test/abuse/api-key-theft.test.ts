/** Somebody has found an API key: what it is worth, how it is stopped, and that nothing we write helps to find one. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { newApiKey } from '../../src/credentials/client/api-key.ts'
import { granted, kill } from '../support/hops.ts'
import { expectRefused, invalidClient, invalidRequest, toStranger } from '../support/refusal.ts'
import { TOKEN_EXCHANGE } from '../support/workloads.ts'
import {
  type Answer,
  claimsOf,
  type Params,
  registryDocument,
  startWorld,
  TYPE,
  WAREHOUSE,
  type World,
} from '../support/world.ts'

type Entry = Record<string, unknown>

const SCOPES = ['mcp:tools:read', 'mcp:tools:write', 'mcp:tools:destructive', 'mcp:tools:admin']
const key = newApiKey()

let world: World
beforeEach(async () => {
  const first = await startWorld()
  const at = (seconds: number) => new Date((first.now() + seconds) * 1000).toISOString()
  const stolen = { id: 'k-stolen', version: '1', sha256: key.fingerprint(), issued_at: at(-60), expires_at: at(3600) }
  // It names more than the researcher's manifest has: reading, at one server.
  const wide = { ...stolen, resources: ['warehouse', 'slack', 'wiki', 'calendar'], scopes: SCOPES }
  const agents = (registryDocument(first.idp)['agents'] as Entry[]).map((agent) =>
    agent['client_id'] === 'researcher' ? { ...agent, api_keys: [wide] } : agent,
  )
  const limits = { perSourceAndClient: { perSecond: 1, burst: 5 } }
  world = await startWorld({ issuer: first.idp, settings: { apiKeys: true }, registry: { agents }, limits })
  await first.broker.close()
})
afterEach(async () => {
  await world.close()
  await world.idp.close()
})

const details = (tool: string) =>
  JSON.stringify([
    { type: 'agent_intent', purpose: 'Whatever is there' },
    { type: 'mcp_tools', locations: [WAREHOUSE], tools: { [tool]: {} } },
  ])
const withKey = (params: Params, secret = key): Promise<Answer> =>
  world.post('/token', { client_id: 'researcher', ...params }, { Authorization: `Bearer ${secret.reveal()}` })
const ask = (tool: string, secret = key): Promise<Answer> =>
  withKey({ grant_type: 'client_credentials', resource: WAREHOUSE, authorization_details: details(tool) }, secret)

describe('a stolen key', () => {
  test('opens nothing that its agent may not, however much its entry names', async () => {
    const read = await ask('query')
    expect(claimsOf(read.body.access_token)).toMatchObject({ scope: 'mcp:tools:read', sub: 'agent:researcher' })
    for (const tool of ['insert_rows', 'drop_table']) {
      const answer = await ask(tool)
      expect([tool, answer.status], JSON.stringify(answer.body)).toEqual([tool, 400])
    }
  })

  test('dies with its agent at once, and what it had opened with it', async () => {
    const token = (await ask('query')).body.access_token
    expect((await world.introspect(token, 'warehouse-server')).body.active).toBe(true)
    await kill(world, { dimension: 'agent', agent: 'researcher', block: true })
    expect((await world.introspect(token, 'warehouse-server')).body.active).toBe(false)
    await expectRefused(world, () => ask('query'), invalidRequest('principal_blocked'))
  })

  test('cannot be traded for anything that lasts: no session token, no delegation', async () => {
    const token = (await ask('query')).body.access_token
    const answer = await world.exchange('researcher', {
      subject_token: token,
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      requested_token_type: 'urn:errand:token-type:session',
    })
    expect(answer.body.error_reason).toBe('subject_token_presenter')
    // Nor the key itself, whatever its thief has found beside it.
    const { token: delegation } = await granted(world.delegate((await world.opened()).session))
    const refused = { status: 400, error: 'unauthorized_client', reason: 'grant_type_not_allowed' } as const
    for (const [subject_token, subject_token_type] of [
      [world.idToken({ aud: 'researcher-at-idp' }), TYPE.id],
      [delegation, TYPE.delegation],
    ] as const) {
      for (const requested_token_type of [TYPE.access, TYPE.session, TYPE.delegation]) {
        const exchange = { grant_type: TOKEN_EXCHANGE, subject_token, subject_token_type, requested_token_type }
        await expectRefused(world, () => withKey({ ...exchange, resource: WAREHOUSE }), refused)
      }
    }
  })
})

describe('a guesser', () => {
  test('is held by the limits of strangers, and takes nothing from whoever has the key', async () => {
    expect((await ask('query')).status).toBe(200)
    for (let round = 0; round < 5; round += 1) {
      await expectRefused(world, () => ask('query', newApiKey()), invalidClient('api_key_wrong'))
    }
    const limited = { status: 429, error: 'temporarily_unavailable', reason: 'source_client_limited' } as const
    await expectRefused(world, () => ask('query', newApiKey()), toStranger(limited))
    expect((await ask('query')).status).toBe(200)
  })
})

test('no record holds a key, nor the digest that the registry has of it', async () => {
  await ask('query')
  await ask('query', newApiKey())
  await world.broker.flushAudit()
  const text = JSON.stringify(await world.audit(1_000))
  expect(text).toContain('k-stolen')
  for (const part of [key.reveal().slice(10, 40), key.fingerprint()]) expect(text).not.toContain(part)
})
