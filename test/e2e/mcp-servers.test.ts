/**
 * MCP servers nobody here wrote, behind the drop-ins, with clients nobody here wrote and a real broker: what is allowed runs and
 * knows who called; everything else is refused before the tool runs, in words that the clients act on.
 */
import { request as httpRequest, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import * as v2 from '@modelcontextprotocol/client'
import { Client as V1Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as V1Transport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type CallJudge, localJudge } from '../../src/sdk/verify/call-judge.ts'
import { resourceMetadataUrl } from '../../src/sdk/verify/challenge.ts'
import { createVerifier } from '../../src/sdk/verify/verifier.ts'
import { type BrokerProcess, type Fleet, startFleet } from '../support/broker-process.ts'
import { freePort } from '../support/free-port.ts'
import { gateway, KINDS, listening, READ, TOOLS } from '../support/guarded-servers.ts'
import { type RunningMcpServer, startEverything } from '../support/mcp-programs.ts'
import { patient } from '../support/world.ts'

const EVERYTHING = { echo: READ, 'get-sum': READ, 'get-env': 'mcp:tools:admin', 'get-structured-content': READ }
const CATEGORY: Readonly<Record<string, string>> = {
  [READ]: 'read',
  'mcp:tools:write': 'write',
  'mcp:tools:destructive': 'destructive',
  'mcp:tools:admin': 'admin',
}

interface Place {
  readonly server: Server
  readonly resource: string
  /** Of a server like it, with other options. */
  readonly listener: (more?: object) => (request: IncomingMessage, response: ServerResponse) => void
  token: string
}

/** Judges as by default, and hears how calls end. */
const told: string[] = []
const judge: CallJudge = {
  begin: async (asked) => {
    const begun = await localJudge.begin(asked)
    if (!begun.allowed) return begun
    const ended = async (outcome: string, detail = '') => {
      told.push(`${asked.call.tool} ${outcome} ${detail}`.trim())
    }
    return { allowed: true, ended }
  },
}

const places = new Map<string, Place>()
let fleet: Fleet
let broker: BrokerProcess
let everything: RunningMcpServer

const toolsOf = (name: string): Readonly<Record<string, string>> => (name === 'everything' ? EVERYTHING : TOOLS)
const intentFor = (name: string) =>
  name === 'everything'
    ? { echo: { message: { maxLength: 10 } }, 'get-sum': { a: { maximum: 10 }, b: {} } }
    : { query: { table: { enum: ['revenue', 'costs'] }, limit: { maximum: 500 } } }

beforeAll(async () => {
  const names = [...KINDS.map(({ name }) => name), 'everything']
  const [port, program, ...servers] = await Promise.all([freePort(), startEverything(), ...names.map(listening)])
  everything = program
  const resources = servers.map(({ resource }, at) => ({
    id: names[at],
    url: resource,
    owner: 'data-team',
    project: 'analytics',
    enforces: 'arguments',
    tools: Object.fromEntries(
      Object.entries(toolsOf(names[at] ?? '')).map(([tool, scope]) => [tool, { category: CATEGORY[scope] }]),
    ),
  }))
  fleet = await startFleet((directory) => ({
    store: { kind: 'embedded', directory: `${directory}/store` },
    settings: { issuer: `http://127.0.0.1:${port}` },
    registry: (document) => ({ ...document, resources: [...(document['resources'] as object[]), ...resources] }),
  }))
  broker = patient(await fleet.start({ port }))
  const purpose = { type: 'agent_intent', purpose: 'Summarise Q3 revenue', expires_in: 900 }
  const details = servers.map(({ resource }, at) => ({
    type: 'mcp_tools',
    locations: [resource],
    tools: intentFor(names[at] ?? ''),
  }))
  const opened = await broker.open({ authorization_details: JSON.stringify([purpose, ...details]) })
  expect(opened.status, JSON.stringify(opened.body)).toBe(200)
  for (const [at, { server, resource }] of servers.entries()) {
    const name = names[at] ?? ''
    const verifier = createVerifier({ issuer: fleet.issuer, resource })
    const options = { verifier, tools: toolsOf(name), baseScope: READ, judge }
    const listener = (more: object = {}) =>
      KINDS.find((one) => one.name === name)?.listener({ ...options, ...more }) ??
      gateway({ ...options, ...more }, everything.url)
    server.on('request', listener())
    const granted = await broker.continue(opened.body.access_token, { resource })
    expect(granted.status, JSON.stringify(granted.body)).toBe(200)
    places.set(name, { server, resource, listener, token: granted.body.access_token })
  }
})
afterAll(async () => {
  for (const { server } of places.values()) {
    server.closeAllConnections()
    server.close()
  }
  await everything?.stop()
  await fleet?.close()
})

function at(name: string): Place {
  const place = places.get(name)
  if (place === undefined) throw new Error(`no server ${name}`)
  return place
}

const withToken = (token: string) => ({ requestInit: { headers: { authorization: `Bearer ${token}` } } })

async function clientV1(name: string, token = at(name).token): Promise<V1Client> {
  const client = new V1Client({ name: 'orchestrator', version: '1.0.0' })
  await client.connect(
    new V1Transport(new URL(at(name).resource), withToken(token)) as Parameters<V1Client['connect']>[0],
  )
  return client
}

async function clientV2(name: string, token = at(name).token): Promise<v2.Client> {
  const client = new v2.Client({ name: 'orchestrator', version: '2.0.0' }, { versionNegotiation: { mode: 'auto' } })
  const authProvider = { token: async () => token }
  const options = { authProvider, onInsufficientScope: 'throw' as const }
  await client.connect(new v2.StreamableHTTPClientTransport(new URL(at(name).resource), options))
  return client
}

const call = (tool: unknown, args?: unknown, id = 1) => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name: tool, arguments: args },
})
const good = call('query', { table: 'revenue', limit: 3 })

