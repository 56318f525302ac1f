/**
 * Unmodified MCP clients, SDK version 1 and 2: from an MCP server's 401 they find this broker, authenticate, get a token for
 * that server and call its tools, without a line that knows of Errand (mcp.md §1a).
 */
import { createServer, get, type Server } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import * as v2 from '@modelcontextprotocol/client'
import * as v1Auth from '@modelcontextprotocol/sdk/client/auth.js'
import { PrivateKeyJwtProvider as V1Provider } from '@modelcontextprotocol/sdk/client/auth-extensions.js'
import { Client as V1Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as V1Transport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { challengeHeader, resourceMetadataUrl } from '../../src/sdk/verify/challenge.ts'
import { toolCallRefusal } from '../../src/sdk/verify/tool-call.ts'
import { createVerifier } from '../../src/sdk/verify/verifier.ts'
import { type BrokerProcess, type Fleet, startFleet } from '../support/broker-process.ts'
import { freePort } from '../support/free-port.ts'
import { privateJwk, sign, testKey } from '../support/keys.ts'
import { claimsOf, patient, WIKI } from '../support/world.ts'

const READ = 'mcp:tools:read'
const WRITE = 'mcp:tools:write'
const MANIFEST = new Map([
  ['search', READ],
  ['read_page', READ],
  ['edit_page', WRITE],
])

interface JsonRpc {
  readonly method: string
  readonly params: { readonly name: string; readonly arguments?: Readonly<Record<string, unknown>> }
}

interface Granted {
  readonly access_token: string
  readonly scope?: string
}

/** A wiki as MCP servers are: advertises every scope it has (mcp.md §1a 14), answers 401 with where to look. */
function startWiki(server: Server, options: { issuer: string; announced: string; resource: string }): void {
  const { issuer, announced, resource } = options
  const resourceMetadata = resourceMetadataUrl(resource)
  const introspection = {
    clientId: 'wiki-server',
    sign: async (claims: Readonly<Record<string, unknown>>) =>
      sign({ key: testKey('wiki-server-key'), header: { typ: 'client-authentication+jwt' }, claims }).reveal(),
  }
  const verifier = createVerifier({ issuer, resource, introspection })
  const handler = createMcpHandler(() => {
    const wiki = new McpServer({ name: 'wiki', version: '1.0.0' })
    for (const name of MANIFEST.keys()) {
      const tool = { description: name, inputSchema: z.object({ title: z.string() }) }
      wiki.registerTool(name, tool, async ({ title }) => ({ content: [{ type: 'text', text: `${name}: ${title}` }] }))
    }
    return wiki
  })
  const answer = async (request: Request): Promise<Response> => {
    if (request.url === resourceMetadata) {
      return Response.json({
        resource,
        authorization_servers: [announced],
        scopes_supported: [...new Set(MANIFEST.values())],
      })
    }
    const bearer = /^Bearer (\S+)$/.exec(request.headers.get('authorization') ?? '')?.[1]
    const token = bearer === undefined ? undefined : await verifier.verify(bearer).catch(() => undefined)
    if (token === undefined) {
      const challenge = challengeHeader({ scopes: [], resourceMetadata })
      return new Response(null, { status: 401, headers: { 'www-authenticate': challenge } })
    }
    const parsedBody = request.method === 'POST' ? ((await request.json()) as JsonRpc) : undefined
    if (parsedBody?.method === 'tools/call') {
      const call = { tool: parsedBody.params.name, arguments: parsedBody.params.arguments ?? {} }
      const refusal = toolCallRefusal(token, call, MANIFEST)
      if (refusal !== undefined) {
        const scopes = refusal.scope === undefined ? [] : [refusal.scope]
        const { error, description } = refusal
        const challenge = challengeHeader({ error, description, scopes, resourceMetadata })
        return new Response(null, { status: 403, headers: { 'www-authenticate': challenge } })
      }
    }
    return handler.fetch(request, { parsedBody })
  }
  server.on('request', (request, response) => void getRequestListener(answer)(request, response))
}

/** Passes everything on, and remembers what was sent to the token endpoint and what came back. */
function listening() {
  const asked: URLSearchParams[] = []
  const granted: Granted[] = []
  const fetchAndListen = async (url: string | URL, init?: RequestInit): Promise<Response> => {
    const response = await fetch(url, init)
    if (String(url).endsWith('/token')) {
      asked.push(new URLSearchParams(String(init?.body)))
      granted.push((await response.clone().json()) as Granted)
    }
    return response
  }
  return { asked, granted, fetch: fetchAndListen }
}

/** `fetch` does not let anybody lie about `Host`. */
function getAs(host: string, url: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const headers = { host, 'x-forwarded-host': host, forwarded: `host=${host}` }
    get(url, { headers }, async (response) => {
      const chunks = await response.toArray()
      resolve(JSON.parse(Buffer.concat(chunks).toString()))
    }).on('error', reject)
  })
}

