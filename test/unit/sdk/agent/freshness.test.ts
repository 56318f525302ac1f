import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type AnySession, BrokerUnavailable } from '../../../../src/sdk/agent/agent.ts'
import { type AgentWorld, agentWorld, toolCall } from '../../../support/agent-world.ts'
import { aWhile } from '../../../support/patience.ts'
import { startWorld, WAREHOUSE, type World } from '../../../support/world.ts'

const INTENT = {
  purpose: 'Look at the tables for a while',
  expiresIn: 3_000,
  tools: { [WAREHOUSE]: { list_tables: {}, query: {} } },
} as const

/** The world's access tokens live this long. */
const LIFE_S = 300

let world: World
let here: AgentWorld
let session: AnySession

beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world.close())
beforeEach(async () => {
  here = agentWorld(world, { warehouse: WAREHOUSE })
  session = await here.agent('orchestrator').openSession({ intent: INTENT, onBehalfOf: world.idToken() })
  here.asked.length = 0
})

const call = () => session.fetch(WAREHOUSE, toolCall('list_tables'))
const statuses = (responses: readonly Response[]) => [...new Set(responses.map(({ status }) => status))]
/** What runs behind a call that did not wait for it. */
const settled = () => aWhile(100)

describe('a burst of 1 000 parallel calls makes exactly one exchange', () => {
  const burst = () => Promise.all(Array.from({ length: 1_000 }, call))
  /** As the broker has recorded them. */
  const exchanges = async () =>
    (await world.audit(50)).filter((one) => one.event === 'token.continue' && one.session === session.id).length
  const refused = new Set<string | null>()

  // What the broker has to do for it is counted, not what a server does with a thousand calls at once.
  beforeEach(() => {
    refused.clear()
    here.stands = async (request) => {
      const token = request.headers.get('authorization')
      return new Response(null, { status: token === null || refused.has(token) ? 401 : 200 })
    }
  })

  test('at the first call', async () => {
    expect(statuses(await burst())).toEqual([200])
    expect({ asked: here.asked.length, recorded: await exchanges() }).toEqual({ asked: 1, recorded: 1 })
  })

  test('at expiry', async () => {
    await call()
    await world.advance(LIFE_S)
    expect(statuses(await burst())).toEqual([200])
    expect({ asked: here.asked.length, recorded: await exchanges() }).toEqual({ asked: 2, recorded: 2 })
  })

  test('where the server refuses the token of all of them', async () => {
    await call()
    refused.add(here.called[0]?.authorization ?? null)
    expect(statuses(await burst())).toEqual([200])
    expect({ asked: here.asked.length, recorded: await exchanges() }).toEqual({ asked: 2, recorded: 2 })
  })
})

describe('a token is renewed ahead of its end', () => {
  test('not in the first three quarters of its life, and before the last tenth, and nobody waits for it', async () => {
    await call()
    await world.advance(LIFE_S * 0.74)
    await call()
    expect(here.asked).toHaveLength(1)
    await world.advance(LIFE_S * 0.1)
    const before = here.called.at(-1)?.authorization
    await call()
    expect(here.called.at(-1)?.authorization).toBe(before)
    await settled()
    expect(here.asked).toHaveLength(2)
    await call()
    expect(here.called.at(-1)?.authorization).not.toBe(before)
    expect(here.asked).toHaveLength(2)
  })

  test('used on while the broker is away, asked for again once a second, and missed only when it ends', async () => {
    await call()
    await world.advance(LIFE_S * 0.9)
    here.away = true
    for (let n = 0; n < 5; n += 1) {
      expect((await call()).status).toBe(200)
      await settled()
    }
    expect(here.asked).toHaveLength(2)
    await world.advance(2)
    await call()
    await settled()
    expect(here.asked).toHaveLength(3)
    await world.advance(LIFE_S)
    await expect(call()).rejects.toThrow(BrokerUnavailable)
    here.away = false
    expect((await call()).status).toBe(200)
  })
})

describe('401 is answered with one fresh token, once', () => {
  test('and what the server says to that is given to the caller', async () => {
    await call()
    here.stands = async () => new Response('no', { status: 401 })
    const response = await call()
    expect({ status: response.status, text: await response.text() }).toEqual({ status: 401, text: 'no' })
    expect(here.asked).toHaveLength(2)
    expect(here.called).toHaveLength(3)
  })

  test('a late complaint about a token that was replaced changes nothing', async () => {
    const first = await session.token({ resource: WAREHOUSE })
    session.rejected(first)
    const second = await session.token({ resource: WAREHOUSE })
    session.rejected(first)
    expect((await session.token({ resource: WAREHOUSE })).secret).toBe(second.secret)
    expect(here.asked).toHaveLength(2)
  })

  test('a body that can be read once is not sent twice: the answer is given to the caller, the next token is fresh', async () => {
    await call()
    here.stands = async () => new Response('no', { status: 401 })
    const { body, ...init } = toolCall('list_tables')
    const stream = new Blob([String(body)]).stream()
    const response = await session.fetch(WAREHOUSE, { ...init, body: stream, duplex: 'half' } as RequestInit)
    expect(response.status).toBe(401)
    expect(here.called).toHaveLength(2)
    here.stands = undefined
    expect((await call()).status).toBe(200)
    expect(here.asked).toHaveLength(2)
  })

  test('a Request is sent again as it was', async () => {
    await call()
    const first = here.called[0]?.authorization
    here.stands = async (request) =>
      request.headers.get('authorization') === first ? new Response(null, { status: 401 }) : undefined
    const response = await session.fetch(new Request(WAREHOUSE, toolCall('list_tables')))
    expect(response.status).toBe(200)
    expect(await response.text()).toContain('list_tables')
  })
})

describe('a broker that is busy', () => {
  const busy = (answers: readonly Response[]) => {
    const left = [...answers]
    const waits: number[] = []
    const agent = here.agent('orchestrator', {
      forms: async () => {
        const response = left.shift() ?? new Response('{}', { status: 500 })
        const text = await response.text()
        return { status: response.status, text, header: (name) => response.headers.get(name) ?? undefined }
      },
      wait: async (ms) => void waits.push(ms),
    })
    return { agent, waits, left }
  }
  const later = (seconds: string, status = 503) => new Response('', { status, headers: { 'retry-after': seconds } })
  const given = () =>
    Response.json({ access_token: 'token', token_type: 'bearer', expires_in: 300, scope: 'mcp:tools:read' })

  test('is asked again when it says so', async () => {
    const { agent, waits } = busy([later('1'), later('2', 429), given()])
    expect((await agent.token({ resource: WAREHOUSE })).scopes).toEqual(['mcp:tools:read'])
    expect(waits).toEqual([1_000, 2_000])
  })

  test.each([
    { what: 'that wants more time than the caller has', answers: [later('600')], seconds: 600 },
    { what: 'that goes on saying so', answers: [later('1'), later('1'), later('1')], seconds: 1 },
    { what: 'that does not say when', answers: [new Response('', { status: 502 })], seconds: undefined },
    { what: 'that says a date', answers: [later('Sun, 22 Nov 2026 00:00:00 GMT')], seconds: undefined },
  ])('$what is given up, and the caller told', async ({ answers, seconds }) => {
    const { agent, left } = busy([...answers, given()])
    const error = await agent.token({ resource: WAREHOUSE }).catch((one: unknown) => one)
    expect(error).toBeInstanceOf(BrokerUnavailable)
    expect((error as BrokerUnavailable).retryAfterSeconds).toBe(seconds)
    expect(left).toHaveLength(1)
  })
})