/** One POST, as no client would send it. */
async function post(name: string, body: unknown, headers: Record<string, string> = {}) {
  const { resource, token } = at(name)
  const response = await fetch(resource, {
    method: 'POST',
    body: typeof body === 'string' ? body : JSON.stringify(body),
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...headers,
    },
  })
  const text = await response.text()
  return { status: response.status, challenge: response.headers.get('www-authenticate') ?? '', text }
}

/** With header fields as they are: `fetch` would join them. */
function statusOf(url: string, authorization: string[]): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
    const sent = httpRequest(url, { method: 'POST', headers }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
    if (authorization.length > 0) sent.setHeader('authorization', authorization)
    sent.on('error', reject).end(JSON.stringify(good))
  })
}

describe.each(KINDS)('a warehouse of the kind $name', ({ name, pieces }) => {
  test('SDK 1: lists its tools and runs a call within the intent, which knows who called', async () => {
    const client = await clientV1(name)
    expect((await client.listTools()).tools.map((tool) => tool.name)).toEqual(Object.keys(TOOLS))
    const result = await client.callTool({ name: 'query', arguments: { table: 'revenue', limit: 3 } })
    const text = 'query {"table":"revenue","limit":3} for user:corp:alice by agent:orchestrator'
    expect(result.content).toEqual([{ type: 'text', text }])
    await client.close()
  })

  test('SDK 2: lists its tools and runs a call within the intent, which knows who called', async () => {
    const client = await clientV2(name)
    expect((await client.listTools()).tools.map((tool) => tool.name)).toEqual(Object.keys(TOOLS))
    const result = await client.callTool({ name: 'query', arguments: { table: 'revenue', limit: 3 } })
    const text = 'query {"table":"revenue","limit":3} for user:corp:alice by agent:orchestrator'
    expect(result.content).toEqual([{ type: 'text', text }])
    await client.close()
  })

  test('R089 a token that may read calls nothing that writes: refused, and challenged so that SDK 2 would step up', async () => {
    const client = await clientV2(name)
    const refused = client.callTool({ name: 'drop_table', arguments: { table: 'revenue' } })
    await expect(refused).rejects.toMatchObject({ requiredScope: 'mcp:tools:destructive' })
    await client.close()
    const { status, challenge } = await post(name, call('insert_rows', {}))
    expect(status).toBe(403)
    expect(challenge).toBe(
      'Bearer error="insufficient_scope", error_description="tool insert_rows needs scope mcp:tools:write", ' +
        `scope="mcp:tools:write", resource_metadata="${resourceMetadataUrl(at(name).resource)}"`,
    )
    const old = await clientV1(name)
    await expect(old.callTool({ name: 'drop_table', arguments: {} })).rejects.toThrow(/insufficient_scope|403/)
    await old.close()
  })

  test('arguments outside the intent are refused, and told how to narrow, by names and never by values', async () => {
    const { status, challenge, text } = await post(name, call('query', { table: 'salaries', limit: 3 }))
    if (pieces !== 'v2') {
      expect(status).toBe(403)
      expect(challenge).toContain('Bearer error="outside_intent"')
    }
    const said = JSON.stringify(text.replaceAll('\\', ''))
    expect(said).toContain('outside_intent')
    expect(said).toContain("'table' must be one of 'revenue', 'costs'")
    expect(said.replaceAll('\\', '')).toContain(
      '"narrow_to":{"tool":"query","constraints":{"table":{"enum":["revenue","costs"]}',
    )
    expect(said).not.toMatch(/salaries|for user:/)
    const client = await clientV1(name)
    const asked = client.callTool({ name: 'query', arguments: { table: 'revenue', limit: 501 } })
    if (pieces === 'v2') expect(await asked).toMatchObject({ isError: true })
    else await expect(asked).rejects.toThrow("'limit' must be a number of at most 500")
    await client.close()
  })

  test('a tool that the intent does not contain, and one that nobody knows, do not run', async () => {
    for (const tool of ['list_tables', 'shutdown', 'constructor', '']) {
      const { status, text } = await post(name, call(tool, {}))
      if (pieces !== 'v2') expect([tool, status, JSON.parse(text).error]).toEqual([tool, 403, 'outside_intent'])
      expect(text).not.toContain('for user:')
    }
  })

  test('a batch, as the protocol had until 2025-06-18, is refused as one, with every scope that is missing or held', async () => {
    const batch = [good, call('drop_table', {}, 2), call('insert_rows', {}, 3)]
    const { status, challenge, text } = await post(name, batch)
    expect(status).toBe(403)
    const scopes = pieces === 'v2' ? 'mcp:tools:destructive' : `${READ} mcp:tools:destructive mcp:tools:write`
    expect(challenge).toContain(`scope="${scopes}"`)
    expect(text).not.toContain('for user:')
    const hidden = await post(name, [good, call('query', { table: 'salaries', limit: 1 }, 2)])
    expect(hidden.text).not.toContain('salaries')
  })

  test('a batch of allowed calls runs', async () => {
    const { status, text } = await post(name, [good, call('query', { table: 'costs', limit: 1 }, 2)])
    expect(status, text).toBe(200)
    expect(text.match(/for user:corp:alice/g)).toHaveLength(2)
  })

  const wrong: [string, () => string | undefined][] = [
    ['no token', () => undefined],
    ['no JWT', () => 'Bearer abc'],
    ['a token with another signature', () => `Bearer ${at(name).token.slice(0, -8)}AAAAAAAA`],
    ['a token of another resource', () => `Bearer ${at('everything').token}`],
    ["the user's own token", () => `Bearer ${broker.idToken()}`],
    ['a token that is too much', () => `Bearer ${'x'.repeat(10_000)}`],
    ['a key', () => 'Basic eDp5'],
  ]
  test.each(wrong)('RFC 9728 §5.1 %s is answered 401, with where to get one', async (_title, header) => {
    const authorization = header()
    const { challenge, status } = await post(name, good, { authorization: authorization ?? '' })
    expect(status).toBe(401)
    expect(challenge).toContain(`resource_metadata="${resourceMetadataUrl(at(name).resource)}"`)
    if (pieces === false) expect(challenge.includes('error=')).toBe(authorization?.startsWith('Bearer') === true)
  })

  test('R159 how a call ended is told once it has: a result, one with isError, and a refusal of the server', async () => {
    told.length = 0
    const client = await clientV2(name)
    await client.callTool({ name: 'query', arguments: { table: 'revenue', limit: 3 } })
    await client.callTool({ name: 'query', arguments: { table: 'costs', limit: 3 } })
    await client.close()
    await expect.poll(() => told).toEqual(['query success', 'query failure'])
    if (pieces === 'v2') return
    const { status } = await post(name, good, { accept: 'text/plain', 'mcp-protocol-version': '1999-01-01' })
    await expect.poll(() => told.slice(2)).toEqual([`query failure http_${status}`])
  })

  test('RFC 9728 §3 a client finds the broker by the server alone', async () => {
    const found = await v2.discoverOAuthServerInfo(at(name).resource)
    expect(found.resourceMetadata).toMatchObject({
      resource: at(name).resource,
      authorization_servers: [fleet.issuer],
      scopes_supported: [READ],
      bearer_methods_supported: ['header'],
    })
    expect(found.authorizationServerMetadata?.issuer).toBe(fleet.issuer)
  })

  if (pieces === 'v2') return

  test('a header that names another tool than the body is refused', async () => {
    for (const headers of [{ 'mcp-name': 'list_tables' }, { 'mcp-method': 'tools/list' }]) {
      const { status, text } = await post(name, good, headers as Record<string, string>)
      expect([status, JSON.parse(text).error.code]).toEqual([400, -32_020])
    }
    const agrees = await post(name, good, { 'mcp-method': 'tools/call', 'mcp-name': 'query' })
    expect([agrees.status, agrees.text.includes('for user:corp:alice')]).toEqual([200, true])
  })

  test('R090 where the server wants it so, tools are listed that the token opens, and no others', async () => {
    const { server, listener } = at(name)
    server.removeAllListeners('request').on('request', listener({ filterTools: true }))
    for (const client of [await clientV1(name), await clientV2(name)]) {
      expect((await client.listTools()).tools.map((tool) => tool.name)).toEqual(['query'])
      await client.close()
    }
    server.removeAllListeners('request').on('request', listener())
  })

  test('a second Authorization header, and names given twice, do not get another call through', async () => {
    const { resource, token } = at(name)
    for (const second of [token, at('everything').token]) {
      expect(await statusOf(resource, [`Bearer ${token}`, `Bearer ${second}`])).toBe(400)
    }
    expect(await statusOf(`${resource}?access_token=${token}`, [])).toBe(pieces === false ? 400 : 401)
    const twice = JSON.stringify(good).replace('"table":"revenue"', '"table":"revenue","table":"salaries"')
    const { status, text } = await post(name, twice)
    // Parsed in front, the last one is what guard and server see.
    expect(status).toBe(['express-v1', 'express-pieces'].includes(name) ? 403 : 400)
    expect(text).not.toContain('for user:')
  })

  test('methods beside tools are closed, and a session that ends is nobody’s way around', async () => {
    for (const method of ['resources/read', 'prompts/list', 'logging/setLevel', 'tools/unlock']) {
      const { status } = await post(name, { jsonrpc: '2.0', id: 1, method, params: { uri: 'file:///etc/passwd' } })
      expect([method, status]).toEqual([method, 403])
    }
  })
})

