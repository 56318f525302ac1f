/**
 * `errand proxy` and `errand headers` as a user runs them: a process of their own before an MCP server behind Errand's verifier,
 * and SDK clients that know a URL and nothing of tokens. Who else is on the machine, and what servers do with tokens, is tried.
 */
import { statSync, writeFileSync } from 'node:fs'
import { type IncomingHttpHeaders, type RequestOptions, request } from 'node:http'
import { join } from 'node:path'
import * as v2 from '@modelcontextprotocol/client'
import { Client as V1Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as V1Transport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { CreateMessageRequestSchema } from '@modelcontextprotocol/sdk/types.js'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { errand, type RunningProgram, TOKEN_TEXT } from '../support/errand-command.ts'
import { type RunningMcpServer, startEverything } from '../support/mcp-programs.ts'
import { type Proxied, startProxied } from '../support/proxied-server.ts'
import { claimsOf, WAREHOUSE } from '../support/world.ts'

let here: Proxied
let url: string
let program: RunningProgram
let everything: RunningMcpServer
beforeAll(async () => {
  everything = await startEverything()
  here = await startProxied({ url: everything.url, tools: ['echo', 'trigger-sampling-request'] })
  const proxy = await here.proxy()
  url = proxy.url
  program = proxy.program
})
beforeEach(() => {
  here.instead = undefined
  here.seen.length = 0
})
afterAll(async () => {
  await here?.close()
  await everything?.stop()
})

const TOOL = { jsonrpc: '2.0', id: 7, method: 'tools/call', params: { name: 'test_simple_text', arguments: {} } }
const JSON_BOTH = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }

interface Answered {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

/** `fetch` lets nobody choose `Host` or `Origin`. */
function send(to: string, options: RequestOptions = {}, body?: string): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const outgoing = request(to, { method: 'POST', ...options, headers: { ...JSON_BOTH, ...options.headers } })
    outgoing.once('error', reject)
    outgoing.once('response', async (response) => {
      const text = Buffer.concat(await response.toArray()).toString()
      resolve({ status: response.statusCode ?? 0, headers: response.headers, text })
    })
    outgoing.end(body)
  })
}

const call = (headers: Record<string, string> = {}) => send(url, { headers }, JSON.stringify(TOOL))

async function connected(to: string, onProgress?: () => void) {
  const client = new V1Client({ name: 'static', version: '1.0.0' })
  await client.connect(new V1Transport(new URL(to)))
  return {
    client,
    slow: () => client.callTool({ name: 'slow_stream' }, undefined, { onprogress: () => onProgress?.() }),
  }
}

