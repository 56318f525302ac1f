import fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'
import type { AskedCall, CallJudge } from '../../../../../src/sdk/verify/call-judge.ts'
import { guarded, type WebOptions } from '../../../../../src/sdk/verify/guard/web.ts'
import { TokenRefused } from '../../../../../src/sdk/verify/verified-token.ts'
import { createVerifier } from '../../../../../src/sdk/verify/verifier.ts'
import { Door, ISSUER, ManualClock, newKey, RESOURCE, token } from '../issuing.ts'

const key = newKey('k1')
const READ = 'mcp:tools:read'
const TOOLS = { query: READ, list_tables: READ, drop_table: 'mcp:tools:destructive' }
let told: string[]
let asked: AskedCall[]
let refuses: Record<string, 'outside_intent' | 'insufficient_scope' | 'unavailable'>

beforeEach(() => {
  told = []
  asked = []
  refuses = {}
})

/** Allows what is not to be refused, and writes down what it hears. */
const judge: CallJudge = {
  begin: async (one) => {
    asked.push(one)
    const error = refuses[one.call.tool]
    if (error === 'unavailable') throw new TokenRefused('unavailable', 'nobody can say')
    if (error !== undefined) {
      const scope = error === 'insufficient_scope' ? { scope: 'mcp:tools:more' } : {}
      const more = { declared: { purpose: 'Q3' }, accessRequest: { url: 'x' } }
      return { allowed: false, refusal: { error, description: 'no', ...scope, ...more } }
    }
    const ended = async (outcome: string, detail = '') => {
      told.push(`${one.call.tool} ${outcome} ${detail}`.trim())
    }
    return { allowed: true, ended }
  },
}

async function post(body: unknown, answer: () => Response | Promise<Response>, more: Partial<WebOptions> = {}) {
  const door = new Door([key])
  const verifier = createVerifier({ issuer: ISSUER, resource: RESOURCE, door: door.open, clock: new ManualClock() })
  const headers = { authorization: `Bearer ${await token(key)}` }
  const handle = guarded({ verifier, tools: TOOLS, baseScope: READ, judge, ...more }, async () => answer())
  return handle(new Request(RESOURCE, { method: 'POST', body: JSON.stringify(body), headers }))
}

const call = (name: string, id: number | string = 1) => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name, arguments: { table: 'revenue' } },
})
const answered = (id: number | string, result: unknown) => ({ jsonrpc: '2.0', id, result })
const events = (...messages: unknown[]) =>
  messages.map((one) => `event: message\r\ndata: ${JSON.stringify(one)}\r\n\r\n`).join('')