const key = () => privateJwk(testKey('orchestrator-key')) as Record<string, unknown>

const PLACES = [
  { what: 'an issuer without a path', path: '', announcedWith: '' },
  { what: 'an issuer with a path (RFC 8414 §3.1)', path: '/tenants/acme', announcedWith: '' },
  // What Python servers print: their URL type adds the slash.
  { what: 'an issuer that servers announce with a slash behind it', path: '', announcedWith: '/' },
]

describe.each(PLACES)('$what', ({ path, announcedWith }) => {
  let fleet: Fleet
  let broker: BrokerProcess
  let wiki: Server
  let resource = ''

  beforeAll(async () => {
    wiki = createServer()
    await new Promise<void>((resolve) => wiki.listen(0, '127.0.0.1', resolve))
    const address = wiki.address()
    resource = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/mcp`
    const port = await freePort()
    fleet = await startFleet((directory) => ({
      store: { kind: 'embedded', directory: `${directory}/store` },
      settings: { issuer: `http://127.0.0.1:${port}${path}` },
      registry: (document) => ({
        ...document,
        resources: (document['resources'] as { id: string }[]).map((entry) =>
          entry.id === 'wiki' ? { ...entry, url: resource } : entry,
        ),
      }),
    }))
    broker = patient(await fleet.start({ port }))
    startWiki(wiki, { issuer: fleet.issuer, announced: fleet.issuer + announcedWith, resource })
  })
  afterAll(async () => {
    wiki?.closeAllConnections()
    wiki?.close()
    await fleet?.close()
  })

  test.each([
    ['1', v1Auth],
    ['2', v2],
  ] as const)('SDK %s finds and accepts its metadata, from the issuer and from the server', async (_version, sdk) => {
    const expected = {
      issuer: fleet.issuer,
      token_endpoint: `${fleet.issuer}/token`,
      authorization_endpoint: `${fleet.issuer}/authorize`,
    }
    expect(await sdk.discoverAuthorizationServerMetadata(fleet.issuer)).toMatchObject(expected)
    expect(await sdk.discoverOAuthMetadata(fleet.issuer)).toMatchObject(expected)
    const { authorizationServerMetadata, resourceMetadata } = await sdk.discoverOAuthServerInfo(resource)
    expect(authorizationServerMetadata).toMatchObject(expected)
    expect(resourceMetadata?.scopes_supported).toEqual([READ, WRITE])
  })

  test('SDK 1: a client_credentials provider with private_key_jwt gets a token and calls a tool', async () => {
    const provider = new V1Provider({
      clientId: 'orchestrator',
      privateKey: key(),
      algorithm: 'ES256',
      expectedIssuer: fleet.issuer,
    })
    const line = listening()
    const client = new V1Client({ name: 'orchestrator', version: '1.0.0' })
    await client.connect(new V1Transport(new URL(resource), { authProvider: provider, fetch: line.fetch }))
    expect((await client.listTools()).tools.map((tool) => tool.name)).toContain('search')
    const result = await client.callTool({ name: 'search', arguments: { title: 'Q3' } })
    expect(result.content).toEqual([{ type: 'text', text: 'search: Q3' }])
    // It asked for no scope: the answer says what it got all the same.
    expect(line.asked[0]?.get('resource')).toBe(resource)
    expect(line.granted[0]?.scope).toBe(READ)
    expect(claimsOf(line.granted[0]?.access_token ?? '')).toMatchObject({ aud: resource, sub: 'agent:orchestrator' })
    await expect(client.callTool({ name: 'edit_page', arguments: { title: 'Q3' } })).rejects.toThrow()
    await client.close()
  })

  test('SDK 2: asks for all that is advertised, is given what its standing intent has, and calls a tool', async () => {
    const provider = new v2.PrivateKeyJwtProvider({
      clientId: 'orchestrator',
      privateKey: key(),
      algorithm: 'ES256',
      expectedIssuer: fleet.issuer,
      scope: READ,
    })
    const line = listening()
    const client = new v2.Client({ name: 'orchestrator', version: '2.0.0' }, { versionNegotiation: { mode: 'auto' } })
    const transport = new v2.StreamableHTTPClientTransport(new URL(resource), {
      authProvider: provider,
      fetch: line.fetch,
      onInsufficientScope: 'throw',
    })
    await client.connect(transport)
    const result = await client.callTool({ name: 'read_page', arguments: { title: 'Q3' } })
    expect(result.content).toEqual([{ type: 'text', text: 'read_page: Q3' }])
    expect(line.asked[0]?.get('scope')).toBe(`${READ} ${WRITE}`)
    expect(line.granted[0]?.scope).toBe(READ)
    expect(provider.tokens()?.scope).toBe(READ)
    const refused = client.callTool({ name: 'edit_page', arguments: { title: 'Q3' } })
    await expect(refused).rejects.toMatchObject({ requiredScope: WRITE })
    await client.close()
  })

  test('SDK 2: steps up after a 403, is given no more than before, and stops', async () => {
    const provider = new v2.PrivateKeyJwtProvider({
      clientId: 'orchestrator',
      privateKey: key(),
      algorithm: 'ES256',
      expectedIssuer: fleet.issuer,
    })
    const line = listening()
    const client = new v2.Client({ name: 'orchestrator', version: '2.0.0' }, { versionNegotiation: { mode: 'auto' } })
    await client.connect(
      new v2.StreamableHTTPClientTransport(new URL(resource), { authProvider: provider, fetch: line.fetch }),
    )
    await expect(client.callTool({ name: 'edit_page', arguments: { title: 'Q3' } })).rejects.toThrow()
    expect(line.granted.length).toBeLessThan(6)
    expect(line.granted.map((grant) => grant.scope)).toEqual(line.granted.map(() => READ))
    // Steps up or not, it can go on with what it has.
    const result = await client.callTool({ name: 'search', arguments: { title: 'Q3' } })
    expect(result.content).toEqual([{ type: 'text', text: 'search: Q3' }])
    await client.close()
  })

  test('a client that is told another issuer keeps its credentials to itself', async () => {
    const line = listening()
    const provider = new v2.PrivateKeyJwtProvider({
      clientId: 'orchestrator',
      privateKey: key(),
      algorithm: 'ES256',
      expectedIssuer: 'https://elsewhere.example',
    })
    const client = new v2.Client({ name: 'orchestrator', version: '2.0.0' })
    const transport = new v2.StreamableHTTPClientTransport(new URL(resource), {
      authProvider: provider,
      fetch: line.fetch,
    })
    await expect(client.connect(transport)).rejects.toThrow()
    expect(line.asked).toEqual([])
  })

  test('metadata: one spelling of the issuer, no slash behind it, whatever Host says; no redirect; open to browsers', async () => {
    const at = `/.well-known/oauth-authorization-server${path}`
    const document = await broker.request(at)
    expect(document.status).toBe(200)
    expect(await getAs('evil.example', broker.url + at)).toEqual(document.body)
    const urls = Object.values<unknown>(document.body).filter((value) => /^https?:/.test(String(value)))
    expect(urls.length).toBeGreaterThan(5)
    for (const url of urls) expect(String(url)).toMatch(/^http:\/\/127\.0\.0\.1:\d+(\/[a-z]+)*[^/]$/)
    expect(document.body.issuer).toBe(fleet.issuer)
    expect(document.headers.get('access-control-allow-origin')).toBe('*')
    const preflight = await broker.request(at, {
      method: 'OPTIONS',
      headers: {
        Origin: 'https://inspector.example',
        'Access-Control-Request-Method': 'GET',
        'Access-Control-Request-Headers': 'mcp-protocol-version',
      },
    })
    expect(preflight.status).toBe(204)
    expect(preflight.headers.get('access-control-allow-headers')?.toLowerCase()).toContain('mcp-protocol-version')
    for (const openid of [`/.well-known/openid-configuration${path}`, `${path}/.well-known/openid-configuration`]) {
      expect((await broker.request(openid)).body).toMatchObject({
        issuer: fleet.issuer,
        subject_types_supported: expect.any(Array),
        id_token_signing_alg_values_supported: expect.any(Array),
        jwks_uri: `${fleet.issuer}/jwks`,
      })
    }
  })

  test('the authorization endpoint is there, and says why it is not used', async () => {
    const answer = await broker.request(`${path}/authorize?response_type=code&client_id=x`)
    expect(answer.status).toBe(400)
    expect(answer.body.error).toBe('unsupported_response_type')
    const document = (await broker.request(`/.well-known/oauth-authorization-server${path}`)).body
    expect(document.response_types_supported).toEqual([])
    expect(document.code_challenge_methods_supported).toEqual(['S256'])
  })
})

