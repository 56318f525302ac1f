/**
 * A server in live mode (DESIGN §4; R063, R158, R159): the real verifier, guard and broker client before a real broker. Each call is
 * on record before its tool runs, is refused by the rights of that moment, and its end is told after the answer.
 */
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { newCallId } from '../../src/kernel/ids.ts'
import { Secret } from '../../src/kernel/secret.ts'
import { guarded } from '../../src/sdk/verify/guard/web.ts'
import { guardTools, tokenVerifier } from '../../src/sdk/verify/mcp.ts'
import { accessFor, askingWarehouse, openLimited } from '../support/calls.ts'
import { type Claims, details, granted, intent, managementToken, tools } from '../support/hops.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { type ServerSide, serverSide } from '../support/server-side.ts'
import { registryDocument, startWorld, WAREHOUSE, type World } from '../support/world.ts'

const TOOLS = { query: 'mcp:tools:read', list_tables: 'mcp:tools:read', insert_rows: 'mcp:tools:write' }
const DRIFT = { contractAfter: 5, haltAfter: 10, windowSeconds: 600 }
const MANIFEST = new Map(Object.entries(TOOLS))

let idp: TestIssuer
let world: World
let here: ServerSide
let session: Claims
let token: string
beforeAll(async () => {
  idp = await startIssuer({ slug: 'corp' })
})
afterAll(() => idp.close())
beforeEach(async () => {
  world = await startWorld({ issuer: idp, registry: askingWarehouse(idp), settings: { drift: DRIFT } })
  here = serverSide(world)
  const query = { table: { enum: ['revenue', 'costs'] } }
  const asked = tools(WAREHOUSE, { query, list_tables: {} }, { limits: { maxCalls: 3 } })
  session = await granted(world.open({ authorization_details: details(intent(), asked) }))
  token = await accessFor(world, session.token)
})
afterEach(async () => {
  await here.broker.close()
  await world.close()
})

/** One call, as a drop-in asks about it. */
async function begin(tool: string, args: Readonly<Record<string, unknown>> = {}, text = token, id = newCallId()) {
  const verified = await here.verifier.verify(text)
  const call = { tool, arguments: args }
  return here.broker.judge.begin({ token: verified, bearer: new Secret(text), call, manifest: MANIFEST, id })
}

async function calls(): Promise<readonly Claims[]> {
  return (await world.audit()).filter(({ event }) => event === 'call.attempt' || event === 'call.outcome')
}

/** An MCP server behind the guard, whose tool looks at what is on record when it runs. */
function mcpServer(tool: () => Promise<object> | object) {
  return guarded(
    { verifier: here.verifier, tools: TOOLS, baseScope: 'mcp:tools:read', judge: here.broker.judge },
    async (_request, { parsedBody }) => {
      const { id } = parsedBody as { id: number }
      return Response.json({ jsonrpc: '2.0', id, result: await tool() })
    },
  )
}

function callOf(tool: string, args: object, bearer = token): Request {
  return new Request(WAREHOUSE, {
    method: 'POST',
    headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: tool, arguments: args } }),
  })
}

