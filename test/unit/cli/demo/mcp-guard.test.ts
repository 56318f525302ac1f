import { beforeEach, describe, expect, test } from 'vitest'
import { type Admitted, guard } from '../../../../src/cli/demo/mcp-guard.ts'
import { BODY_BYTES_MAX } from '../../../../src/kernel/limits.ts'
import { createVerifier } from '../../../../src/sdk/verify/verifier.ts'
import { Door, ISSUER, ManualClock, newKey, RESOURCE, token } from '../../sdk/verify/issuing.ts'

const key = newKey('k1')
const METADATA = 'https://warehouse.example/.well-known/oauth-protected-resource/mcp'
const MANIFEST = new Map([
  ['query', 'mcp:tools:read'],
  ['drop_table', 'mcp:tools:destructive'],
])
let door: Door

beforeEach(() => {
  door = new Door([key])
})

function ask(request: Request): Promise<Response | Admitted> {
  const verifier = createVerifier({ issuer: ISSUER, resource: RESOURCE, door: door.open, clock: new ManualClock() })
  const { verify } = verifier
  return guard(request, { issuer: ISSUER, resource: RESOURCE, manifest: MANIFEST, baseScope: 'mcp:tools:read', verify })
}

async function post(body: string, authorization?: string): Promise<Response | Admitted> {
  const bearer = authorization ?? `Bearer ${await token(key)}`
  return ask(new Request(RESOURCE, { method: 'POST', body, headers: { authorization: bearer } }))
}

async function refused(answer: Response | Admitted, status: number): Promise<{ header: string; body: string }> {
  if (!(answer instanceof Response)) throw new Error('the request was admitted')
  expect(answer.status).toBe(status)
  return { header: answer.headers.get('www-authenticate') ?? '', body: await answer.text() }
}

const call = (name: unknown, args?: unknown) => ({
  jsonrpc: '2.0',
  id: 1,
  method: 'tools/call',
  params: { name, arguments: args },
})
const good = call('query', { table: 'revenue', limit: 3 })

describe('a guarded MCP server', () => {
  test('admits a call within the intent, with the body it was judged by', async () => {
    const admitted = await post(JSON.stringify(good))
    expect(admitted).toMatchObject({ body: good, token: { clientId: 'report-writer' } })
  })

  test('admits what is no call', async () => {
    expect(await post('{"jsonrpc":"2.0","id":1,"method":"tools/list"}')).not.toBeInstanceOf(Response)
  })

  test('RFC 9728 §3 tells anybody who issues its tokens, and only the least scope', async () => {
    const answer = await ask(new Request(METADATA))
    expect(JSON.parse((answer instanceof Response && (await answer.text())) || '')).toEqual({
      resource: RESOURCE,
      authorization_servers: [ISSUER],
      scopes_supported: ['mcp:tools:read'],
      bearer_methods_supported: ['header'],
      dpop_signing_alg_values_supported: ['ES256', 'ES384', 'Ed25519', 'EdDSA', 'PS256', 'RS256'],
    })
  })

  test('RFC 6750 §3.1 asks for a token without naming an error', async () => {
    const answer = await ask(new Request(RESOURCE, { method: 'POST', body: '{}' }))
    const { header } = await refused(answer, 401)
    expect(header).toBe(`Bearer scope="mcp:tools:read", resource_metadata="${METADATA}"`)
  })

  test.each(['Basic eDp5', 'Bearer', 'Bearer a b'])('takes "%s" for no token', async (authorization) => {
    await refused(await post('{}', authorization), 401)
  })

  test('says of a bad token that it is invalid, and why', async () => {
    const { header } = await refused(await post('{}', `Bearer ${await token(key, { aud: 'https://x.example' })}`), 401)
    expect(header).toContain('error="invalid_token", error_description="the token was made for another resource"')
  })

  test('answers 503, and no challenge, while nobody can say whether a token is good', async () => {
    door.jwks = () => {
      throw new Error('connection refused')
    }
    const { header } = await refused(await post(JSON.stringify(good)), 503)
    expect(header).toBe('')
  })

  test('refuses a call outside the intent with 403, in header and body alike', async () => {
    const { header, body } = await refused(
      await post(JSON.stringify(call('query', { table: 'salaries', limit: 1 }))),
      403,
    )
    expect(header).toMatch(
      /^Bearer error="outside_intent", error_description="[^"]*'table' must be 'revenue'", resource/,
    )
    expect(JSON.parse(body)).toMatchObject({ error: 'outside_intent' })
  })

  test('names the scope that a call would need', async () => {
    const { header } = await refused(await post(JSON.stringify(call('drop_table', { table: 'x' }))), 403)
    expect(header).toContain('error="insufficient_scope"')
    expect(header).toContain('scope="mcp:tools:destructive"')
  })

  const smuggled: [string, string][] = [
    ['hidden in a batch', JSON.stringify([good, call('drop_table', {})])],
    ['without a name', JSON.stringify(call(undefined, {}))],
    ['with a list for a name', JSON.stringify(call(['query'], { table: 'revenue', limit: 3 }))],
    ['with a list for arguments', JSON.stringify(call('query', ['revenue', 3]))],
    ['without arguments', JSON.stringify(call('query'))],
    ['without params', '{"jsonrpc":"2.0","id":1,"method":"tools/call"}'],
    ['sent as a notification', '{"jsonrpc":"2.0","method":"tools/call","params":{"name":"drop_table"}}'],
  ]
  test.each(smuggled)('refuses a call %s', async (_title, body) => {
    await refused(await post(body), 403)
  })

  const unreadable: [string, string][] = [
    ['no JSON', 'tools/call'],
    ['a name given twice', '{"method":"tools/list","method":"tools/call","params":{"name":"drop_table"}}'],
    ['more than it reads', JSON.stringify({ ...good, pad: 'x'.repeat(BODY_BYTES_MAX) })],
  ]
  test.each(
    unreadable,
  )('refuses a body with %s, which guard and server might read differently', async (_title, body) => {
    await refused(await post(body), 400)
  })

  test.each(['GET', 'DELETE'])('knows no %s, token or not', async (method) => {
    const headers = { authorization: `Bearer ${await token(key)}` }
    await refused(await ask(new Request(RESOURCE, { method, headers })), 405)
    await refused(await ask(new Request(RESOURCE, { method })), 401)
  })

  test('is at one address only', async () => {
    await refused(await ask(new Request('https://warehouse.example/mcp/')), 404)
  })
})