describe('the judge', () => {
  test('is asked before the tool runs, with a fresh id, the token and the arguments of the body', async () => {
    const seen: number[] = []
    const answer = () => {
      seen.push(asked.length)
      return Response.json(answered(1, {}))
    }
    await (await post(call('query'), answer)).text()
    await (await post(call('query'), answer)).text()
    expect(seen).toEqual([1, 2])
    expect(asked[0]).toMatchObject({
      call: { tool: 'query', arguments: { table: 'revenue' } },
      token: { jti: 'jti_1' },
    })
    expect(new Set(asked.map(({ id }) => id)).size).toBe(2)
    for (const { id } of asked) expect(id).toMatch(/^[A-Za-z0-9._~-]{16,64}$/)
    expect(asked[0]?.bearer.reveal()).toMatch(/^eyJ/)
  })

  const endings: [string, unknown, string][] = [
    ['a result', answered(1, { content: [] }), 'query success'],
    ['a result with isError', answered(1, { isError: true, content: [] }), 'query failure'],
    ['an error', { jsonrpc: '2.0', id: 1, error: { code: -32_603, message: 'secret' } }, 'query failure rpc_-32603'],
    ['a question to the client', answered(1, { resultType: 'input_required' }), 'query failure input_required'],
  ]
  test.each(endings)('R159 is told by %s how the call ended, as JSON and as events', async (_title, message, line) => {
    await (await post(call('query'), () => Response.json(message))).text()
    await (await post(call('query'), () => new Response(events({ jsonrpc: '2.0', method: 'x' }, message)))).text()
    expect(told).toEqual([line, line])
  })

  test('is told of each call of a batch by its own id', async () => {
    const answer = () => Response.json([answered('1', { isError: true }), answered(1, {})])
    await (await post([call('query', 1), call('list_tables', '1')], answer)).text()
    expect(told.sort()).toEqual(['list_tables failure', 'query success'])
  })

  test('is told of a failure where the server refuses or throws', async () => {
    await (await post(call('query'), () => new Response('no', { status: 400 }))).text()
    await post(call('query'), () => new Response(null, { status: 500 }))
    await expect(post(call('query'), () => Promise.reject(new Error('down')))).rejects.toThrow('down')
    expect(told).toEqual(['query failure http_400', 'query failure http_500', 'query failure server_error'])
  })

  test.each([
    ['nothing', () => new Response('')],
    ['the answer to another request', () => Response.json(answered(2, {}))],
    ['a task', () => Response.json(answered(1, { task: { taskId: 't' } }))],
    ['what is no JSON', () => new Response('data: {\n\n')],
  ])('is told nothing by %s: nobody knows how the call ended', async (_title, answer) => {
    await (await post(call('query'), answer)).text()
    expect(told).toEqual([])
  })

  test('that refuses stops the request, and its own words go out', async () => {
    refuses = { query: 'outside_intent' }
    const answer = await post(call('query'), () => new Response('ran'))
    expect(answer.status).toBe(403)
    expect(await answer.json()).toEqual({
      error: 'outside_intent',
      error_description: 'no',
      declared: { purpose: 'Q3' },
      access_request: { url: 'x' },
    })
  })

  test('that asks for another scope has it named beside those of the request', async () => {
    refuses = { query: 'insufficient_scope' }
    const answer = await post(call('query'), () => new Response('ran'))
    expect(answer.headers.get('www-authenticate')).toContain(`scope="${READ} mcp:tools:more"`)
  })

  test('hears that the rest of a refused batch did not run', async () => {
    refuses = { list_tables: 'outside_intent' }
    const answer = await post([call('query', 1), call('list_tables', 2)], () => new Response('ran'))
    expect([answer.status, told]).toEqual([403, ['query failure not_run']])
  })

  test('that cannot say answers 503, and what had begun is told as not run', async () => {
    refuses = { list_tables: 'unavailable' }
    const answer = await post([call('query', 1), call('list_tables', 2)], () => new Response('ran'))
    expect([answer.status, answer.headers.get('retry-after'), told]).toEqual([503, '1', ['query failure not_run']])
  })

  test('does not open a tool that this server has not named, whatever it says, but hears of it', async () => {
    const answer = await post(call('shutdown'), () => new Response('ran'))
    expect([answer.status, told]).toEqual([403, ['shutdown failure not_run']])
  })
})

describe('tools/list', () => {
  const list = { jsonrpc: '2.0', id: 'l', method: 'tools/list' }
  const tools = ['query', 'list_tables', 'drop_table', 'hidden'].map((name) => ({ name, description: 'ü' }))
  const names = async (answer: Response) =>
    (
      JSON.parse((await answer.text()).replace(/^(event|id):.*$/gm, '').replace('data:', '')) as {
        result: { tools: { name: string }[] }
      }
    ).result.tools.map(({ name }) => name)

  test('shows all there is, as it came, unless the server wants it otherwise', async () => {
    const text = events(answered('l', { tools }))
    expect(await (await post(list, () => new Response(text))).text()).toBe(text)
  })

  test('R090 shows what the token opens, however the answer is cut into parts', async () => {
    const messages = [
      JSON.stringify(answered('l', { tools })),
      events({ jsonrpc: '2.0', method: 'x' }, answered('l', { tools })),
    ]
    const lengths = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 })
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...messages), lengths, async (text, cuts) => {
        const answer = await post(list, () => new Response(inParts(Buffer.from(text), cuts)), { filterTools: true })
        const filtered = await answer.text()
        expect(filtered).toContain('"name":"query"')
        expect(filtered).not.toMatch(/drop_table|hidden|list_tables/)
        expect(filtered.includes('"method":"x"')).toBe(text.includes('"method":"x"'))
      }),
      { numRuns: 50 },
    )
    const sized = Response.json(answered('l', { tools }), { headers: { 'content-length': '1000' } })
    const answer = await post(list, () => sized, { filterTools: true })
    expect(answer.headers.get('content-length')).toBeNull()
    expect(await names(answer)).toEqual(['query'])
  })
})

function inParts(bytes: Uint8Array, lengths: readonly number[]): ReadableStream<Uint8Array> {
  let at = 0
  let turn = 0
  return new ReadableStream({
    pull: (out) => {
      const end = at + (lengths[turn++ % lengths.length] ?? 1)
      out.enqueue(bytes.slice(at, end))
      at = end
      if (at >= bytes.length) out.close()
    },
  })
}