describe('a call', () => {
  test('R158 R159 is on record before the tool runs, and its end after it has answered', async () => {
    let whenItRan: readonly Claims[] = []
    const serve = mcpServer(async () => {
      whenItRan = await calls()
      return { content: [{ type: 'text', text: '42' }] }
    })
    const response = await serve(callOf('query', { table: 'revenue' }))
    expect(await response.json()).toMatchObject({ result: { content: [{ text: '42' }] } })
    expect(whenItRan).toMatchObject([
      { outcome: 'granted', detail: 'call query', on_behalf_of: 'user:corp:alice', agent: { id: 'orchestrator' } },
    ])
    expect(whenItRan[0].call).not.toHaveProperty('ended')
    await here.broker.close()
    const [last] = await calls()
    expect(last).toMatchObject({ id: whenItRan[0].id, call: { ended: 'success' } })
    expect(here.broker.outcomes).toMatchObject({ pending: 0, untold: 0 })
  })

  test('R155 is on record with the process of the agent, by its own word, where its token names one', async () => {
    const named = await granted(world.continue(session.token, { agent_instance: 'pod-7' }))
    await begin('query', { table: 'revenue' }, named.token)
    await begin('query', { table: 'revenue' })
    const [unnamed, first] = await calls()
    expect(first).toMatchObject({ agent: { id: 'orchestrator', version: '1', instance: 'pod-7' } })
    expect(unnamed?.agent).toEqual({ id: 'orchestrator', version: '1' })
  })

  test('R166 is on record in the trace of the request that it came in', async () => {
    const serve = mcpServer(() => ({ content: [] }))
    const traced = (traceparent: string) => {
      const request = callOf('query', { table: 'revenue' })
      request.headers.set('traceparent', traceparent)
      return request
    }
    await (await serve(traced(`00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`))).text()
    await (await serve(traced('not one'))).text()
    const [odd, begun] = (await calls()).filter(({ event }) => event === 'call.attempt')
    expect(begun).toMatchObject({ trace: { trace_id: 'a'.repeat(32) }, txn: session.claims.txn })
    expect(odd).not.toHaveProperty('trace')
    expect(odd).toMatchObject({ txn: session.claims.txn, tool: 'query', service: 'warehouse-server' })
    await here.broker.close()
    const ends = (await calls()).filter(({ event }) => event === 'call.outcome')
    expect(ends.find(({ id }) => id === begun?.id)).toMatchObject({ trace: { trace_id: 'a'.repeat(32) } })
    expect(ends.find(({ id }) => id === odd?.id)).not.toHaveProperty('trace')
  })

  test('R166 is so behind the SDK’s own check of the token, too, where its tools are guarded one by one', async () => {
    const input = z.object({ table: z.string().optional() })
    const handler = createMcpHandler(() => {
      const server = guardTools(new McpServer({ name: 'warehouse', version: '1.0.0' }), {
        tools: TOOLS,
        judge: here.broker.judge,
      })
      server.registerTool('query', { inputSchema: input }, async () => ({ content: [] }))
      server.registerTool('list_tables', {}, async () => ({ content: [] }))
      return server
    })
    const authInfo = await tokenVerifier(here.verifier).verifyAccessToken(token)
    const trace = 'd'.repeat(32)
    for (const [tool, args] of [
      ['query', { table: 'revenue' }],
      ['list_tables', {}],
    ] as const) {
      const request = callOf(tool, args)
      request.headers.set('accept', 'application/json, text/event-stream')
      request.headers.set('traceparent', `00-${trace}-${'b'.repeat(16)}-01`)
      expect(await (await handler.fetch(request, { authInfo })).text()).toContain('result')
    }
    await here.broker.close()
    const known = await calls()
    expect(known.map(({ event, trace: of }) => [event, of?.trace_id]).sort()).toEqual([
      ['call.attempt', trace],
      ['call.attempt', trace],
      ['call.outcome', trace],
      ['call.outcome', trace],
    ])
  })

  test('R159 whose result is an error has failed, and what it said is not in the record', async () => {
    const serve = mcpServer(() => ({ isError: true, content: [{ type: 'text', text: 'no such table: salaries' }] }))
    await (await serve(callOf('query', { table: 'revenue' }))).text()
    await here.broker.close()
    const [last] = await calls()
    expect(last).toMatchObject({ call: { ended: 'failure' } })
    expect(JSON.stringify(await world.audit())).not.toContain('salaries')
  })

  test('is counted: the fourth of three is refused, and the tool does not run', async () => {
    let ran = 0
    const serve = mcpServer(() => {
      ran += 1
      return { content: [] }
    })
    const answers: number[] = []
    for (let at = 0; at < 4; at += 1) answers.push((await serve(callOf('query', { table: 'revenue' }))).status)
    expect([answers, ran]).toEqual([[200, 200, 200, 403], 3])
  })

  test('with an id asked about twice is one call', async () => {
    const id = newCallId()
    const first = await begin('query', { table: 'revenue' }, token, id)
    const again = await begin('query', { table: 'revenue' }, token, id)
    expect([first.allowed, again.allowed]).toEqual([true, true])
    for (let left = 2; left > 0; left -= 1) expect((await begin('query', { table: 'revenue' })).allowed).toBe(true)
    expect((await begin('query', { table: 'revenue' })).allowed).toBe(false)
  })
})

