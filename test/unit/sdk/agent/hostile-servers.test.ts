/** MCP servers and networks that mean harm: none of them gets a credential, or a token that is for somebody else. */
import { inspect } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { AgentError, NotTrusted, OutsideIntent } from '../../../../src/sdk/agent/agent.ts'
import { type AgentWorld, agentWorld, READ, toolCall } from '../../../support/agent-world.ts'
import { startWorld, WAREHOUSE, WIKI, type World } from '../../../support/world.ts'

let world: World
let here: AgentWorld

beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world.close())
beforeEach(() => {
  here = agentWorld(world, { warehouse: WAREHOUSE })
})

const METADATA = 'https://wiki.example/.well-known/oauth-protected-resource/mcp'

/** A server that asks for a token and says of itself what it is told to. */
function standing(document: unknown, challenge = `Bearer resource_metadata="${METADATA}"`): void {
  here.stands = async (request) => {
    if (request.url.includes('.well-known')) return document === undefined ? undefined : Response.json(document)
    if (request.headers.get('authorization') !== null) return new Response('done')
    return new Response(null, { status: 401, headers: { 'www-authenticate': challenge } })
  }
}

const honest = () => ({ resource: WIKI, authorization_servers: [world.issuer], scopes_supported: [READ, 'admin'] })
const carried = () => here.called.filter(({ authorization }) => authorization !== null)

describe('a server that nobody has named', () => {
  test('gets a token for itself, where its metadata name it and this broker', async () => {
    standing(honest())
    const agent = here.agent('orchestrator')
    expect(await (await agent.fetch(WIKI, toolCall('search'))).text()).toBe('done')
    expect(here.asked.map((form) => form.get('resource'))).toEqual([WIKI])
    // Not all that its metadata list (mcp.md §1a 14).
    expect(here.asked[0]?.has('scope')).toBe(false)
    await agent.fetch(WIKI, toolCall('search'))
    expect(here.asked).toHaveLength(1)
  })

  test('is asked with the scope of its challenge, where it has one', async () => {
    standing(honest(), `Bearer scope="${READ}", resource_metadata="${METADATA}"`)
    await here.agent('orchestrator').fetch(WIKI, toolCall('search'))
    expect(here.asked[0]?.get('scope')).toBe(READ)
  })

  test('is found by its well-known places where its challenge names none', async () => {
    standing(honest(), 'Bearer')
    await here.agent('orchestrator').fetch(WIKI, toolCall('search'))
    expect(carried()).toHaveLength(1)
  })

  test('that publishes nothing gets nothing', async () => {
    standing(undefined)
    expect((await here.agent('orchestrator').fetch(WIKI, toolCall('search'))).status).toBe(401)
    expect(here.asked).toEqual([])
  })

  test.each([
    ['another authorization server', { authorization_servers: ['https://evil.example'] }],
    ['no authorization server', { authorization_servers: undefined }],
    ['an issuer that only begins alike', { authorization_servers: ['http://127.0.0.1:4400.evil.example'] }],
    ['another resource of the same host', { resource: 'https://wiki.example/' }],
    ['another host', { resource: WAREHOUSE }],
    ['no resource', { resource: undefined }],
  ])('that names %s gets nothing, and the broker is not asked', async (_, change) => {
    standing({ ...honest(), ...change })
    await expect(here.agent('orchestrator').fetch(WIKI, toolCall('search'))).rejects.toThrow(NotTrusted)
    expect({ asked: here.asked, carried: carried() }).toEqual({ asked: [], carried: [] })
  })

  test('that points elsewhere for its metadata is not followed there', async () => {
    standing(honest(), 'Bearer resource_metadata="http://169.254.169.254/latest/meta-data"')
    await expect(here.agent('orchestrator').fetch(WIKI, toolCall('search'))).rejects.toThrow(NotTrusted)
    expect(here.read).toEqual([])
  })

  test('is asked over https only, or on this machine', async () => {
    standing({ ...honest(), resource: 'http://wiki.example/mcp' }, 'Bearer')
    const agent = here.agent('orchestrator')
    expect((await agent.fetch('http://wiki.example/mcp', toolCall('search'))).status).toBe(401)
    await expect(agent.token({ resource: 'http://wiki.example/mcp' })).rejects.toThrow(AgentError)
    expect(() => here.agent('orchestrator', { broker: 'http://errand.example' })).toThrow(TypeError)
    expect(here.asked).toEqual([])
  })
})

