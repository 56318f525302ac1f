import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { Hono } from 'hono'
import { afterEach, expect, test } from 'vitest'
import { MCP_SESSIONS_MAX } from '../../../../../src/kernel/mcp-limits.ts'
import { mcpAuth, tokenVerifier, toolGate } from '../../../../../src/sdk/verify/express.ts'
import { ProtocolSessions } from '../../../../../src/sdk/verify/guard/protocol-sessions.ts'
import { guarded } from '../../../../../src/sdk/verify/guard/web.ts'
import { type AuthInfo, mcpAuth as honoAuth } from '../../../../../src/sdk/verify/hono.ts'
import type { VerifiedToken } from '../../../../../src/sdk/verify/verified-token.ts'
import { createVerifier } from '../../../../../src/sdk/verify/verifier.ts'
import { Door, ISSUER, ManualClock, newKey, RESOURCE, token } from '../issuing.ts'

const key = newKey('k1')
const OTHERS = [{ sub: 'user:corp:bob' }, { client_id: 'x', act: { iss: ISSUER, sub: 'agent:x' } }]
const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

function options() {
  const door = new Door([key])
  const verifier = createVerifier({ issuer: ISSUER, resource: RESOURCE, door: door.open, clock: new ManualClock() })
  return { verifier, tools: { query: 'mcp:tools:read' }, baseScope: 'mcp:tools:read' }
}

type Handle = (request: IncomingMessage, response: ServerResponse) => void
async function onNode(handle: Handle): Promise<(init: RequestInit) => Promise<Response>> {
  const server = createServer(handle)
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return (init) => fetch(`http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/mcp`, init)
}

const ANSWERS: Record<string, (response: ServerResponse) => void> = {
  'a header that was set': (response) => void response.setHeader('Mcp-Session-Id', 's1').end('{}'),
  'headers by name': (response) => void response.writeHead(200, { 'Mcp-Session-Id': 's1' }).end('{}'),
  'headers in turn': (response) => void response.writeHead(200, 'fine', ['x', 'y', 'mcp-session-id', 's1']).end('{}'),
}

const kinds: [string, () => Promise<(init: RequestInit) => Promise<Response>>][] = [
  ...Object.entries(ANSWERS).map(([name, answer]): (typeof kinds)[number] => [
    `Express, by ${name}`,
    () => {
      const middleware = mcpAuth(options())
      return onNode((request, response) => middleware(request, response, () => answer(response)))
    },
  ]),
  [
    'Express, behind the SDK',
    () => {
      const given = options()
      const [verifier, gate] = [tokenVerifier(given.verifier), toolGate(given)]
      return onNode(async (request: IncomingMessage & { auth?: AuthInfo }, response) => {
        const bearer = request.headers.authorization?.split(' ')[1] ?? ''
        request.auth = (await verifier.verifyAccessToken(bearer)) as AuthInfo
        gate(request, response, () => ANSWERS['headers by name']?.(response))
      })
    },
  ],
  [
    'Hono',
    async () => {
      const app = new Hono<{ Variables: { auth: AuthInfo } }>()
      app.use(honoAuth(options()))
      app.all('/mcp', (c) => c.text('{}', 200, { 'mcp-session-id': 's1' }))
      return async (init) => app.request('/mcp', init)
    },
  ],
  [
    'a fetch',
    async () => {
      const serve = guarded(options(), async () => new Response('{}', { headers: { 'mcp-session-id': 's1' } }))
      return (init) => serve(new Request(RESOURCE, init))
    },
  ],
]

test.each(kinds)('%s: a session that one has opened is no session of another user or agent', async (_title, start) => {
  const reach = await start()
  const send = async (method: string, claims: object, session?: string) => {
    const authorization = `Bearer ${await token(key, { ...claims })}`
    const headers = { authorization, ...(session === undefined ? {} : { 'mcp-session-id': session }) }
    const body = method === 'POST' ? { body: '{"jsonrpc":"2.0","id":1,"method":"ping"}' } : {}
    return (await reach({ method, headers, ...body })).status
  }
  expect(await send('POST', {}, 's1')).toBe(200)
  expect(await send('POST', {})).toBe(200)
  for (const method of ['POST', 'GET', 'DELETE']) {
    expect(await send(method, { jti: 'jti_2', sid: 'ses_2' }, 's1')).toBe(200)
    for (const other of OTHERS) {
      expect(await send(method, other, 's1')).toBe(404)
      expect(await send(method, other, 'another')).toBe(200)
    }
  }
})

test('of more sessions than are remembered, the oldest are the server’s alone to know', () => {
  const sessions = new ProtocolSessions()
  const [alice, bob] = ['user:corp:alice', 'user:corp:bob'].map(
    (subject) => ({ subject, clientId: 'report-writer' }) as VerifiedToken,
  ) as [VerifiedToken, VerifiedToken]
  for (let at = 0; at <= MCP_SESSIONS_MAX; at += 1) sessions.opened(`s${at}`, alice)
  expect([sessions.isOfAnother(['s0'], bob), sessions.isOfAnother(['s1'], bob)]).toEqual([false, true])
  sessions.opened('s1', bob)
  expect([sessions.isOfAnother(['s1'], bob), sessions.isOfAnother(['s1'], alice)]).toEqual([true, false])
})