describe('a refused call', () => {
  test('says what was declared and how to narrow it, to clients, too', async () => {
    const serve = mcpServer(() => ({ content: [] }))
    const response = await serve(callOf('insert_rows', {}))
    expect(response.status).toBe(403)
    // No scope of the token opens it: the broker hears of it, and has no say.
    expect(response.headers.get('www-authenticate')).toContain('insufficient_scope')
    expect(await calls()).toMatchObject([{ outcome: 'refused', detail: 'call insert_rows' }])
    const begun = await begin('query', { table: 'sesame' })
    if (begun.allowed) throw new Error('allowed')
    expect(begun.refusal).toMatchObject({ error: 'outside_intent', declared: expect.any(Object) })
    expect(JSON.stringify(begun.refusal)).not.toContain('sesame')
  })

  test('R063 is by the rights of this moment: a user who lost them is refused at the next call, with the token still good', async () => {
    expect((await begin('query', { table: 'revenue' })).allowed).toBe(true)
    const denied = await world.bearer('/admin/v1/policy', await managementToken(world), 'POST', {
      files: [{ name: 'world.yaml', document: { ...registryDocument(idp), ...askingWarehouse(idp), grants: [] } }],
    })
    expect(denied.status, JSON.stringify(denied.body)).toBe(200)
    const begun = await begin('query', { table: 'revenue' })
    expect(begun).toMatchObject({ allowed: false })
  })

  test('of a token that was revoked asks for another one', async () => {
    await world.revoke(token)
    const begun = await begin('query', { table: 'revenue' })
    expect(begun).toMatchObject({ allowed: false, refusal: { error: 'insufficient_scope', scope: 'mcp:tools:read' } })
  })

  test('of an unknown tool is refused here: the broker is not asked', async () => {
    expect(await begin('drop_everything')).toMatchObject({ allowed: false, refusal: { error: 'outside_intent' } })
    expect(here.asked).not.toContain('/access/v1/evaluation')
  })

  test('without its scope is refused here whatever the broker says, or does not', async () => {
    const refused = { allowed: false, refusal: { error: 'insufficient_scope', scope: 'mcp:tools:write' } }
    expect(await begin('insert_rows')).toMatchObject(refused)
    here.disturb = async (path) =>
      path === '/access/v1/evaluation' ? Response.json({ decision: true, context: {} }) : undefined
    expect(await begin('insert_rows')).toMatchObject(refused)
    here.disturb = () => Promise.reject(new TypeError('fetch failed'))
    expect(await begin('insert_rows')).toMatchObject(refused)
  })

  test('R135 without its scope counts as drift where no token of the session would open it, each once', async () => {
    const serve = mcpServer(() => ({ content: [] }))
    for (let at = 0; at < 3; at += 1) expect((await serve(callOf('insert_rows', {}))).status).toBe(403)
    const path = `/admin/v1/sessions/${session.claims.sid}`
    expect((await world.bearer(path, await managementToken(world))).body.drift).toBe(3)
  })

  test('R135 without its scope counts nothing where another token of the same session opens it', async () => {
    const asked = tools(WAREHOUSE, { query: {}, insert_rows: {} })
    const wide = await granted(world.open({ authorization_details: details(intent(), asked) }))
    const narrow = await granted(world.continue(wide.token, { scope: 'mcp:tools:read' }))
    const serve = mcpServer(() => ({ content: [] }))
    for (let at = 0; at < 3; at += 1) expect((await serve(callOf('insert_rows', {}, narrow.token))).status).toBe(403)
    const path = `/admin/v1/sessions/${wide.claims.sid}`
    expect((await world.bearer(path, await managementToken(world))).body).toMatchObject({ state: 'active', drift: 0 })
  })
})