describe('a client that knows nothing but a URL', () => {
  test('of SDK 1 calls a tool with a token of the broker, and hears of progress while the call runs', async () => {
    const heardAtMs: number[] = []
    const { client, slow } = await connected(url, () => heardAtMs.push(performance.now()))
    expect((await client.listTools()).tools.map(({ name }) => name)).toContain('test_simple_text')
    await slow()
    const endedAtMs = performance.now()
    expect(heardAtMs).toHaveLength(3)
    // 1.2 s in all: had the proxy kept the stream until its end, all would have come at once.
    expect(endedAtMs - (heardAtMs[0] ?? endedAtMs)).toBeGreaterThan(700)
    const bearer = here.seen.at(-1)?.headers.authorization?.replace('Bearer ', '') ?? ''
    expect(claimsOf(bearer)).toMatchObject({ aud: here.resource, sub: 'agent:orchestrator' })
    await client.close()
  })

  test('of SDK 2 calls one, and is told why another is refused', async () => {
    const client = new v2.Client({ name: 'static', version: '2.0.0' }, { versionNegotiation: { mode: 'auto' } })
    await client.connect(new v2.StreamableHTTPClientTransport(new URL(url)))
    const result = await client.callTool({ name: 'test_simple_text', arguments: {} })
    expect(result.content).toEqual([{ type: 'text', text: 'This is a simple text response for testing.' }])
    await expect(client.callTool({ name: 'edit_page', arguments: {} })).rejects.toThrow('mcp:tools:write')
    await client.close()
  })

  test('is told how a call would stay within, and whom to ask, under the id of its call', async () => {
    const told = { narrow_to: { tool: 'x', constraints: { limit: { maximum: 10 } } }, access_request: { id: 'apr_1' } }
    const headers = { 'www-authenticate': 'Bearer error="outside_intent", error_description="no"' }
    here.instead = () => Response.json({ error: 'outside_intent', other: 'x', ...told }, { status: 403, headers })
    const { status, text } = await call()
    expect(status).toBe(403)
    const { id, error } = JSON.parse(text)
    expect({ id, data: error.data }).toEqual({ id: TOOL.id, data: told })
  })

  test('is asked back by a server that keeps a session: both directions pass (server-everything)', async () => {
    const { url: other } = await here.proxy('--resource', everything.url)
    const client = new V1Client({ name: 'static', version: '1.0.0' }, { capabilities: { sampling: {} } })
    client.setRequestHandler(CreateMessageRequestSchema, async () => ({
      model: 'none',
      role: 'assistant',
      content: { type: 'text', text: 'asked back' },
    }))
    await client.connect(new V1Transport(new URL(other)))
    const tool = { name: 'trigger-sampling-request', arguments: { prompt: 'hello', maxTokens: 5 } }
    expect(JSON.stringify((await client.callTool(tool)).content)).toContain('asked back')
    await client.close()
  })

  test('is served with tokens bound to the proxy’s own key, where it is told to (RFC 9449)', async () => {
    const { url: bound } = await here.proxy('--dpop')
    expect((await send(bound, {}, JSON.stringify(TOOL))).text).toContain('This is a simple text response')
    const { authorization, dpop } = here.seen.at(-1)?.headers ?? {}
    expect(authorization).toMatch(/^DPoP ey/)
    expect(claimsOf(String(authorization).replace('DPoP ', ''))).toHaveProperty('cnf.jkt')
    expect(dpop).toMatch(TOKEN_TEXT)
  })

  test('that goes away ends the call at the server, too', async () => {
    let isAborted = false
    here.instead = (asked) => {
      asked.signal.addEventListener('abort', () => {
        isAborted = true
      })
      return new Response(new ReadableStream({ start: (stream) => stream.enqueue(Buffer.from(': open\n\n')) }), {
        headers: { 'content-type': 'text/event-stream' },
      })
    }
    const gone = new AbortController()
    const response = await fetch(url, { headers: { accept: 'text/event-stream' }, signal: gone.signal })
    expect(response.headers.get('content-type')).toBe('text/event-stream')
    gone.abort()
    await expect.poll(() => isAborted).toBe(true)
  })

  test('brings no credentials of its own to the server, and gets none of the server’s', async () => {
    here.instead = () =>
      Response.json({}, { headers: { 'set-cookie': 'a=b', 'mcp-session-id': 'm1', 'x-powered-by': 'x', server: 'x' } })
    const own = {
      authorization: 'Bearer own',
      cookie: 'own=1',
      dpop: 'own',
      'x-forwarded-for': '10.0.0.1',
      'x-api-key': 'own',
    }
    const answer = await call({ ...own, 'mcp-session-id': 'm1', traceparent: '00-1-1-00', 'last-event-id': 'e' })
    expect(answer.status).toBe(200)
    const headers: IncomingHttpHeaders = here.seen[0]?.headers ?? {}
    expect(JSON.stringify(headers)).not.toContain('own')
    expect(headers).toMatchObject({ 'mcp-session-id': 'm1', traceparent: '00-1-1-00', 'last-event-id': 'e' })
    expect(headers['x-forwarded-for']).toBeUndefined()
    expect(answer.headers).toMatchObject({ 'mcp-session-id': 'm1' })
    expect(answer.headers['set-cookie']).toBeUndefined()
    expect(JSON.stringify(answer)).not.toMatch(TOKEN_TEXT)
  })
})

describe('a server', () => {
  const bearers = () => here.seen.map(({ headers }) => headers.authorization)

  test('that refuses a token is asked once more with another, and then not again; nobody is sent to sign in', async () => {
    let refusals = 1
    here.instead = () => (refusals-- > 0 ? new Response(null, { status: 401 }) : Response.json({ ok: true }))
    expect((await call()).text).toBe('{"ok":true}')
    expect(new Set(bearers()).size).toBe(2)
    here.seen.length = 0
    here.instead = () => new Response(null, { status: 401, headers: { 'www-authenticate': 'Bearer' } })
    const answer = await call()
    expect(answer.status).toBe(502)
    expect(answer.headers['www-authenticate']).toBeUndefined()
    expect(JSON.parse(answer.text)).toMatchObject({
      id: 7,
      error: { message: expect.stringContaining('does not accept') },
    })
    expect(here.seen).toHaveLength(2)
  })

  test.each([
    301, 302, 307, 308,
  ])('that redirects (%i) is not followed, by the proxy or by the client', async (status) => {
    here.instead = () => new Response(null, { status, headers: { location: 'http://127.0.0.1:9/elsewhere' } })
    const answer = await call()
    expect([answer.status, answer.headers.location]).toEqual([502, undefined])
    expect(here.seen).toHaveLength(1)
  })
})

