import { beforeEach, describe, expect, test } from 'vitest'
import { MCP_BATCH_MAX, MCP_BODY_BYTES_MAX } from '../../../../../src/kernel/mcp-limits.ts'
import { verifiedOf } from '../../../../../src/sdk/verify/auth-info.ts'
import { guarded, type Serve, type WebOptions } from '../../../../../src/sdk/verify/guard/web.ts'
import { createVerifier } from '../../../../../src/sdk/verify/verifier.ts'
import { Door, ISSUER, ManualClock, newKey, RESOURCE, token } from '../issuing.ts'

const key = newKey('k1')
const METADATA = 'https://warehouse.example/.well-known/oauth-protected-resource/mcp'
const READ = 'mcp:tools:read'
const TOOLS = { query: READ, list_tables: READ, post: 'mcp:tools:write', drop_table: 'mcp:tools:destructive' }
let door: Door
let served: Parameters<Serve>[]

beforeEach(() => {
  door = new Door([key])
  served = []
})

type Options = Partial<WebOptions> & { readonly bound?: boolean }

function ask(request: Request, { bound = false, ...options }: Options = {}): Promise<Response> {
  const verifier = createVerifier({
    issuer: ISSUER,
    resource: RESOURCE,
    door: door.open,
    clock: new ManualClock(),
    ...(bound ? { senderConstraint: 'required' as const } : {}),
  })
  const serve: Serve = async (...given) => {
    served.push(given)
    return new Response('served')
  }
  return guarded({ verifier, tools: TOOLS, baseScope: READ, ...options }, serve)(request)
}

async function post(body: unknown, headers: Record<string, string> = {}, options: Options = {}): Promise<Response> {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const authorization = headers['authorization'] ?? `Bearer ${await token(key)}`
  return ask(new Request(RESOURCE, { method: 'POST', body: text, headers: { ...headers, authorization } }), options)
}

async function refused(answer: Response, status: number) {
  expect(served).toEqual([])
  expect(answer.status, await answer.clone().text()).toBe(status)
  return {
    header: answer.headers.get('www-authenticate') ?? '',
    body: (await answer.json()) as Record<string, unknown>,
  }
}

const request = (method: string, params?: unknown, id: unknown = 1) => ({ jsonrpc: '2.0', id, method, params })
const call = (name: unknown, args?: unknown, id: unknown = 1) => request('tools/call', { name, arguments: args }, id)
const good = call('query', { table: 'revenue', limit: 3 })

describe('a guarded MCP server', () => {
  test('is handed a call within the intent, the body it was judged by, and who calls', async () => {
    expect(await (await post(good)).text()).toBe('served')
    const [, judged] = served[0] ?? []
    expect(judged?.parsedBody).toEqual(good)
    expect(judged?.authInfo).toMatchObject({
      clientId: 'report-writer',
      scopes: [READ],
      resource: new URL(RESOURCE),
      resourceMetadataUrl: METADATA,
      extra: {
        iss: ISSUER,
        sub: 'user:corp:alice',
        user: 'user:corp:alice',
        actor: 'agent:report-writer',
        session: 'ses_1',
      },
    })
    expect(verifiedOf(judged?.authInfo)?.tools.has('query')).toBe(true)
    expect(verifiedOf({ extra: { ...judged?.authInfo.extra } })).toBeUndefined()
  })

  test('RFC 9728 §3 tells anybody who issues its tokens, and only the least scope', async () => {
    const document = {
      resource: RESOURCE,
      authorization_servers: [ISSUER],
      scopes_supported: [READ],
      bearer_methods_supported: ['header'],
      dpop_signing_alg_values_supported: ['ES256', 'ES384', 'Ed25519', 'EdDSA', 'PS256', 'RS256'],
    }
    const answer = await ask(new Request(METADATA))
    expect(answer.headers.get('access-control-allow-origin')).toBe('*')
    expect(await answer.json()).toEqual(document)
    const bound = await ask(new Request(METADATA), { bound: true })
    expect(await bound.json()).toEqual({ ...document, dpop_bound_access_tokens_required: true })
    const certificates = { bound: true, certificateThumbprint: () => undefined }
    expect(await (await ask(new Request(METADATA), certificates)).json()).toEqual({
      ...document,
      tls_client_certificate_bound_access_tokens: true,
    })
  })

  test('RFC 6750 §3.1 asks for a token without naming an error', async () => {
    const { header } = await refused(await ask(new Request(RESOURCE, { method: 'POST', body: '{}' })), 401)
    expect(header).toBe(`Bearer scope="${READ}", resource_metadata="${METADATA}"`)
    const bound = await ask(new Request(RESOURCE), { bound: true })
    expect((await refused(bound, 401)).header).toMatch(/^DPoP algs="/)
  })

  test.each([
    'Basic eDp5',
    'Bearer',
    'Bearer a b',
    'Bearer  ',
    'Bearertoken',
  ])('takes "%s" for no token', async (value) => {
    const { header } = await refused(await post('{}', { authorization: value }), 401)
    expect(header).not.toContain('error=')
  })

  test('RFC 6750 §2 takes a token from one header, and from nowhere else', async () => {
    const text = await token(key)
    await refused(await post(good, { authorization: `Bearer ${text}, Bearer ${text}` }), 400)
    const headers = { authorization: `Bearer ${text}` }
    for (const address of [`${RESOURCE}?access_token=${text}`, `${RESOURCE}?x=1&access%5Ftoken=${text}`]) {
      const inAddress = (given: object) =>
        new Request(address, { method: 'POST', body: JSON.stringify(good), ...given })
      await refused(await ask(inAddress({ headers })), 400)
      await refused(await ask(inAddress({})), 400)
    }
    await refused(await post({ ...good, access_token: text }, { authorization: 'none' }), 401)
  })

  test('says of a bad token that it is invalid, and why', async () => {
    const authorization = `Bearer ${await token(key, { aud: 'https://x.example' })}`
    const { header } = await refused(await post('{}', { authorization }), 401)
    expect(header).toContain('error="invalid_token", error_description="the token was made for another resource"')
    expect(header).toContain(`scope="${READ}", resource_metadata="${METADATA}"`)
  })

  test('answers 503, and no challenge, while nobody can say whether a token is good', async () => {
    door.jwks = () => {
      throw new Error('connection refused')
    }
    const answer = await post(good)
    expect(answer.headers.get('retry-after')).toBe('1')
    expect((await refused(answer, 503)).header).toBe('')
  })

  test.each(['GET', 'DELETE'])('opens %s to whoever has a token, and to nobody else', async (method) => {
    const headers = { authorization: `Bearer ${await token(key)}` }
    await refused(await ask(new Request(RESOURCE, { method })), 401)
    expect((await ask(new Request(RESOURCE, { method, headers }))).status).toBe(200)
    await refused2(await ask(new Request(RESOURCE, { method: 'PATCH', headers })))
  })

  async function refused2(answer: Response): Promise<void> {
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'POST, GET, DELETE'])
  }
})

