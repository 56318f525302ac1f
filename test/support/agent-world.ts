/**
 * Agents and MCP servers in one process with a broker whose clock can be moved: the agent library speaks to the real broker, its
 * `fetch` to real MCP servers with the real verifier before them; only the sockets are missing. What is asked of the broker is
 * counted.
 */
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server'
import { z } from 'zod'
import { type Agent, type AgentOptions, createAgent, privateKeyJwt } from '../../src/sdk/agent/agent.ts'
import { BrokerRefused, type Fetch, type FormDoor, type JsonDoor } from '../../src/sdk/broker/http.ts'
import { guarded } from '../../src/sdk/verify/guard/web.ts'
import { createVerifier } from '../../src/sdk/verify/verifier.ts'
import { privateJwk, sign, testKey } from './keys.ts'
import { ManualClock, type World } from './world.ts'

export const READ = 'mcp:tools:read'
export const WRITE = 'mcp:tools:write'

/** Tool → scope, as the world's registry has them. */
export const MANIFESTS: Readonly<Record<string, ReadonlyMap<string, string>>> = {
  warehouse: new Map([
    ['query', READ],
    ['list_tables', READ],
    ['insert_rows', WRITE],
    ['drop_table', 'mcp:tools:destructive'],
  ]),
  slack: new Map([
    ['post_message', WRITE],
    ['list_channels', READ],
  ]),
}

export interface AgentWorld {
  /** Forms that reached the token endpoint, without their credentials. */
  readonly asked: URLSearchParams[]
  /** Requests that reached an MCP server, with what they carried. */
  readonly called: { readonly url: string; readonly authorization: string | null; readonly status: number }[]
  /** Documents asked for. */
  readonly read: string[]
  /** Set: agents cannot reach the broker. */
  away: boolean
  agent(client: string, options?: Partial<AgentOptions>): Agent
  /** Another answer of one server, for as long as it is set. */
  stands: ((request: Request) => Promise<Response | undefined>) | undefined
  readonly fetch: Fetch
  /** How agents here reach the broker, and documents of servers. */
  readonly doors: { readonly door: JsonDoor; readonly forms: FormDoor }
}

export function agentWorld(world: World, resources: Readonly<Record<string, string>>): AgentWorld {
  const reach = async (url: string, init: RequestInit): Promise<Response> => {
    return world.broker.app.request(url.replace(world.issuer, ''), init)
  }
  const door: JsonDoor = async ({ url, form, bearer }) => {
    here.read.push(url)
    const headers = bearer === undefined ? {} : { authorization: `Bearer ${bearer.reveal()}` }
    const init = form === undefined ? { headers: {} } : posted(form)
    const response = url.startsWith(world.issuer)
      ? await reach(url, { ...init, headers: { ...headers, ...init.headers } })
      : await serve(new Request(url))
    if (response.status !== 200) throw new BrokerRefused(response.status)
    return response.text()
  }
  const forms: FormDoor = async ({ url, form, json, headers }) => {
    const asJson = { body: JSON.stringify(json), headers: { 'content-type': 'application/json' } }
    const { body, headers: type } = json === undefined ? posted(form) : asJson
    if (url.endsWith('/token')) here.asked.push(form)
    if (here.away) throw new TypeError('fetch failed')
    const response = await reach(url, { method: 'POST', body, headers: { ...type, ...headers } })
    const text = await response.text()
    return { status: response.status, text, header: (name) => response.headers.get(name) ?? undefined }
  }
  const servers = new Map(Object.entries(resources).map(([id, url]) => [new URL(url).origin, mcpServer(id, url)]))

  function mcpServer(id: string, resource: string): (request: Request) => Promise<Response> {
    const manifest = MANIFESTS[id] ?? new Map()
    const key = testKey(`${id}-server-key`)
    const introspection = {
      clientId: `${id}-server`,
      sign: async (claims: Readonly<Record<string, unknown>>) =>
        sign({ key, header: { typ: 'client-authentication+jwt' }, claims }).reveal(),
    }
    const { clock } = world
    const verifier = createVerifier({ issuer: world.issuer, resource, introspection, door, clock })
    const handler = createMcpHandler(() => {
      const server = new McpServer({ name: id, version: '1.0.0' })
      for (const name of manifest.keys()) {
        const inputSchema = z.record(z.string(), z.unknown())
        server.registerTool(name, { description: name, inputSchema }, async (input) => ({
          content: [{ type: 'text', text: `${name} ${JSON.stringify(input)}` }],
        }))
      }
      return server
    })
    return guarded({ verifier, tools: manifest, baseScope: READ }, handler.fetch)
  }

  async function serve(request: Request): Promise<Response> {
    const other = await here.stands?.(request)
    const server = servers.get(new URL(request.url).origin)
    return other ?? (await server?.(request)) ?? new Response(null, { status: 404 })
  }

  const here: AgentWorld = {
    asked: [],
    called: [],
    read: [],
    away: false,
    stands: undefined,
    doors: { door, forms },
    agent: (client, options = {}) =>
      createAgent({
        broker: world.issuer,
        credential: privateKeyJwt({ clientId: client, key: privateJwk(testKey(`${client}-key`)) }),
        door,
        forms,
        fetch: here.fetch,
        clock: world.clock,
        ticks: { ticksMs: () => world.clock.nowMs() },
        ...options,
      }),
    fetch: async (input, init) => {
      const request = new Request(input, init)
      const response = await serve(request)
      const authorization = request.headers.get('authorization')
      here.called.push({ url: request.url, authorization, status: response.status })
      return response
    },
  }
  return here
}

function posted(form: URLSearchParams) {
  return {
    method: 'POST',
    body: form.toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  }
}

/** One JSON-RPC request that calls a tool, without a client. */
export function toolCall(tool: string, args: Readonly<Record<string, unknown>> = {}): RequestInit {
  return {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: tool, arguments: args } }),
  }
}

export { ManualClock }
