import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { OutsideIntent, Refused, SessionEnded } from '../../../../src/sdk/agent/agent.ts'
import { type AgentWorld, agentWorld, READ, toolCall } from '../../../support/agent-world.ts'
import { managementToken } from '../../../support/hops.ts'
import { claimsOf, SLACK, startWorld, WAREHOUSE, WIKI, type World } from '../../../support/world.ts'

const QUERY = { table: { enum: ['revenue', 'costs'] }, limit: { maximum: 500 } } as const
const INTENT = {
  purpose: 'Summarise Q3 revenue and post it to #finance',
  origin: { type: 'user_request', ref: 'msg-7731' },
  expiresIn: 900,
  tools: {
    [WAREHOUSE]: { query: QUERY, list_tables: {} },
    [SLACK]: { post_message: { channel: { const: '#finance' }, text: {} } },
  },
} as const

let world: World
let here: AgentWorld

beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world.close())
beforeEach(() => {
  here = agentWorld(world, { warehouse: WAREHOUSE, slack: SLACK })
})

const open = (client = 'orchestrator') =>
  here.agent(client).openSession({ intent: INTENT, onBehalfOf: world.idToken() })

const revenue = toolCall('query', { table: 'revenue', limit: 10 })

test('R166 what an agent does in a trace is one piece of work, from its session to the server', async () => {
  const traceId = 'd'.repeat(32)
  const heard: (string | null)[] = []
  here.stands = async (request) => {
    heard.push(request.headers.get('traceparent'))
    return undefined
  }
  const agent = here.agent('orchestrator', { traceparent: () => `00-${traceId}-${'e'.repeat(16)}-01` })
  const session = await agent.openSession({ intent: INTENT, onBehalfOf: world.idToken() })
  expect((await session.fetch(WAREHOUSE, revenue)).status).toBe(200)
  here.stands = undefined
  expect(heard).toEqual([`00-${traceId}-${'e'.repeat(16)}-01`])
  const records = (await world.audit()).filter((record) => record.session === session.id)
  expect(records.map(({ event }) => event)).toEqual(['token.introspect', 'token.continue', 'session.open'])
  for (const { txn } of records) expect(txn).toBe(traceId)
})

describe('a session that an agent opens for its user', () => {
  test('has its id, its end and what was granted, and calls a tool with a token of its own', async () => {
    const session = await open()
    expect(session.id).toMatch(/^ses_/)
    expect(session.expiresAt).toBe(world.now() + 900)
    expect([...(session.granted.get(WAREHOUSE)?.tools.keys() ?? [])].sort()).toEqual(['list_tables', 'query'])
    const response = await session.fetch(WAREHOUSE, revenue)
    expect(response.status).toBe(200)
    expect(await response.text()).toContain('query')
    const claims = claimsOf((here.called[0]?.authorization ?? '').slice('Bearer '.length))
    expect(claims).toMatchObject({ aud: WAREHOUSE, sid: session.id, client_id: 'orchestrator' })
  })

  test('asks for each resource once, and sends each token to its own resource alone', async () => {
    const session = await open()
    await session.fetch(WAREHOUSE, revenue)
    await session.fetch(WAREHOUSE, revenue)
    await session.fetch(SLACK, toolCall('post_message', { channel: '#finance', text: 'hi' }))
    expect(here.asked.map((form) => form.get('resource'))).toEqual([null, WAREHOUSE, SLACK])
    for (const { url, authorization } of here.called) {
      expect(claimsOf((authorization ?? '').slice('Bearer '.length))['aud']).toBe(url)
    }
  })

  test('calls whatever is no resource of it without a token, also beside one', async () => {
    const session = await open()
    const others = ['https://elsewhere.example/mcp', `${WAREHOUSE}/other`, `${WAREHOUSE}x`]
    const more = ['http://warehouse.example/mcp', 'https://warehouse.example:444/mcp', 'https://warehouse.example/']
    for (const url of [...others, ...more]) await session.fetch(url)
    expect(here.called.map(({ authorization }) => authorization)).toEqual([null, null, null, null, null, null])
    expect(here.asked).toHaveLength(1)
  })

  test('knows its resource in another spelling of the same URL', async () => {
    const session = await open()
    for (const url of ['https://WAREHOUSE.example:443/mcp', `${WAREHOUSE}/`, `${WAREHOUSE}?page=2#here`]) {
      await session.fetch(url, revenue)
    }
    expect(here.called.every(({ authorization }) => authorization?.startsWith('Bearer '))).toBe(true)
    expect(here.asked.map((form) => form.get('resource'))).toEqual([null, WAREHOUSE])
  })

  test('follows no redirect with a token: the answer is given to the caller', async () => {
    const session = await open()
    let mode: unknown
    const fetch = here.agent('orchestrator', {
      fetch: async (_, init) => {
        mode = init?.redirect
        return new Response(null, { status: 307, headers: { location: 'https://evil.example/' } })
      },
    })
    const other = await fetch.openSession({ intent: INTENT, onBehalfOf: world.idToken() })
    expect((await other.fetch(WAREHOUSE, { ...revenue, redirect: 'follow' })).status).toBe(307)
    expect(mode).toBe('manual')
    await session.close()
  })

  test('is for a user or of the agent itself: for neither, and for both, nothing is asked', async () => {
    const agent = here.agent('orchestrator')
    await expect(agent.openSession({ intent: INTENT })).rejects.toThrow(TypeError)
    const both = { intent: INTENT, onBehalfOf: world.idToken(), asItself: 'token' }
    await expect(agent.openSession(both)).rejects.toThrow(TypeError)
    expect(here.asked).toEqual([])
  })

  test('that the broker refuses says why in its words, and holds no token', async () => {
    const agent = here.agent('orchestrator')
    const token = world.idToken({ aud: 'somebody-else' })
    const error = await agent.openSession({ intent: INTENT, onBehalfOf: token }).catch((one: unknown) => one)
    expect(error).toBeInstanceOf(Refused)
    expect((error as Refused).reason).toBe('subject_token_audience')
    expect((error as Refused).facts.decisionId).toMatch(/^dec_/)
    expect(JSON.stringify({ ...(error as Refused) }) + String(error)).not.toContain(token.slice(0, 20))
  })
})