describe('a server that asks for more and more', () => {
  test('is refused each distinct challenge once, and can make the agent ask the broker no oftener', async () => {
    const agent = here.agent('orchestrator', { resources: [WIKI] })
    let n = 0
    here.stands = async () => {
      n = (n + 1) % 3
      const header = `Bearer error="insufficient_scope", scope="more:${n}"`
      return new Response(null, { status: 403, headers: { 'www-authenticate': header } })
    }
    for (let calls = 0; calls < 30; calls += 1) {
      await expect(agent.fetch(WIKI, toolCall('search'))).rejects.toThrow(OutsideIntent)
    }
    expect(here.asked).toHaveLength(4)
  })

  test('which the broker refuses is no reason to ask again for the same', async () => {
    const sent: (string | null)[] = []
    const agent = here.agent('orchestrator', {
      resources: [WIKI],
      forms: async ({ form }) => {
        sent.push(form.get('scope'))
        const isMore = form.get('scope')?.includes('more') === true
        const granted = { access_token: 'token', token_type: 'Bearer', expires_in: 300, scope: READ }
        const text = JSON.stringify(isMore ? { error: 'invalid_scope' } : granted)
        return { status: isMore ? 400 : 200, text, header: () => undefined }
      },
    })
    const header = 'Bearer error="insufficient_scope", scope="more"'
    here.stands = async () => new Response(null, { status: 403, headers: { 'www-authenticate': header } })
    for (let calls = 0; calls < 5; calls += 1) {
      await expect(agent.fetch(WIKI, toolCall('search'))).rejects.toThrow(OutsideIntent)
    }
    expect(sent).toEqual([null, `${READ} more`])
  })

  test('and goes on refusing what it was given ends at the second refusal', async () => {
    const agent = here.agent('orchestrator', { resources: [WIKI], startWith: { [WIKI]: READ } })
    const header = 'Bearer error="insufficient_scope", scope="mcp:tools:read"'
    here.stands = async () => new Response(null, { status: 403, headers: { 'www-authenticate': header } })
    await expect(agent.fetch(WIKI, toolCall('search'))).rejects.toThrow(OutsideIntent)
    expect({ called: here.called.length, asked: here.asked.length }).toEqual({ called: 2, asked: 2 })
    // Nor does it make the agent ask for one token after the other.
    for (let calls = 0; calls < 5; calls += 1) {
      await expect(agent.fetch(WIKI, toolCall('search'))).rejects.toThrow(OutsideIntent)
    }
    expect(here.asked).toHaveLength(2)
  })

  test('of what is held, since it was cut off, is called with one new token, however many calls it has refused', async () => {
    const agent = here.agent('orchestrator', { resources: [WIKI] })
    const old = `Bearer ${(await agent.token({ resource: WIKI })).secret.reveal()}`
    const header = `Bearer error="insufficient_scope", scope="${READ}"`
    here.stands = async (request) =>
      request.headers.get('authorization') === old
        ? new Response(null, { status: 403, headers: { 'www-authenticate': header } })
        : new Response('done')
    const answers = await Promise.all([1, 2, 3].map(() => agent.fetch(WIKI, toolCall('search'))))
    expect(await Promise.all(answers.map((answer) => answer.text()))).toEqual(['done', 'done', 'done'])
    expect(here.asked).toHaveLength(2)
  })

  test('of what is held keeps its token where the broker gives no other', async () => {
    let given = 0
    const agent = here.agent('orchestrator', {
      resources: [WIKI],
      forms: async () => {
        given += 1
        const granted = { access_token: 'token', token_type: 'Bearer', expires_in: 300, scope: READ }
        const text = JSON.stringify(given > 1 ? { error: 'invalid_scope' } : granted)
        return { status: given > 1 ? 400 : 200, text, header: () => undefined }
      },
    })
    const header = `Bearer error="insufficient_scope", scope="${READ}"`
    here.stands = async (request) =>
      (await request.text()).includes('search')
        ? new Response(null, { status: 403, headers: { 'www-authenticate': header } })
        : new Response('done')
    for (let calls = 0; calls < 3; calls += 1) {
      await expect(agent.fetch(WIKI, toolCall('search'))).rejects.toThrow(OutsideIntent)
    }
    expect(await (await agent.fetch(WIKI, toolCall('read_page'))).text()).toBe('done')
    expect(given).toBe(2)
  })

  test('in a header that is no header is given its own answer', async () => {
    const agent = here.agent('orchestrator', { resources: [WIKI] })
    for (const header of [
      'Bearer',
      'Basic realm="x", error="insufficient_scope"',
      `Bearer error="x${'y'.repeat(9_000)}"`,
    ]) {
      here.stands = async () => new Response(null, { status: 403, headers: { 'www-authenticate': header } })
      expect((await agent.fetch(WIKI, toolCall('search'))).status).toBe(403)
    }
  })
})