describe('whoever else is on the machine', () => {
  const port = () => new URL(url).port
  const origin = () => new URL(url).origin

  test.each([
    ['no path', () => '/'],
    ['a wrong path', () => `/${'A'.repeat(32)}`],
    ['more than the path', () => `${new URL(url).pathname}/more`],
    ['less than the path', () => new URL(url).pathname.slice(0, -1)],
    ['what clients look for', () => '/.well-known/oauth-protected-resource'],
  ])('reaches nothing with %s', async (_what, path) => {
    const answer = await send(origin() + path(), {}, JSON.stringify(TOOL))
    expect([answer.status, here.seen.length]).toEqual([404, 0])
  })

  test.each([
    ['another host (DNS rebinding)', { host: 'evil.example' }],
    ['another port', { host: '127.0.0.1:1' }],
    ['a host that begins well', { host: '127.0.0.1.evil.example' }],
    ['another origin', { origin: 'https://evil.example' }],
    ['an origin that is none', { origin: 'null' }],
    ['a page of another port', { origin: 'http://localhost:1' }],
    ['a page, without an origin', { 'sec-fetch-site': 'cross-site' }],
    ['a page of the same site', { 'sec-fetch-site': 'same-site' }],
  ])('is refused with the right path and %s', async (_what, headers) => {
    const answer = await call(headers)
    expect([answer.status, here.seen.length]).toEqual([403, 0])
    expect(answer.headers['access-control-allow-origin']).toBeUndefined()
  })

  test('is served under each name of this machine, by MCP’s methods, up to 4 MiB', async () => {
    const path = new URL(url).pathname
    for (const host of [`localhost:${port()}`, `LOCALHOST:${port()}`]) {
      expect((await call({ host })).status).toBe(200)
    }
    for (const method of ['PUT', 'OPTIONS', 'PATCH', 'HEAD']) {
      expect((await send(origin() + path, { method })).status).toBe(405)
    }
    const seen = here.seen.length
    const long = await fetch(url, { method: 'POST', headers: JSON_BOTH, body: 'x'.repeat(5 * 1024 * 1024) }).catch(
      () => undefined,
    )
    expect([undefined, 413]).toContain(long?.status)
    expect(here.seen).toHaveLength(seen)
  })

  test('learns nothing from what the proxy writes', () => {
    expect(program.out()).toBe(`${url}\n`)
    expect(program.err()).not.toMatch(TOKEN_TEXT)
    expect(program.err()).not.toContain(new URL(url).pathname)
  })
})

describe('a session', () => {
  const intentAt = (resource: string, tool: string) =>
    JSON.stringify([
      { type: 'agent_intent', purpose: 'Read for Alice' },
      { type: 'mcp_tools', locations: [resource], tools: { [tool]: {} } },
    ])

  test('is whose the calls are, and its end is the end of them', async () => {
    const opened = await here.broker.open({ authorization_details: intentAt(here.resource, 'test_simple_text') })
    expect(opened.status, JSON.stringify(opened.body)).toBe(200)
    const file = join(here.directory, 'session.jwt')
    writeFileSync(file, opened.body.access_token)
    const { url: mine } = await here.proxy('--session-token-file', file)
    const ok = await send(mine, {}, JSON.stringify(TOOL))
    expect(ok.text).toContain('This is a simple text response')
    const claims = claimsOf(here.seen[0]?.headers.authorization?.replace('Bearer ', '') ?? '')
    expect(claims).toMatchObject({ sub: 'user:corp:alice', act: { sub: 'agent:orchestrator' } })
    const other = { ...TOOL, params: { name: 'test_image_content', arguments: {} } }
    const refused = await send(mine, {}, JSON.stringify(other))
    expect([refused.status, JSON.parse(refused.text).id]).toEqual([403, 7])
    expect((await here.broker.revoke(opened.body.access_token)).status).toBe(200)
    // The server does not know it yet (its token is offline); it does not take long until the proxy asks for another.
    here.instead = () => new Response(null, { status: 401 })
    const over = await send(mine, {}, JSON.stringify(TOOL))
    expect([over.status, JSON.parse(over.text).error.message]).toEqual([403, expect.stringContaining('has ended')])
    here.instead = undefined
    // Whoever opens another in its place need not start the proxy again; what is no session changes nothing.
    writeFileSync(file, 'half a tok')
    expect((await send(mine, {}, JSON.stringify(TOOL))).status).toBe(403)
    const next = await here.broker.open({ authorization_details: intentAt(here.resource, 'test_simple_text') })
    writeFileSync(file, next.body.access_token)
    expect((await send(mine, {}, JSON.stringify(TOOL))).text).toContain('This is a simple text response')
    const last = claimsOf(here.seen.at(-1)?.headers.authorization?.replace('Bearer ', '') ?? '')
    expect(last['sid']).not.toBe(claims['sid'])
  })

  test('for another server is not taken: it would be called without any token', async () => {
    const opened = await here.broker.open({ authorization_details: intentAt(WAREHOUSE, 'list_tables') })
    const file = join(here.directory, 'other.jwt')
    writeFileSync(file, opened.body.access_token)
    const args = ['headers', '--resource', here.resource, ...here.agent, '--session-token-file', file]
    const { code, out, err } = await errand(args, { cwd: here.directory })
    expect([code, out]).toEqual([2, ''])
    expect(err).toContain('is not for')
  })
})

