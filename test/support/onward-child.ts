/**
 * One party of a call that goes through three processes, chosen by its order (one line of JSON): the agent, the MCP server in live
 * mode that it calls, or the API behind that. Each writes one line of log per request, as JSON, and `listening` once it can be asked.
 */
import { createPrivateKey, type JsonWebKey } from 'node:crypto'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { serve } from '@hono/node-server'
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server'
import { z } from 'zod'
import { signJwt } from '../../src/jose/sign-jwt.ts'
import { createAgent, privateKeyJwt } from '../../src/sdk/agent/agent.ts'
import { guarded } from '../../src/sdk/verify/guard/web.ts'
import { createBrokerClient } from '../../src/sdk/verify/live/broker-client.ts'
import { logFields } from '../../src/sdk/verify/log-fields.ts'
import { verifiedOf } from '../../src/sdk/verify/mcp.ts'
import { createVerifier } from '../../src/sdk/verify/verifier.ts'

export type OnwardOrder = {
  readonly issuer: string
  readonly clientId: string
  readonly key: JsonWebKey & { readonly kid: string }
} & (
  | {
      readonly role: 'agent'
      readonly resource: string
      readonly next: string
      readonly idToken: string
      readonly tool: string
    }
  | { readonly role: 'server'; readonly resource: string; readonly next: string; readonly port: number }
  | { readonly role: 'api'; readonly resource: string; readonly port: number }
)

const READ = 'mcp:tools:read'
const WRITE = 'mcp:tools:write'

function say(fields: object): void {
  process.stdout.write(`${JSON.stringify(fields)}\n`)
}

function identityOf({ clientId, key }: OnwardOrder) {
  const signing = { kid: key.kid, alg: 'ES256', key: createPrivateKey({ key, format: 'jwk' }) }
  return {
    clientId,
    sign: (claims: Readonly<Record<string, unknown>>) => signJwt(signing, 'client-authentication+jwt', claims),
  }
}

function listen(port: number, fetch: (request: Request) => Promise<Response>): void {
  serve({ fetch, port, hostname: '127.0.0.1' }, () => say({ listening: port }))
}

/** `query` asks the API behind; `hang` never ends. */
function runServer(order: Extract<OnwardOrder, { readonly role: 'server' }>): void {
  const { issuer, resource, next } = order
  const broker = createBrokerClient({ issuer, client: identityOf(order) })
  const verifier = createVerifier({ issuer, resource, introspection: identityOf(order) })
  const handler = createMcpHandler(() => {
    const server = new McpServer({ name: 'warehouse', version: '1.0.0' })
    const inputSchema = z.record(z.string(), z.unknown())
    server.registerTool('query', { inputSchema }, async (_input, { http }) => {
      const { authInfo } = http ?? {}
      const verified = verifiedOf(authInfo)
      if (authInfo === undefined || verified === undefined) throw new Error('no token')
      say({ at: 'server', ...logFields(verified) })
      const post = broker.downstreamFetch(authInfo, { resource: next }, 'req-7731')
      const response = await post(next, { method: 'POST', body: '{"channel":"#finance"}' })
      const forwarded = await fetch(next, { method: 'POST', headers: { authorization: `Bearer ${authInfo.token}` } })
      return { content: [{ type: 'text', text: `${await response.text()} ${forwarded.status}` }] }
    })
    server.registerTool('list_tables', { inputSchema }, async () => {
      say({ at: 'server', hangs: true })
      await sleep(600_000)
      return { content: [] }
    })
    return server
  })
  const tools = { query: READ, list_tables: READ }
  listen(order.port, guarded({ verifier, tools, baseScope: READ, judge: broker.judge }, handler.fetch))
}

function runApi(order: Extract<OnwardOrder, { readonly role: 'api' }>): void {
  const { issuer, resource } = order
  const verifier = createVerifier({ issuer, resource })
  listen(order.port, async (request) => {
    const bearer = /^Bearer (.+)$/.exec(request.headers.get('authorization') ?? '')?.[1] ?? ''
    try {
      const token = await verifier.verify(bearer)
      const allowed = token.scopes.includes(WRITE) && token.tools.has('post_message')
      say({ at: 'api', request: request.headers.get('x-request-id'), allowed, ...logFields(token) })
      return new Response(allowed ? 'posted' : 'no', { status: allowed ? 200 : 403 })
    } catch {
      say({ at: 'api', refused: true })
      return new Response(null, { status: 401 })
    }
  })
}

async function runAgent(order: Extract<OnwardOrder, { readonly role: 'agent' }>): Promise<void> {
  const { issuer, clientId, key, resource, next, idToken, tool } = order
  const agent = createAgent({ broker: issuer, credential: privateKeyJwt({ clientId, key }) })
  const session = await agent.openSession({
    intent: {
      purpose: 'Summarise Q3 revenue and post it to #finance',
      origin: { type: 'user_request', ref: 'msg-7731' },
      tools: {
        [resource]: { query: {}, list_tables: {} },
        [next]: { post_message: { channel: { const: '#finance' }, text: {} } },
      },
    },
    onBehalfOf: idToken,
  })
  const { sub } = JSON.parse(Buffer.from(idToken.split('.')[1] ?? '', 'base64url').toString()) as { sub: string }
  say({ at: 'agent', 'enduser.id': `user:corp:${sub}`, 'agent.id': clientId, 'errand.session': session.id })
  const response = await session.fetch(resource, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: tool, arguments: { table: 'revenue' } },
    }),
  })
  say({ at: 'agent', status: response.status, answer: await response.text() })
}

createInterface({ input: process.stdin })
  .once('line', (line) => {
    const order = JSON.parse(line) as OnwardOrder
    if (order.role === 'agent')
      void runAgent(order).catch((error: unknown) => say({ at: 'agent', error: String(error) }))
    else if (order.role === 'server') runServer(order)
    else runApi(order)
  })
  .once('close', () => process.exit(0))