describe('the body of a refusal', () => {
  const header = 'Bearer error="outside_intent", error_description="no"'
  const refusedWith = async (body: string | ReadableStream<Uint8Array> | null, type = 'application/json') => {
    const agent = here.agent('orchestrator', { resources: [WIKI] })
    const headers = { 'www-authenticate': header, 'content-type': type }
    here.stands = async () => new Response(body, { status: 403, headers })
    const error = await agent.fetch(WIKI, toolCall('search')).catch((one: unknown) => one)
    expect(error).toBeInstanceOf(OutsideIntent)
    return (error as OutsideIntent).told
  }

  test('is handed on: what was declared, how to narrow, and whom to ask', async () => {
    const told = {
      declared: { purpose: 'Zahlen für März', tools: ['search'] },
      narrow_to: { tool: 'search', constraints: { limit: { maximum: 10 } } },
      access_request: { id: 'apr_1', requestable: false },
    }
    expect(await refusedWith(JSON.stringify({ error: 'outside_intent', other: 'x', ...told }))).toEqual(told)
  })

  test.each([
    ['a terminal’s steering', '\u001b[2J'],
    ['a line of a log', 'a\nb'],
    ['letters that turn around what follows', '\u202e'],
    ['a token', `${'a'.repeat(20)}.${'b'.repeat(20)}.c`],
    ['too long a text', 'x'.repeat(513)],
    ['too many values', Array.from({ length: 2_000 }, () => 1)],
  ])('with %s in a member tells nothing of it', async (_, value) => {
    const declared = { purpose: 'Look' }
    expect(await refusedWith(JSON.stringify({ declared, narrow_to: { deep: [value] } }))).toEqual({ declared })
    if (typeof value === 'string') {
      expect(await refusedWith(JSON.stringify({ declared, narrow_to: { [value]: 1 } }))).toEqual({ declared })
    }
  })

  test.each([
    ['no JSON', 'no', undefined],
    ['another type', JSON.stringify({ declared: {} }), 'text/html'],
    ['a member twice', '{"declared":{},"declared":{"a":1}}', undefined],
    ['lists in place of objects', '{"declared":[1],"narrow_to":"x"}', undefined],
    ['nothing', null, undefined],
    ['too much', JSON.stringify({ declared: { pad: Array.from({ length: 80 }, () => 'x'.repeat(500)) } }), undefined],
  ])('of %s tells nothing', async (_, body, type) => {
    expect(await refusedWith(body, type)).toEqual({})
  })

  test('that never ends does not keep the caller waiting', async () => {
    const endless = new ReadableStream<Uint8Array>({ start: (out) => out.enqueue(Buffer.from('{"declared":{')) })
    expect(await refusedWith(endless)).toEqual({})
  })
})

