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
    expect(here.called).toHaveLength(1)
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