describe('a call outside the intent', () => {
  test('is an error that names what was declared, without asking for a token that would not help', async () => {
    const session = await open()
    const error = await session.fetch(WAREHOUSE, toolCall('drop_table')).catch((one: unknown) => one)
    expect(error).toBeInstanceOf(OutsideIntent)
    expect(String(error)).toContain('query, list_tables')
    expect(String(error)).toContain('mcp:tools:destructive')
    const forms = here.asked.length
    await expect(session.fetch(WAREHOUSE, toolCall('drop_table'))).rejects.toThrow(OutsideIntent)
    expect(here.asked).toHaveLength(forms)
  })

  test('by its arguments is one, too, and says which', async () => {
    const session = await open()
    const call = session.fetch(WAREHOUSE, toolCall('query', { table: 'salaries', limit: 1 }))
    await expect(call).rejects.toThrow(/'table'/)
    expect(here.asked).toHaveLength(2)
  })
})

describe('step-up', () => {
  test('asks once for what the server wants beside what is held, within the intent, and goes on with it', async () => {
    const agent = here.agent('orchestrator')
    const tools = { [WAREHOUSE]: { query: QUERY, insert_rows: {} } } as const
    const session = await agent.openSession({
      intent: { purpose: 'Write the summary down', tools },
      onBehalfOf: world.idToken(),
      startWith: { [WAREHOUSE]: READ },
    })
    expect((await session.fetch(WAREHOUSE, revenue)).status).toBe(200)
    const calls = Array.from({ length: 20 }, () => session.fetch(WAREHOUSE, toolCall('insert_rows', { rows: [] })))
    for (const response of await Promise.all(calls)) expect(response.status).toBe(200)
    expect(here.asked.map((form) => form.get('scope'))).toEqual([null, READ, 'mcp:tools:read mcp:tools:write'])
    await session.fetch(WAREHOUSE, revenue)
    expect(here.asked).toHaveLength(3)
  })
})

describe('what is passed on', () => {
  test('in this process: the child session holds less, and its tool still works', async () => {
    const session = await open()
    const delegation = await session.delegate({
      to: 'researcher',
      purpose: 'Find the Q3 revenue figures',
      tools: ['query'],
      constraints: { query: { table: { const: 'revenue' }, limit: { maximum: 100 } } },
    })
    const child = await delegation.acceptAs(here.agent('researcher'))
    expect([...child.granted.keys()]).toEqual([WAREHOUSE])
    expect((await child.fetch(WAREHOUSE, revenue)).status).toBe(200)
    const costs = toolCall('query', { table: 'costs', limit: 10 })
    await expect(child.fetch(WAREHOUSE, costs)).rejects.toThrow(OutsideIntent)
    expect((await session.fetch(WAREHOUSE, costs)).status).toBe(200)
    const claims = claimsOf((await child.token({ resource: WAREHOUSE })).secret.reveal())
    expect(claims['act']).toMatchObject({ sub: 'agent:researcher', act: { sub: 'agent:orchestrator' } })
  })

  test('to another process: its text is given out once and accepted once, by the sub-agent alone', async () => {
    const session = await open()
    const delegation = await session.delegate({ to: 'researcher', purpose: 'List', tools: ['list_tables'] })
    const text = delegation.token()
    expect(() => delegation.token()).toThrow(/once/)
    await expect(here.agent('scribe').accept(text)).rejects.toThrow(Refused)
    const child = await here.agent('researcher').accept(text)
    expect((await child.fetch(WAREHOUSE, toolCall('list_tables'))).status).toBe(200)
    const again = await here
      .agent('researcher')
      .accept(text)
      .catch((one: unknown) => one)
    expect((again as Refused).reason).toBe('delegation_consumed')
  })

  const WIDER = [
    {
      what: 'a wider argument',
      asked: { tools: ['query'], constraints: { query: { limit: { maximum: 501 } } } },
    },
    { what: 'a tool that is not held', asked: { tools: ['drop_table'] } },
    { what: 'an argument that is not held', asked: { tools: ['query'], constraints: { query: { where: {} } } } },
  ]
  test.each(WIDER)('$what is refused before anything is sent, in the words of the broker', async ({ what, asked }) => {
    const session = await open()
    const before = here.asked.length
    // Past the types, as JavaScript would.
    const options = { to: 'researcher', purpose: 'Too much', ...asked } as never
    const error = (await session.delegate(options).catch((one: unknown) => one)) as Refused
    expect(error).toBeInstanceOf(Refused)
    expect(here.asked).toHaveLength(before)
    const { body } = await world.delegate((await world.opened()).session, {
      authorization_details: JSON.stringify(sameAsked(asked)),
    })
    expect({ error: error.facts.error, reason: error.reason, description: error.facts.description }).toEqual({
      error: body.error,
      reason: body.error_reason,
      description: body.error_description,
    })
    // Which scope a tool needs is the broker's to know.
    if (what !== 'a tool that is not held') expect(error.missing).toEqual(body.missing)
  })
})

