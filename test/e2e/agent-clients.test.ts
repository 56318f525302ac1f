/**
 * The agent library under clients that nobody here wrote, against MCP servers of both SDK versions behind the verifier, over real
 * sockets, with a broker in a process of its own: first call, expiry in mid-use, step-up, revocation, a broker that restarts.
 */
import { createServer, type Server } from 'node:http'
import { createMCPClient } from '@ai-sdk/mcp'
import * as v2 from '@modelcontextprotocol/client'
import { Client as V1Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as V1Transport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { MCPServerStreamableHttp } from '@openai/agents-core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { serveMcp } from '../../src/cli/demo/mcp-server.ts'
import { warehouseTools } from '../../src/cli/demo/mcp-tools.ts'
import { type Agent, type AnySession, createAgent, privateKeyJwt, SessionEnded } from '../../src/sdk/agent/agent.ts'
import { type McpOAuthProvider, mcpAuthProvider, mcpOAuthProvider } from '../../src/sdk/agent/mcp.ts'
import { formOverHttp } from '../../src/sdk/broker/http.ts'
import { type BrokerProcess, type Fleet, startFleet } from '../support/broker-process.ts'
import { freePort } from '../support/free-port.ts'
import { privateJwk, sign, testKey } from '../support/keys.ts'
import { patient } from '../support/world.ts'

/** Short, so that tokens end while clients are connected. */
const LIFE_S = 4

interface Connected {
  call(tool: string, args: Readonly<Record<string, unknown>>): Promise<string>
  close(): Promise<void>
}
type Connect = (url: URL, session: AnySession) => Promise<Connected>

const text = (result: unknown): string => JSON.stringify(result)

async function v1With(url: URL, options: ConstructorParameters<typeof V1Transport>[1]): Promise<Connected> {
  const client = new V1Client({ name: 'v1', version: '1' })
  // Its own types disagree under exactOptionalPropertyTypes.
  await client.connect(new V1Transport(url, options) as Parameters<V1Client['connect']>[0])
  return {
    call: async (name, args) => text(await client.callTool({ name, arguments: { ...args } })),
    close: () => client.close(),
  }
}

async function v2With(url: URL, options: v2.StreamableHTTPClientTransportOptions): Promise<Connected> {
  const client = new v2.Client({ name: 'v2', version: '1' }, { versionNegotiation: { mode: 'auto' } })
  await client.connect(new v2.StreamableHTTPClientTransport(url, options))
  return {
    call: async (name, args) => text(await client.callTool({ name, arguments: { ...args } })),
    close: () => client.close(),
  }
}

const CLIENTS: readonly { readonly what: string; readonly connect: Connect }[] = [
  { what: 'SDK version 1 with fetch', connect: (url, { fetch }) => v1With(url, { fetch }) },
  { what: 'SDK version 2 with fetch', connect: (url, { fetch }) => v2With(url, { fetch }) },
  {
    what: 'SDK version 1 with an OAuthClientProvider',
    connect: (url, session) => v1With(url, { authProvider: mcpOAuthProvider(session, url.href) }),
  },
  {
    what: 'SDK version 2 with an OAuthClientProvider',
    connect: (url, session) => v2With(url, { authProvider: mcpOAuthProvider(session, url.href) }),
  },
  {
    what: 'SDK version 2 with an AuthProvider',
    connect: (url, session) => v2With(url, { authProvider: mcpAuthProvider(session, url.href) }),
  },
  {
    what: 'the AI SDK with fetch',
    connect: async (url, { fetch }) => {
      const client = await createMCPClient({ transport: { type: 'http', url: url.href, fetch: fetch as never } })
      const tools = await client.tools()
      return {
        call: async (name, args) =>
          text(await tools[name]?.execute?.(args, { toolCallId: '1', messages: [] } as never)),
        close: () => client.close(),
      }
    },
  },
  {
    what: 'OpenAI Agents with fetch',
    connect: async (url, { fetch }) => {
      const server = new MCPServerStreamableHttp({ url: url.href, name: 'warehouse', fetch })
      await server.connect()
      return { call: async (name, args) => text(await server.callTool(name, { ...args })), close: () => server.close() }
    },
  },
]

let fleet: Fleet
let broker: BrokerProcess
const servers = new Map<'v1' | 'v2', { readonly server: Server; url: string }>()
let brokerPort = 0

beforeAll(async () => {
  for (const sdk of ['v1', 'v2'] as const) {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    servers.set(sdk, { server, url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/mcp` })
  }
  brokerPort = await freePort()
  fleet = await startFleet((directory) => ({
    store: { kind: 'embedded', directory: `${directory}/store` },
    settings: { issuer: `http://127.0.0.1:${brokerPort}`, accessTokenSeconds: LIFE_S },
    registry: withServers,
  }))
  broker = patient(await fleet.start({ port: brokerPort }))
  for (const [sdk, { server, url }] of servers) {
    const key = testKey(`${serviceOf(sdk)}-key`)
    serveMcp(server, {
      name: `warehouse ${sdk}`,
      sdk,
      issuer: broker.issuer,
      resource: url,
      tools: warehouseTools(),
      baseScope: 'mcp:tools:read',
      introspection: {
        clientId: serviceOf(sdk),
        sign: async (claims) => sign({ key, header: { typ: 'client-authentication+jwt' }, claims }).reveal(),
      },
    })
  }
})

afterAll(async () => {
  for (const { server } of servers.values()) {
    server.closeAllConnections()
    server.close()
  }
  await fleet?.close()
})

/** The world's warehouse and wiki, where they listen. */
const serviceOf = (sdk: 'v1' | 'v2') => (sdk === 'v1' ? 'wiki-server' : 'warehouse-server')

function withServers(document: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const tools = {
    query: { category: 'read' },
    list_tables: { category: 'read' },
    drop_table: { category: 'destructive' },
  }
  const at = (id: string, sdk: 'v1' | 'v2') => ({
    id,
    url: servers.get(sdk)?.url,
    owner: 'data-team',
    project: 'analytics',
    server_client: `${id}-server`,
    enforces: 'arguments',
    tools,
  })
  return { ...document, resources: [at('wiki', 'v1'), at('warehouse', 'v2')], agents: agentsWithoutStanding(document) }
}

/** Their standing intents are about servers that are not here. */
function agentsWithoutStanding(document: Readonly<Record<string, unknown>>) {
  return (document['agents'] as { client_id: string }[]).map((entry) => {
    if (entry.client_id !== 'orchestrator') return entry
    const tools = { warehouse: { list_tables: {} }, wiki: { list_tables: {} } }
    return { ...entry, standing_intent: { purpose: 'Look at what there is', tools } }
  })
}

/** Remembers what it has asked for. */
function agentOf(asked: URLSearchParams[] = []): Agent {
  return createAgent({
    broker: broker.issuer,
    credential: privateKeyJwt({ clientId: 'orchestrator', key: privateJwk(testKey('orchestrator-key')) }),
    forms: async (request) => {
      if (request.url.endsWith('/token')) asked.push(request.form)
      return formOverHttp(request)
    },
  })
}

const QUERY = { table: { enum: ['revenue', 'costs'] }, limit: { maximum: 10 } } as const
const urlOf = (sdk: 'v1' | 'v2') => servers.get(sdk)?.url ?? ''

function open(sdk: 'v1' | 'v2', agent = agentOf()): Promise<AnySession> {
  return agent.openSession({
    intent: { purpose: 'Summarise Q3 revenue', tools: { [urlOf(sdk)]: { query: QUERY, list_tables: {} } } },
    onBehalfOf: broker.idToken(),
  })
}

const expiry = () => new Promise((resolve) => setTimeout(resolve, LIFE_S * 1_000))
const ended: Connected[] = []
afterEach(async () => {
  for (const connected of ended.splice(0)) await connected.close().catch(() => undefined)
})

describe.each(['v1', 'v2'] as const)('a server of SDK %s', (sdk) => {
  test('is called by every client, across the end of a token, which is asked for anew once', async () => {
    const connected = await Promise.all(
      CLIENTS.map(async ({ what, connect }) => {
        const asked: URLSearchParams[] = []
        const session = await open(sdk, agentOf(asked))
        const client = await connect(new URL(urlOf(sdk)), session)
        ended.push(client)
        return { what, asked, client, first: await client.call('query', { table: 'revenue', limit: 1 }) }
      }),
    )
    await expiry()
    for (const { what, asked, client, first } of connected) {
      expect(first, what).toContain('412000')
      const before = asked.length
      const calls = await Promise.all(Array.from({ length: 5 }, () => client.call('list_tables', {})))
      expect(
        calls.filter((answer) => answer.includes('revenue')),
        what,
      ).toHaveLength(5)
      expect(asked.length - before, what).toBe(1)
    }
  })

  test.each(CLIENTS)('refuses $what once the session has ended', async ({ what, connect }) => {
    const session = await open(sdk)
    const client = await connect(new URL(urlOf(sdk)), session)
    ended.push(client)
    await client.call('list_tables', {})
    // By another process of the same agent.
    const closed = await broker.bearer(`/sessions/${session.id}`, await broker.apiToken(), 'DELETE')
    expect(closed.status).toBe(200)
    const error = await client.call('list_tables', {}).then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    // A provider's SDK makes the request itself, and says in its own words that it was refused.
    expect(chain(error)).toMatch(what.includes('OAuth') ? /OAuth/ : /session ses_\S+ has ended/)
  })
})

function chain(error: unknown): string {
  return error instanceof Error ? `${error.message} ${chain(error.cause)}` : ''
}

test('an agent on its own finds a server of its broker and calls it under its standing intent', async () => {
  const asked: URLSearchParams[] = []
  const client = await v2With(new URL(urlOf('v2')), { fetch: agentOf(asked).fetch })
  ended.push(client)
  expect(await client.call('list_tables', {})).toContain('revenue')
  expect(asked.map((form) => form.get('grant_type'))).toEqual(['client_credentials'])
})

test('a broker that restarts is not noticed by who holds a token, and is asked again afterwards', async () => {
  const session = await open('v2')
  const client = await v2With(new URL(urlOf('v2')), { fetch: session.fetch })
  ended.push(client)
  await client.call('list_tables', {})
  await broker.stop()
  broker = patient(await fleet.start({ port: brokerPort }))
  expect(await client.call('list_tables', {})).toContain('revenue')
  await expiry()
  expect(await client.call('list_tables', {})).toContain('revenue')
})

test('a provider sends nothing to the token endpoint of another authorization server', async () => {
  const provider: McpOAuthProvider = mcpOAuthProvider(await open('v2'), urlOf('v2'))
  const params = new URLSearchParams()
  const add = provider.addClientAuthentication // as the SDKs call it: unbound
  await expect(add(new Headers(), params, 'https://evil.example/token')).rejects.toThrow(/nothing is sent there/)
  expect([...params]).toEqual([])
  await add(new Headers(), params, `${broker.issuer}/token`)
  expect(params.get('subject_token')).toMatch(/^ey/)
})

test('a closed session is an error of its own kind for whoever calls fetch', async () => {
  const session = await open('v1')
  await session.close()
  await expect(session.fetch(urlOf('v1'))).rejects.toThrow(SessionEnded)
})