describe('what is typed', () => {
  const run = (...args: string[]) => errand(args, { cwd: here.directory })

  test('errand headers prints one JSON object, for its client alone', async () => {
    const { code, out, err } = await run('headers', '--resource', here.resource, ...here.agent)
    expect([code, err]).toEqual([0, ''])
    const headers = JSON.parse(out)
    expect(Object.keys(headers)).toEqual(['Authorization'])
    expect(claimsOf(headers.Authorization.replace('Bearer ', ''))['aud']).toBe(here.resource)
    const called = await fetch(here.resource, {
      method: 'POST',
      headers: { ...JSON_BOTH, ...headers },
      body: JSON.stringify(TOOL),
    })
    expect(called.status).toBe(200)
  })

  test('what goes wrong is one line on stderr, nothing on stdout', async () => {
    const unknown = await run('headers', '--resource', 'https://nowhere.example/mcp', ...here.agent)
    expect([unknown.code, unknown.out]).toEqual([1, ''])
    expect(unknown.err).toMatch(/^errand: .+\n$/)
    const plain = await run('headers', '--resource', 'http://mcp.example/mcp', ...here.agent)
    expect([plain.code, plain.out]).toEqual([2, ''])
    const wide = await run('proxy', '--resource', here.resource, ...here.agent, '--listen', '0.0.0.0:0')
    expect([wide.code, wide.err]).toEqual([2, expect.stringContaining('only 127.0.0.1')])
    const none = await run('proxy', '--resource', 'https://nowhere.example/mcp', ...here.agent)
    expect([none.code, none.out]).toEqual([1, ''])
  })

  test('a server behind a token is scanned through the proxy, and with a token from a pipe', async () => {
    const through = await run('scan', url, '--json')
    const issued = await here.broker.clientCredentials('orchestrator', { resource: here.resource })
    const args = ['scan', here.resource, '--token-file', '-', '--json']
    const piped = await errand(args, { cwd: here.directory, input: issued.body.access_token })
    for (const { code, out } of [through, piped]) expect([code, JSON.parse(out).tools.length]).toEqual([0, 11])
    expect(JSON.parse(piped.out).digest).toBe(JSON.parse(through.out).digest)
    const without = await run('scan', here.resource)
    expect([without.code, without.err]).toEqual([1, expect.stringContaining('--token-file')])
  })

  test('a path that is kept is the same next time, private, and refused where others could read it', async () => {
    const file = join(here.directory, 'proxy.secret')
    const first = await here.proxy('--secret-file', file)
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(await first.program.stop()).toBe(0)
    const second = await here.proxy('--secret-file', file)
    expect(new URL(second.url).pathname).toBe(new URL(first.url).pathname)
    expect(new URL(second.url).pathname).not.toBe(new URL(url).pathname)
    const open = join(here.directory, 'open.secret')
    writeFileSync(open, 'A'.repeat(32), { mode: 0o644 })
    const refused = await run('proxy', '--resource', here.resource, ...here.agent, '--secret-file', open)
    expect([refused.code, refused.err]).toEqual([2, expect.stringContaining('chmod 600')])
  })
})

test('without a broker a call is answered with 503 and when to come back, not with somebody’s old token', async () => {
  const { url: fresh } = await here.proxy()
  here.instead = () => new Response(null, { status: 401 })
  await here.broker.stop()
  const answer = await send(fresh, {}, JSON.stringify(TOOL))
  expect([answer.status, answer.headers['retry-after']]).toEqual([503, expect.stringMatching(/^\d+$/)])
  expect(JSON.parse(answer.text)).toMatchObject({ jsonrpc: '2.0', id: 7 })
})