/** What the same question would be on the wire. */
function sameAsked({ tools, constraints }: { tools: string[]; constraints?: object }) {
  const at = (location: string, named: object) => ({ type: 'mcp_tools', locations: [location], tools: named })
  const intent = { type: 'agent_intent', purpose: 'Too much' }
  if (tools[0] === 'drop_table') return [intent, at(WAREHOUSE, { drop_table: {} })]
  return [intent, at(WAREHOUSE, { query: { ...QUERY, ...(constraints as { query: object }).query } })]
}

describe('the end of a session', () => {
  test('closed: nothing more goes out with it, and its children are dead', async () => {
    const session = await open()
    const delegation = await session.delegate({ to: 'researcher', purpose: 'List', tools: ['list_tables'] })
    const child = await delegation.acceptAs(here.agent('researcher'))
    expect((await child.fetch(WAREHOUSE, toolCall('list_tables'))).status).toBe(200)
    expect((await session.fetch(WAREHOUSE, revenue)).status).toBe(200)
    const before = here.called.length
    expect(await session.close()).toMatchObject({ revoked: { hops: expect.any(Array) } })
    await expect(session.fetch(WAREHOUSE, revenue)).rejects.toThrow(SessionEnded)
    expect(here.called).toHaveLength(before)
    await expect(session.delegate({ to: 'researcher', purpose: 'x', tools: ['query'] })).rejects.toThrow(SessionEnded)
    const error = await child.fetch(WAREHOUSE, toolCall('list_tables')).catch((one: unknown) => one)
    expect(error).toBeInstanceOf(SessionEnded)
    expect((error as SessionEnded).session).toBe(session.id)
  })

  test('revoked by its user: the server says 401, the broker says why, and it is not asked again', async () => {
    const session = await open()
    expect((await session.fetch(WAREHOUSE, revenue)).status).toBe(200)
    const revoked = await world.bearer(`/sessions/${session.id}`, world.userToken(), 'DELETE')
    expect(revoked.status).toBe(200)
    const error = await session.fetch(WAREHOUSE, revenue).catch((one: unknown) => one)
    expect(error).toBeInstanceOf(SessionEnded)
    expect((error as SessionEnded).reason).toBe('session_not_issuing')
    const forms = here.asked.length
    await expect(session.fetch(SLACK, revenue)).rejects.toThrow(SessionEnded)
    expect(here.asked).toHaveLength(forms)
  })

  test('halted: asked again once a second, and a session again when a reviewer has resumed it', async () => {
    const own = await startWorld({ settings: { drift: { contractAfter: 1, haltAfter: 2, windowSeconds: 600 } } })
    const there = agentWorld(own, { warehouse: WAREHOUSE })
    const session = await there.agent('orchestrator').openSession({ intent: INTENT, onBehalfOf: own.idToken() })
    expect((await session.fetch(WAREHOUSE, revenue)).status).toBe(200)
    const outside = { resource: WIKI as typeof WAREHOUSE } // past the types, as JavaScript would
    await expect(session.token(outside)).rejects.toThrow(Refused)
    await expect(session.token(outside)).rejects.toThrow(Refused)
    const error = await session.fetch(WAREHOUSE, revenue).catch((one: unknown) => one)
    expect(error).toBeInstanceOf(SessionEnded)
    expect((error as SessionEnded).reason).toBe('session_not_issuing')
    const forms = there.asked.length
    await expect(session.fetch(WAREHOUSE, revenue)).rejects.toThrow(SessionEnded)
    expect(there.asked).toHaveLength(forms)
    await own.advance(2)
    await expect(session.fetch(WAREHOUSE, revenue)).rejects.toThrow(SessionEnded)
    expect(there.asked).toHaveLength(forms + 1)
    const review = { action: 'resume', reason: 'looked at it' }
    const path = `/admin/v1/sessions/${session.id}/review`
    const resumed = await own.bearer(path, await managementToken(own), 'POST', review)
    expect(resumed.body).toMatchObject({ state: 'active' })
    await own.advance(2)
    expect((await session.fetch(WAREHOUSE, revenue)).status).toBe(200)
    await own.close()
  })
})