describe('a call', () => {
  test('outside the intent is refused with 403, in header and body alike, and told how to narrow', async () => {
    const { header, body } = await refused(await post(call('query', { table: 'salaries', limit: 1 })), 403)
    expect(header).toMatch(
      /^Bearer error="outside_intent", error_description="[^"]*'table' must be 'revenue'", resource/,
    )
    expect(body).toMatchObject({
      error: 'outside_intent',
      narrow_to: { tool: 'query', constraints: { table: { const: 'revenue' }, limit: { maximum: 5 } } },
    })
    expect(JSON.stringify(body)).not.toContain('salaries')
  })

  test('R089 of a tool that writes, with a token that reads, is refused and told which scope it needs', async () => {
    const { header, body } = await refused(await post(call('drop_table', { table: 'x' })), 403)
    expect(header).toBe(
      'Bearer error="insufficient_scope", error_description="tool drop_table needs scope mcp:tools:destructive", ' +
        `scope="mcp:tools:destructive", resource_metadata="${METADATA}"`,
    )
    expect(body['scope']).toBe('mcp:tools:destructive')
  })

  test('of a batch is refused with the others, by one challenge that names every scope they all need', async () => {
    const batch = [good, call('drop_table', {}, 2), call('post', {}, 3), request('tools/list', {}, 4)]
    const { header } = await refused(await post(batch), 403)
    expect(header).toContain(`scope="${READ} mcp:tools:destructive mcp:tools:write"`)
  })

  const outside: [string, unknown][] = [
    ['of an unknown tool', call('shutdown')],
    ['of an unknown tool beside one that needs a scope', [call('shutdown'), call('drop_table', {}, 2)]],
    ['of a tool that every object has', call('constructor')],
    ['of a tool that the scope opens but the intent does not contain', call('list_tables', {})],
    ['without a name', call(undefined, {})],
    ['with a list for a name', call(['query'], { table: 'revenue', limit: 3 })],
    ['with a list for arguments', call('query', ['revenue', 3])],
    ['with null for arguments', call('query', null)],
    ['without arguments', call('query')],
    ['without params', request('tools/call')],
    ['sent as a notification', { jsonrpc: '2.0', method: 'tools/call', params: { name: 'query' } }],
    ['hidden in a batch', [good, call('query', { table: 'salaries', limit: 1 }, 2)]],
  ]
  test.each(outside)('%s is refused, and no scope would help', async (_title, body) => {
    const { header } = await refused(await post(body), 403)
    expect(header).toContain('error="outside_intent"')
    expect(header).not.toContain('scope=')
  })
})

