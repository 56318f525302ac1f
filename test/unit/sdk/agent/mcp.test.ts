/**
 * Step-up by an `OAuthClientProvider`, where the agent has begun with less: SDK version 2 asks for what the server wants, and the
 * library sees to it that what is held is kept, and that no more is asked for than that. Version 1 does not tell its provider what
 * the server wants (`fetchToken` passes `clientMetadata.scope` alone): there it needs `fetch`.
 */
import * as v2 from '@modelcontextprotocol/client'
import { Client as V1Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as V1Transport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { AnySession } from '../../../../src/sdk/agent/agent.ts'
import { mcpOAuthProvider } from '../../../../src/sdk/agent/mcp.ts'
import type { Fetch } from '../../../../src/sdk/broker/http.ts'
import { type AgentWorld, agentWorld, READ, WRITE } from '../../../support/agent-world.ts'
import { startWorld, WAREHOUSE, type World } from '../../../support/world.ts'

let world: World
let here: AgentWorld
/** Scopes of the token requests that the SDK has made itself. */
let asked: (string | null)[]

beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world.close())
beforeEach(() => {
  here = agentWorld(world, { warehouse: WAREHOUSE })
  asked = []
})

/** The servers, and the broker: the SDK asks for tokens with the same `fetch`. */
const fetch: Fetch = async (input, init) => {
  const url = input instanceof Request ? input.url : String(input)
  if (!url.startsWith(world.issuer)) return here.fetch(input, init)
  if (url.endsWith('/token')) asked.push(new URLSearchParams(String(init?.body)).get('scope'))
  return world.broker.app.request(url.slice(world.issuer.length), init)
}

type Call = (tool: string, args: Record<string, unknown>) => Promise<string>

async function v1Client(session: AnySession): Promise<Call> {
  const client = new V1Client({ name: 'v1', version: '1' })
  const authProvider = mcpOAuthProvider(session, WAREHOUSE)
  // Its own types disagree under exactOptionalPropertyTypes.
  const transport = new V1Transport(new URL(WAREHOUSE), { fetch, authProvider })
  await client.connect(transport as Parameters<V1Client['connect']>[0])
  return async (name, args) => JSON.stringify(await client.callTool({ name, arguments: args }))
}

async function v2Client(session: AnySession): Promise<Call> {
  const client = new v2.Client({ name: 'v2', version: '1' }, { versionNegotiation: { mode: 'auto' } })
  const authProvider = mcpOAuthProvider(session, WAREHOUSE)
  await client.connect(new v2.StreamableHTTPClientTransport(new URL(WAREHOUSE), { fetch, authProvider }))
  return async (name, args) => JSON.stringify(await client.callTool({ name, arguments: args }))
}

const SDKS = [
  { sdk: '1', connect: v1Client },
  { sdk: '2', connect: v2Client },
]

const open = (tools: Readonly<Record<string, object>>, startWith: Readonly<Record<string, string>>) =>
  here.agent('orchestrator').openSession({
    intent: { purpose: 'Write the summary down', tools: { [WAREHOUSE]: tools } } as never,
    onBehalfOf: world.idToken(),
    startWith,
  })

describe.each(SDKS)('SDK version $sdk', ({ connect }) => {
  test('is refused what the session does not have, and what it has goes on', async () => {
    const call = await connect(await open({ query: {} }, { [WAREHOUSE]: READ }))
    await expect(call('insert_rows', { rows: [] })).rejects.toThrow()
    expect(asked.length).toBeLessThanOrEqual(2)
    expect(await call('query', { table: 'revenue' })).toContain('query')
  })

  test('asks for no scope where the session began with all that it has', async () => {
    const call = await connect(await open({ query: {} }, {}))
    await expect(call('insert_rows', { rows: [] })).rejects.toThrow()
    expect(new Set(asked)).toEqual(new Set([null]))
    expect(await call('query', { table: 'revenue' })).toContain('query')
  })
})

test('SDK version 2 steps up to the union of what is held and wanted, once, and goes on with it', async () => {
  const call = await v2Client(await open({ query: {}, insert_rows: {} }, { [WAREHOUSE]: READ }))
  expect(await call('query', { table: 'revenue' })).toContain('query')
  expect(asked).toEqual([])
  expect(await call('insert_rows', { rows: [] })).toContain('insert_rows')
  expect(asked).toEqual([`${READ} ${WRITE}`])
  await call('query', { table: 'costs' })
  await call('insert_rows', { rows: [] })
  expect(asked).toHaveLength(1)
})

test('what is held is kept also where an SDK asks for what the server wants alone', async () => {
  const provider = mcpOAuthProvider(await open({ query: {}, insert_rows: {} }, { [WAREHOUSE]: READ }), WAREHOUSE)
  await provider.tokens()
  expect((await provider.prepareTokenRequest(WRITE)).get('scope')).toBe(`${READ} ${WRITE}`)
  expect((await provider.prepareTokenRequest(READ)).get('scope')).toBe(READ)
})

test('SDK version 1 cannot: it asks for the same again, says so, and goes on with what it has', async () => {
  const call = await v1Client(await open({ query: {}, insert_rows: {} }, { [WAREHOUSE]: READ }))
  await expect(call('insert_rows', { rows: [] })).rejects.toThrow(/after trying upscoping/)
  expect(asked).toEqual([READ])
  expect(await call('query', { table: 'revenue' })).toContain('query')
})