describe('what clients get wrong about resources and scopes', () => {
  let fleet: Fleet
  let broker: BrokerProcess

  beforeAll(async () => {
    fleet = await startFleet((directory) => ({ store: { kind: 'embedded', directory: `${directory}/store` } }))
    broker = patient(await fleet.start())
  })
  afterAll(() => fleet?.close())

  test.each([
    WIKI,
    `${WIKI}/`,
    'https://WIKI.example/mcp',
    'HTTPS://Wiki.Example:443/mcp/',
  ])('resource %s is the registered one, and the token says so (RFC 8707 §2)', async (resource) => {
    const answer = await broker.clientCredentials('orchestrator', { resource })
    expect(answer.status, JSON.stringify(answer.body)).toBe(200)
    expect(claimsOf(answer.body.access_token)['aud']).toBe(WIKI)
    expect(answer.headers.get('cache-control')).toContain('no-store')
    expect(answer.body).toMatchObject({ token_type: 'Bearer', scope: READ })
    expect(Number.isInteger(answer.body.expires_in)).toBe(true)
  })

  test.each([
    'https://wiki.example',
    'https://wiki.example/mcp//',
    'https://wiki.example/mcp/x',
    'https://wiki.example/MCP',
    'http://wiki.example/mcp',
  ])('resource %s is another one: invalid_target', async (resource) => {
    const answer = await broker.clientCredentials('orchestrator', { resource })
    expect(answer.body).toMatchObject({ error: 'invalid_target', error_reason: 'resource_unknown' })
  })

  test.each([
    [undefined, READ],
    [READ, READ],
    [`${READ} ${WRITE} mcp:tools:admin`, READ],
    [`offline_access ${READ}`, READ],
  ])('scope %j is cut down to what the standing intent has, and named in the answer', async (scope, granted) => {
    const answer = await broker.clientCredentials('orchestrator', { resource: WIKI, scope })
    expect(answer.status, JSON.stringify(answer.body)).toBe(200)
    expect(answer.body.scope).toBe(granted)
    expect(claimsOf(answer.body.access_token)['scope']).toBe(granted)
  })

  test('scope of which nothing is left is invalid_scope', async () => {
    const answer = await broker.clientCredentials('orchestrator', { resource: WIKI, scope: WRITE })
    expect(answer.body).toMatchObject({ error: 'invalid_scope', error_reason: 'nothing_granted' })
  })

  test('an agent without a standing intent is refused, and told what to declare', async () => {
    const answer = await broker.clientCredentials('researcher', { resource: WIKI })
    expect(answer.body).toMatchObject({
      error: 'invalid_authorization_details',
      error_reason: 'standing_intent_missing',
    })
  })

  test('a client that wrongs its credentials once and tries again is served (SDKs retry once)', async () => {
    const wrong = await broker.post('/token', {
      grant_type: 'client_credentials',
      ...broker.authentication('stranger'),
      resource: WIKI,
    })
    expect([wrong.status, wrong.body.error]).toEqual([401, 'invalid_client'])
    expect((await broker.clientCredentials('orchestrator', { resource: WIKI })).status).toBe(200)
  })
})