describe('a method', () => {
  test.each(['initialize', 'ping', 'tools/list', 'server/discover'])('%s is open to every token', async (method) => {
    expect((await post(request(method))).status).toBe(200)
  })

  test.each([
    'initialized',
    'cancelled',
    'progress',
    'roots/list_changed',
  ])('notifications/%s is open', async (name) => {
    expect((await post({ jsonrpc: '2.0', method: `notifications/${name}` })).status).toBe(200)
  })

  test('an answer to what the server asked is open', async () => {
    expect((await post({ jsonrpc: '2.0', id: 7, result: {} })).status).toBe(200)
  })

  const closed = ['resources/read', 'resources/list', 'prompts/get', 'completion/complete', 'logging/setLevel']
  const more = [
    'tasks/get',
    'tasks/result',
    'subscriptions/listen',
    'sampling/createMessage',
    'tools/callx',
    'Tools/Call',
  ]
  test.each([
    ...closed,
    ...more,
    '',
    '__proto__',
  ])('R179 "%s" is refused where nobody said which scope opens it', async (method) => {
    const { body } = await refused(await post(request(method)), 403)
    expect(body['error']).toBe('outside_intent')
  })

  test('of an open name is refused as another kind of message', async () => {
    await refused(await post({ jsonrpc: '2.0', method: 'tools/list' }), 403)
    await refused(await post(request('notifications/initialized')), 403)
  })

  test('that was given a scope is opened by it, and asked for by a challenge', async () => {
    const read = { methods: { 'resources/read': READ, 'prompts/get': 'mcp:prompts' } }
    expect((await post(request('resources/read', { uri: 'file:///x' }), {}, read)).status).toBe(200)
    served = []
    const { header } = await refused(await post(request('prompts/get', { name: 'x' }), {}, read), 403)
    expect(header).toContain(
      'error="insufficient_scope", error_description="this method needs scope mcp:prompts", scope="mcp:prompts"',
    )
  })

  test.each([
    { 'tools/call': READ },
    { ping: READ },
    { 'prompts/get': '' },
  ])('cannot be given the rule %j', (methods) => {
    const verifier = createVerifier({ issuer: ISSUER, resource: RESOURCE })
    const make = () => guarded({ verifier, tools: TOOLS, baseScope: READ, methods }, async () => new Response())
    expect(make).toThrow(TypeError)
  })
})

describe('a body', () => {
  const unreadable: [string, string][] = [
    ['no JSON', 'tools/call'],
    ['nothing', ''],
    ['a byte order mark', `\ufeff${JSON.stringify(good)}`],
    [
      'a name given twice',
      '{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call","params":{"name":"drop_table"}}',
    ],
    ['arguments given twice', JSON.stringify(good).replace('"limit":3', '"limit":3,"\\u006cimit":9')],
    ['no message', '[]'],
    ['a word', '"tools/list"'],
    ['a message within a list within a list', JSON.stringify([[good]])],
    ['a message of another protocol', JSON.stringify({ ...good, jsonrpc: '1.0' })],
    ['a message that is request and response', JSON.stringify({ ...good, result: {} })],
    ['an id that is none', JSON.stringify({ ...good, id: null })],
    ['the same id twice', JSON.stringify([good, good])],
    [
      'more messages than are judged',
      JSON.stringify(Array.from({ length: MCP_BATCH_MAX + 1 }, (_, id) => request('ping', {}, id))),
    ],
  ]
  test.each(unreadable)('with %s, which guard and server might read differently, is refused', async (_title, body) => {
    expect(await refused(await post(body), 400)).toMatchObject({ body: { jsonrpc: '2.0', error: {} } })
  })

  test('of more than it reads is refused', async () => {
    await refused(await post(JSON.stringify({ ...good, pad: 'x'.repeat(MCP_BODY_BYTES_MAX) })), 413)
  })
})

describe('SEP-2243 a header', () => {
  const base64 = (name: string) => `=?base64?${Buffer.from(name).toString('base64')}?=`
  const agreeing: Record<string, string>[] = [
    { 'mcp-method': 'tools/call', 'mcp-name': 'query' },
    { 'mcp-name': base64('query') },
    { 'mcp-method': ' tools/call ' },
  ]
  test.each(agreeing)('%j that says what the body says passes', async (headers) => {
    expect((await post(good, headers)).status).toBe(200)
  })

  const forged: Record<string, string>[] = [
    { 'mcp-name': 'list_tables' },
    { 'mcp-name': base64('list_tables') },
    { 'mcp-name': '=?base64?!!?=' },
    { 'mcp-name': 'query, query' },
    { 'mcp-name': '' },
    { 'mcp-method': 'tools/list' },
    { 'mcp-method': 'tools/list', 'mcp-name': 'query' },
  ]
  test.each(forged)('%j that says otherwise is refused', async (headers) => {
    const { body } = await refused(await post(good, headers), 400)
    expect(body).toMatchObject({ id: good.id, error: { code: -32_020 } })
  })

  test('of a notification is refused under no id, and one of a batch under its own', async () => {
    const notice = { jsonrpc: '2.0', method: 'notifications/initialized' }
    const alone = await refused(await post(notice, { 'mcp-method': 'tools/call' }), 400)
    expect(alone.body).toMatchObject({ id: null, error: { code: -32_020 } })
    const batch = await refused(await post([good, call('drop_table', {}, 'two')], { 'mcp-name': 'query' }), 400)
    expect(batch.body).toMatchObject({ id: 'two', error: { code: -32_020 } })
  })

  test('that names one call of a batch does not cover the others', async () => {
    await refused(await post([good, call('drop_table', {}, 2)], { 'mcp-name': 'query' }), 400)
  })
})