describe('server-everything, which knows nothing of tokens, behind a gateway', () => {
  const name = 'everything'

  test.each(['1', '2'])('SDK %s: has a session with it, and calls what the intent contains', async (version) => {
    told.length = 0
    const client = version === '1' ? await clientV1(name) : await clientV2(name)
    expect((await client.listTools()).tools.map((tool) => tool.name)).toContain('get-env')
    const echoed = await client.callTool({ name: 'echo', arguments: { message: 'hello' } })
    expect(echoed.content).toEqual([{ type: 'text', text: 'Echo: hello' }])
    const sum = await client.callTool({ name: 'get-sum', arguments: { a: 2, b: 40 } })
    expect(JSON.stringify(sum.content)).toContain('42')
    await expect(client.callTool({ name: 'get-sum', arguments: { a: 11, b: 40 } })).rejects.toThrow(/'a' must be|403/)
    await expect(client.callTool({ name: 'echo', arguments: { message: 'x'.repeat(11) } })).rejects.toThrow()
    await expect(client.callTool({ name: 'get-env', arguments: {} })).rejects.toThrow(/scope|403/)
    await expect(client.callTool({ name: 'get-structured-content', arguments: { location: 'x' } })).rejects.toThrow()
    await expect(client.callTool({ name: 'trigger-long-running-operation', arguments: {} })).rejects.toThrow()
    await expect.poll(() => told).toEqual(['echo success', 'get-sum success'])
    await client.close()
  })

  test('its resources and prompts are closed, until its operator says which scope opens them', async () => {
    const { server, listener } = at(name)
    const closed = await clientV1(name)
    await expect(closed.listResources()).rejects.toThrow('outside_intent')
    await expect(closed.listPrompts()).rejects.toThrow('outside_intent')
    await closed.close()
    const methods = { 'resources/list': READ, 'prompts/list': 'mcp:prompts' }
    server.removeAllListeners('request').on('request', listener({ methods }))
    const opened = await clientV1(name)
    expect((await opened.listResources()).resources.length).toBeGreaterThan(0)
    await expect(opened.listPrompts()).rejects.toThrow('mcp:prompts')
    await opened.close()
    server.removeAllListeners('request').on('request', listener())
  })

  test('nobody reaches it without a token that is good here', async () => {
    const { resource } = at(name)
    for (const method of ['GET', 'POST', 'DELETE']) {
      const headers = { authorization: `Bearer ${at('hono-mcp').token}` }
      expect((await fetch(resource, { method, headers })).status).toBe(401)
      expect((await fetch(resource, { method })).status).toBe(401)
    }
  })
})
