/** What the libraries tell of prompts, traces and responses, and to whom: to the broker, and only where somebody has said so. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BrokerUnavailable, Refused } from '../../src/sdk/agent/agent.ts'
import { fitting, fittingForm } from '../../src/sdk/broker/fitting.ts'
import { guarded } from '../../src/sdk/verify/guard/web.ts'
import { agentWorld } from '../support/agent-world.ts'
import { type Place, placeWith, read } from '../support/captured.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { serverSide } from '../support/server-side.ts'
import { WAREHOUSE } from '../support/world.ts'

const INTENT = {
  purpose: 'Summarise Q3 revenue',
  origin: { type: 'user_request', ref: 'msg-1' },
  tools: { [WAREHOUSE]: { query: {}, list_tables: {} } },
} as const
const TOOLS = { query: 'mcp:tools:read', list_tables: 'mcp:tools:read' }

let idp: TestIssuer
let place: Place
beforeAll(async () => {
  idp = await startIssuer({ slug: 'corp' })
  place = await placeWith(idp)
})
afterAll(async () => {
  await place.close()
  await idp.close()
})

async function lastWith(event: string) {
  const found = (await place.world.audit()).find((record) => record.event === event)
  if (found === undefined) throw new Error(`there is no ${event}`)
  return found
}

describe.each([false, true])('an agent, with dpop: %s,', (dpop) => {
  const open = (prompt?: string) => {
    const here = agentWorld(place.world, { warehouse: WAREHOUSE })
    const options = { intent: INTENT, onBehalfOf: place.world.idToken(), ...(prompt && { prompt }) }
    return here.agent('orchestrator', { dpop }).openSession(options)
  }

  test('tells what its user has said where a session is opened', async () => {
    const session = await open('Please summarise Q3')
    const { id, session: sid } = await lastWith('session.open')
    expect(sid).toBe(session.id)
    expect((await read(place.world, id, 'prompt')).body.text).toBe('Please summarise Q3')
  })

  test('tells what it is thinking, beside its session', async () => {
    const session = await open()
    expect((await lastWith('session.open')).captured).toBeUndefined()
    const taken = await session.trace('The user wants one figure.')
    expect(taken).toEqual({ decisionId: expect.stringMatching(/^dec_/), captured: 'sealed' })
    await session.trace('I have it.')
    expect((await read(place.world, taken.decisionId ?? '', 'trace')).body.text).toBe('The user wants one figure.')
    expect(await lastWith('session.trace')).toMatchObject({ session: session.id })
  })
})

test('a trace of a session that it does not hold is refused; a broker that is away is said to be', async () => {
  const here = agentWorld(place.world, { warehouse: WAREHOUSE })
  const session = await here.agent('orchestrator').openSession({ intent: INTENT, onBehalfOf: place.world.idToken() })
  const { token } = place.session
  const other = here.agent('researcher').resume(token)
  await expect(other.trace('hm')).rejects.toThrow(Refused)
  here.away = true
  await expect(session.trace('hm')).rejects.toThrow(BrokerUnavailable)
})

describe('a server in live mode', () => {
  const call = async (options: object) => {
    const here = serverSide(place.world, 'warehouse-server', WAREHOUSE, options)
    const { verifier, broker } = here
    const rules = { verifier, tools: TOOLS, baseScope: 'mcp:tools:read', judge: broker.judge }
    const serve = guarded(rules, async () =>
      Response.json({ jsonrpc: '2.0', id: 1, result: { content: [{ type: 'text', text: 'forty-two' }] } }),
    )
    const body = JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: 'query', arguments: {} },
    })
    const headers = { authorization: `Bearer ${place.token}`, 'content-type': 'application/json' }
    await (await serve(new Request(WAREHOUSE, { method: 'POST', headers, body }))).text()
    await broker.close()
    return here.sent.filter(({ path }) => path === '/access/v1/outcome')
  }

  test('tells what the tool has answered, where it is asked to', async () => {
    await call({ reportResponses: true })
    const { id } = await lastWith('call.outcome')
    const { text } = (await read(place.world, id, 'response')).body
    expect(JSON.parse(text)).toEqual({ content: [{ type: 'text', text: 'forty-two' }] })
  })

  test('else nobody', async () => {
    const sent = await call({})
    expect(sent).toHaveLength(1)
    expect(JSON.stringify(sent)).not.toContain('forty-two')
    expect((await lastWith('call.outcome')).captured).toBeUndefined()
  })
})

test.each([
  ['short', 'x'],
  ['long', 'x'.repeat(200_000)],
  ['of characters that JSON writes in six', '\u0001'.repeat(60_000)],
  ['of four bytes each', '😀'.repeat(40_000)],
  ['with lone surrogates', '\ud83d'.repeat(60_000)],
])('a text that is %s fits into a request, and says where it was cut', (what, text) => {
  expect(Buffer.byteLength(JSON.stringify(fitting(text)))).toBeLessThanOrEqual(48 * 1024)
  expect(encodeURIComponent(fittingForm(text)).length).toBeLessThanOrEqual(32 * 1024)
  for (const left of [fitting(text), fittingForm(text)]) expect(left.endsWith('[…]')).toBe(what !== 'short')
})