describe('a broker that cannot be asked', () => {
  const unavailable = { kind: 'unavailable' }

  test.each([
    ['is not there', () => Promise.reject(new TypeError('fetch failed'))],
    ['answers 503', async () => new Response('{}', { status: 503 })],
    ['answers with something else', async () => new Response('<html>', { status: 200 })],
    ['answers with less than a decision', async () => Response.json({ decision: 'true' })],
    [
      'answers yes to something else',
      async () => Response.json({ decision: true, context: { decision_id: 'dec_x', attempt: 'another' } }),
    ],
    [
      'answers yes and has recorded nothing',
      async () => Response.json({ decision: true, context: { decision_id: 'dec_x' } }),
    ],
  ] as const)('and %s: nobody can say, and nothing passes', async (_how, answer) => {
    await begin('query', { table: 'revenue' })
    here.disturb = async (path) => (path === '/access/v1/evaluation' ? answer() : undefined)
    await expect(begin('query', { table: 'revenue' })).rejects.toMatchObject(unavailable)
    let ran = false
    const serve = mcpServer(() => {
      ran = true
      return { content: [] }
    })
    const response = await serve(callOf('query', { table: 'revenue' }))
    expect([response.status, response.headers.get('retry-after'), ran]).toEqual([503, '1', false])
    here.disturb = undefined
    expect((await begin('query', { table: 'revenue' })).allowed).toBe(true)
  })

  test('names another key than the one that was proven: nothing passes', async () => {
    here.disturb = async (path) => {
      if (path !== '/access/v1/evaluation') return undefined
      const { attempt } = (here.sent.at(-1)?.json['context'] ?? {}) as { attempt: string }
      return Response.json({ decision: true, context: { decision_id: 'dec_x', attempt, cnf: { jkt: 'x'.repeat(43) } } })
    }
    await expect(begin('query', { table: 'revenue' })).rejects.toMatchObject(unavailable)
  })

  test('gives no API token: nothing passes', async () => {
    here.disturb = async (path) => (path === '/token' ? new Response('{}', { status: 503 }) : undefined)
    await expect(begin('query', { table: 'revenue' })).rejects.toMatchObject(unavailable)
  })

  test('hears of an outcome when it is back, once', async () => {
    const begun = await begin('query', { table: 'revenue' })
    if (!begun.allowed) throw new Error('refused')
    let away = 2
    here.disturb = async (path) => {
      if (path !== '/access/v1/outcome' || away === 0) return undefined
      away -= 1
      throw new TypeError('fetch failed')
    }
    await begun.ended('failure', 'timeout\nof the store')
    const [last] = await calls()
    expect(last).toMatchObject({ call: { ended: 'failure' }, detail: 'timeout?of the store' })
    expect(here.asked.filter((path) => path === '/access/v1/outcome')).toHaveLength(3)
    expect(here.broker.outcomes).toMatchObject({ pending: 0, untold: 0 })
  })
})

describe('the API token', () => {
  test('is asked for once for however many calls, and again before its end', async () => {
    const other = await accessFor(world, (await openLimited(world, 50)).token)
    await Promise.all(Array.from({ length: 10 }, () => begin('query', { table: 'revenue' }, other)))
    const tokens = () => here.asked.filter((path) => path === '/token').length
    expect(tokens()).toBe(1)
    await world.advance(270)
    const fresh = await accessFor(world, (await openLimited(world, 50)).token)
    await Promise.all(Array.from({ length: 10 }, () => begin('query', { table: 'revenue' }, fresh)))
    expect(tokens()).toBe(2)
  })

  test('that was cut off is replaced, once', async () => {
    await begin('query', { table: 'revenue' })
    await world.bearer('/admin/v1/revocations', await managementToken(world), 'POST', {
      dimension: 'agent',
      agent: 'warehouse-server',
    })
    expect((await begin('query', { table: 'revenue' })).allowed).toBe(true)
    expect(here.asked.filter((path) => path === '/token')).toHaveLength(2)
  })
})
