/**
 * One warehouse, built six times as its users would build it: with the frameworks and SDKs there are, and the few lines of the
 * drop-in for each. Each listens on a port of its own, so each is a resource of its own.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { StreamableHTTPTransport } from '@hono/mcp'
import { getRequestListener } from '@hono/node-server'
import { requireBearerAuth as requireBearerAuthV1 } from '@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js'
import { McpServer as McpServerV1 } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import { createMcpHandler, McpServer, requireBearerAuth } from '@modelcontextprotocol/server'
import express, { type RequestHandler } from 'express'
import { Hono } from 'hono'
import { z } from 'zod'
import { resourceMetadataUrl } from '../../src/sdk/verify/challenge.ts'
import * as forExpress from '../../src/sdk/verify/express.ts'
import type { GuardOptions } from '../../src/sdk/verify/guard/guard.ts'
import * as forHono from '../../src/sdk/verify/hono.ts'
import * as forMcp from '../../src/sdk/verify/mcp.ts'

export const READ = 'mcp:tools:read'
export const TOOLS = {
  query: READ,
  list_tables: READ,
  insert_rows: 'mcp:tools:write',
  drop_table: 'mcp:tools:destructive',
}

const NAMES = Object.keys(TOOLS)
const INPUT = { table: z.string().optional(), limit: z.number().optional() }

/** What a tool answers: what it was called with, and by whom. `fail` is what a tool answers that has failed. */
function answer(
  name: string,
  input: { table?: string | undefined },
  authInfo: Parameters<typeof forMcp.verifiedOf>[0],
) {
  const token = forMcp.verifiedOf(authInfo)
  const text = `${name} ${JSON.stringify(input)} for ${token?.user} by ${token?.actors[0]}`
  return { content: [{ type: 'text' as const, text }], ...(input.table === 'costs' ? { isError: true } : {}) }
}

function serverV1(): McpServerV1 {
  const server = new McpServerV1({ name: 'warehouse', version: '1.0.0' })
  for (const name of NAMES) {
    server.registerTool(name, { inputSchema: INPUT }, async (input, { authInfo }) => answer(name, input, authInfo))
  }
  return server
}

function addTools(server: McpServer): McpServer {
  for (const name of NAMES) {
    server.registerTool(name, { inputSchema: z.object(INPUT) }, async (input, { http }) =>
      answer(name, input, http?.authInfo),
    )
  }
  return server
}

const serverV2 = () => addTools(new McpServer({ name: 'warehouse', version: '1.0.0' }))

type Listener = (request: IncomingMessage, response: ServerResponse) => void

/** `@hono/mcp`, which is built on SDK version 1. */
function honoMcp(options: GuardOptions): Listener {
  const app = new Hono<{ Variables: { auth: forHono.AuthInfo } }>()
  app.use(forHono.mcpAuth(options))
  app.all('/mcp', async (c) => {
    const transport = new StreamableHTTPTransport({})
    await serverV1().connect(transport)
    return (await transport.handleRequest(c)) ?? c.notFound()
  })
  return getRequestListener(app.fetch)
}

function honoV2(options: GuardOptions): Listener {
  const handler = createMcpHandler(serverV2)
  const app = new Hono<{ Variables: { auth: forHono.AuthInfo } }>()
  app.use(forHono.mcpAuth(options))
  app.all('/mcp', (c) => handler.fetch(c.req.raw, { authInfo: c.get('auth') }))
  return getRequestListener(app.fetch)
}

const handleV1: RequestHandler = async (req, res) => {
  const transport = new StreamableHTTPServerTransport({})
  await serverV1().connect(transport as Parameters<McpServerV1['connect']>[0])
  await transport.handleRequest(req, res, req.body)
}

function expressV1(options: GuardOptions): Listener {
  const app = express()
  app.use(express.json())
  app.use(forExpress.mcpAuth(options))
  app.all('/mcp', handleV1)
  return app
}

/** Nobody parses the body in front: the guard does. */
function expressBare(options: GuardOptions): Listener {
  const app = express()
  app.use(forExpress.mcpAuth(options))
  app.all('/mcp', handleV1)
  return app
}

/** The SDK's own check of the token stays, the pieces go before and behind it. */
function expressPieces(options: GuardOptions): Listener {
  const app = express()
  const { verifier } = options
  const resourceMetadata = resourceMetadataUrl(verifier.resource)
  const bearer = requireBearerAuthV1({
    verifier: forExpress.tokenVerifier(verifier),
    expectedResource: new URL(verifier.resource),
    resourceMetadataUrl: resourceMetadata,
  })
  app.use(express.json())
  app.get(new URL(resourceMetadata).pathname, forExpress.mcpAuth(options))
  app.all('/mcp', bearer, forExpress.toolGate(options), handleV1)
  return app
}

function mcpV2(options: GuardOptions): Listener {
  return getRequestListener(forMcp.mcpAuth(options, createMcpHandler(serverV2).fetch))
}

/** The SDK's own check of the token and of scopes stays; tools are guarded one by one. */
function mcpV2Pieces(options: GuardOptions): Listener {
  const { verifier } = options
  const whole = forMcp.mcpAuth(options, async () => new Response(null, { status: 500 }))
  const gate = requireBearerAuth({
    verifier: forMcp.tokenVerifier(verifier),
    resourceMetadataUrl: resourceMetadataUrl(verifier.resource),
    expectedResource: new URL(verifier.resource),
  })
  const handler = createMcpHandler(() =>
    addTools(forMcp.guardTools(new McpServer({ name: 'warehouse', version: '1.0.0' }), options)),
  )
  return getRequestListener(async (request) => {
    if (new URL(request.url).pathname !== '/mcp') return whole(request)
    const authInfo = await gate(request)
    return authInfo instanceof Response ? authInfo : handler.fetch(request, { authInfo })
  })
}

/** A gateway: forwards to a server that knows nothing of tokens, and never the token. */
export function gateway(options: GuardOptions, target: string): Listener {
  const app = new Hono<{ Variables: { auth: forHono.AuthInfo } }>()
  app.use(forHono.mcpAuth(options))
  app.all('/mcp', async (c) => {
    const { method, headers: received, signal } = c.req.raw
    const headers = new Headers(received)
    for (const name of ['authorization', 'connection', 'host', 'content-length']) headers.delete(name)
    const body = method === 'POST' ? await c.req.arrayBuffer() : null
    const answered = await fetch(target, { method, headers, signal, body })
    return new Response(answered.body, { status: answered.status, headers: answered.headers })
  })
  return getRequestListener(app.fetch)
}

/** `pieces`: the SDK checks the token, and some things it answers in its own words. */
export const KINDS: readonly {
  readonly name: string
  readonly pieces: false | 'v1' | 'v2'
  readonly listener: (options: GuardOptions) => Listener
}[] = [
  { name: 'hono-mcp', pieces: false, listener: honoMcp },
  { name: 'hono-v2', pieces: false, listener: honoV2 },
  { name: 'express-v1', pieces: false, listener: expressV1 },
  { name: 'express-bare', pieces: false, listener: expressBare },
  { name: 'mcp-v2', pieces: false, listener: mcpV2 },
  { name: 'express-pieces', pieces: 'v1', listener: expressPieces },
  { name: 'mcp-v2-pieces', pieces: 'v2', listener: mcpV2Pieces },
]

/** @returns a server that listens, and the URL of its resource */
export async function listening(): Promise<{ server: Server; resource: string }> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return { server, resource: `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/mcp` }
}