describe('the broker', () => {
  const metadata = (change: object) => ({ issuer: world.issuer, token_endpoint: `${world.issuer}/token`, ...change })

  test.each([
    ['of another issuer', { issuer: 'https://evil.example' }],
    ['with its endpoint over plain http', { token_endpoint: 'http://evil.example/token' }],
    ['without an endpoint', { token_endpoint: undefined }],
    ['with an endpoint that names a user', { token_endpoint: 'https://a:b@errand.example/token' }],
  ])('whose metadata are %s is sent nothing', async (_, change) => {
    const agent = here.agent('orchestrator', { door: async () => JSON.stringify(metadata(change)) })
    await expect(agent.token({ resource: WIKI })).rejects.toThrow(NotTrusted)
    expect(here.asked).toEqual([])
  })

  test('is asked for its metadata once, however many ask', async () => {
    const agent = here.agent('orchestrator', { resources: [WIKI] })
    await Promise.all(
      Array.from({ length: 50 }, (_, n) => agent.token({ resource: WIKI, scope: n % 2 ? READ : `${READ} x` })),
    )
    expect(here.read.filter((url) => url.startsWith(world.issuer))).toHaveLength(1)
  })

  test.each([
    ['a token that would end a header early', { access_token: 'a\r\nx-evil: 1' }],
    ['no token', { access_token: '' }],
    ['a type that is not known', { token_type: 'mac' }],
    ['a token that is none for a server', { token_type: 'N_A' }],
    ['a bound token that nobody has asked for', { token_type: 'DPoP' }],
    ['a life of less than nothing', { expires_in: -1 }],
  ])('that gives %s is not believed', async (_, change) => {
    const body = { access_token: 'token', token_type: 'Bearer', expires_in: 300, ...change }
    const forms = async () => ({ status: 200, text: JSON.stringify(body), header: () => undefined })
    await expect(here.agent('orchestrator', { forms }).token({ resource: WIKI })).rejects.toThrow(NotTrusted)
  })
})

describe('nothing prints a secret', () => {
  test('not an agent, a session, a token, a delegation, nor an error', async () => {
    const agent = here.agent('orchestrator')
    const idToken = world.idToken()
    const session = await agent.openSession({
      intent: { purpose: 'Look', tools: { [WAREHOUSE]: { list_tables: {}, query: {} } } },
      onBehalfOf: idToken,
    })
    const token = await session.token({ resource: WAREHOUSE })
    const delegation = await session.delegate({ to: 'researcher', purpose: 'Look', tools: ['query'] })
    const errors = await Promise.all([
      session.fetch(WAREHOUSE, toolCall('drop_table')).catch((error: unknown) => error),
      agent.openSession({ intent: { purpose: 'x', tools: {} }, onBehalfOf: idToken }).catch((error: unknown) => error),
      agent.accept(token.secret.reveal()).catch((error: unknown) => error),
    ])
    const printed = [agent, session, token, delegation, ...errors].map((one) => inspect(one, { depth: 12 })).join('\n')
    const secrets = [
      token.secret.reveal(),
      idToken,
      delegation.token(),
      ...here.asked.flatMap((form) => [...form.values()]),
    ]
    const long = secrets.filter((text) => text.length > 100 && text.startsWith('ey'))
    expect(long.length).toBeGreaterThan(3)
    for (const secret of long) {
      const tail = secret.slice(secret.lastIndexOf('.') + 1)
      expect(printed.includes(tail) || printed.includes(secret.slice(0, 60)), secret.slice(0, 20)).toBe(false)
    }
  })
})
