/**
 * `exchangeForDownstream` and `downstreamFetch` of a server's library before a real broker (R123, R124, R176; MCP Security Best
 * Practices, token passthrough): one exchange however many wait, no token anywhere but where it is for.
 */
import { inspect } from 'node:util'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Secret } from '../../src/kernel/secret.ts'
import { authInfoOf } from '../../src/sdk/verify/auth-info.ts'
import type { Inbound } from '../../src/sdk/verify/live/broker-client.ts'
import { logFields } from '../../src/sdk/verify/log-fields.ts'
import { ARCHIVE, type Called, called, onwardRegistry, VAULT } from '../support/downstream.ts'
import { holderKey, proof } from '../support/dpop.ts'
import { granted } from '../support/hops.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { type ServerSide, serverSide } from '../support/server-side.ts'
import { claimsOf, SLACK, startWorld, WAREHOUSE, type World } from '../support/world.ts'

let idp: TestIssuer
let world: World
let given: Called
let here: ServerSide
let next: ServerSide
let received: Request[]
let answer: (request: Request) => Promise<Response>
beforeAll(async () => {
  idp = await startIssuer({ slug: 'corp' })
  world = await startWorld({ issuer: idp, registry: onwardRegistry(idp) })
})
afterAll(async () => {
  await world.close()
  await idp.close()
})
beforeEach(async () => {
  received = []
  answer = async () => new Response('ok')
  here = serverSide(world, 'warehouse-server', WAREHOUSE, {
    fetch: async (input, init) => {
      const request = new Request(input, init)
      received.push(request)
      return answer(request)
    },
  })
  next = serverSide(world, 'slack-server', SLACK)
  given = await called(world)
})
afterEach(() => here.broker.close())

/** As a drop-in hands it to a tool. */
async function inboundOf(text = given.inbound.token, side = here, resource: string = WAREHOUSE): Promise<Inbound> {
  const verified = await side.verifier.verify(text)
  return authInfoOf(verified, { issuer: world.issuer, resource, bearer: text })
}

const exchanges = () => here.asked.filter((path) => path === '/token').length
const slack = { resource: SLACK }

describe('a token for the next server', () => {
  test('is another than the inbound one, for that server, and ends no later', async () => {
    const token = await here.broker.exchangeForDownstream(await inboundOf(), slack)
    expect(token).toMatchObject({ resource: SLACK, type: 'Bearer', scopes: ['mcp:tools:write'] })
    expect(token.secret.reveal()).not.toBe(given.inbound.token)
    expect(token.expiresAt).toBeLessThanOrEqual(given.inbound.claims.exp)
    const verified = await next.verifier.verify(token.secret.reveal())
    expect(verified).toMatchObject({ subject: 'user:corp:alice', clientId: 'warehouse-server' })
  })

  test('prints nothing of itself', async () => {
    const token = await here.broker.exchangeForDownstream(await inboundOf(), slack)
    const [, , signature = ''] = token.secret.reveal().split('.')
    for (const text of [inspect(token, { depth: 9 }), JSON.stringify(token), `${token.secret}`]) {
      expect(text).not.toContain(signature)
    }
  })

  test('is asked for once, however many calls wait for it, and then kept', async () => {
    const inbound = await inboundOf()
    const all = await Promise.all(Array.from({ length: 20 }, () => here.broker.exchangeForDownstream(inbound, slack)))
    expect(new Set(all).size).toBe(1)
    await here.broker.exchangeForDownstream(await inboundOf(), slack)
    expect(exchanges()).toBe(1)
    const other = await called(world)
    const another = await here.broker.exchangeForDownstream(await inboundOf(other.inbound.token), slack)
    expect(another).not.toBe(all[0])
    await here.broker.exchangeForDownstream(inbound, { resource: ARCHIVE })
    expect(exchanges()).toBe(3)
  })

  test('is asked for again when it has ended, and not beyond the inbound one', async () => {
    const inbound = await inboundOf()
    await here.broker.exchangeForDownstream(inbound, slack)
    await world.advance(given.inbound.body.expires_in + 5)
    await expect(here.broker.exchangeForDownstream(inbound, slack)).rejects.toMatchObject({
      reason: 'subject_token_expired',
    })
  })

  test('may be less', async () => {
    const inbound = await inboundOf()
    const narrower = {
      type: 'mcp_tools',
      locations: [SLACK],
      tools: { post_message: { channel: { const: '#finance' }, text: { maxLength: 3 } } },
    }
    const token = await here.broker.exchangeForDownstream(inbound, { ...slack, authorizationDetails: [narrower] })
    expect(claimsOf(token.secret.reveal())['authorization_details']).toEqual([narrower])
  })

  test('is refused with the broker’s reason, and a refusal is not kept', async () => {
    const inbound = await inboundOf()
    const refused = () => here.broker.exchangeForDownstream(inbound, { resource: VAULT })
    await expect(refused()).rejects.toMatchObject({
      name: 'Refused',
      reason: 'nothing_granted',
      missing: ['read_secret at vault: not in the manifest of service warehouse-server'],
    })
    await expect(refused()).rejects.toThrow()
    expect(exchanges()).toBe(2)
  })

  test('is not asked for with what nobody has verified here', async () => {
    const made: Inbound = { token: given.inbound.token, extra: { jti: 'jti_x' } }
    expect(() => here.broker.exchangeForDownstream(made, slack)).toThrow(TypeError)
    expect(exchanges()).toBe(0)
  })

  test('of a bound token is bound to a key of this server', async () => {
    const agent = holderKey()
    const session = await granted(world.open({}, { DPoP: proof(world, agent) }))
    const bound = await granted(world.continue(session.token, {}, 'orchestrator', { DPoP: proof(world, agent) }))
    expect(bound.claims.cnf).toBeDefined()
    const verified = {
      ...(await here.verifier.verify(given.inbound.token)),
      claims: bound.claims,
      jti: bound.claims.jti,
    }
    const inbound = { token: verified, bearer: new Secret(bound.token) }
    const token = await here.broker.exchangeForDownstream(inbound, slack)
    expect(token.type).toBe('DPoP')
    expect(claimsOf(token.secret.reveal())['cnf']).not.toEqual(bound.claims.cnf)
    await here.broker.downstreamFetch(inbound, slack)(SLACK, { method: 'POST', body: '{}' })
    const [request] = received
    const proofs = [request?.headers.get('dpop') ?? '']
    const { headers, method } = request as Request
    const text = (headers.get('authorization') ?? '').replace(/^DPoP /, '')
    await expect(next.verifier.verify(text, { dpop: { proofs, method } })).resolves.toMatchObject({
      jti: claimsOf(text)['jti'],
    })
  })
})

describe('a fetch for the next server', () => {
  test('R123 R176 brings this server’s own token and the id of the request: user and agent stand in one line of its log', async () => {
    const call = here.broker.downstreamFetch(await inboundOf(), slack, 'req-7731')
    await call(SLACK, { method: 'POST', body: '{"jsonrpc":"2.0"}', headers: { 'content-type': 'application/json' } })
    const [request] = received
    const text = (request?.headers.get('authorization') ?? '').replace(/^Bearer /, '')
    expect(text).not.toBe(given.inbound.token)
    expect(request?.headers.get('x-request-id')).toBe('req-7731')
    expect(await request?.text()).toBe('{"jsonrpc":"2.0"}')
    expect(logFields(await next.verifier.verify(text))).toEqual({
      'enduser.id': 'user:corp:alice',
      'agent.id': 'orchestrator',
      'client.id': 'warehouse-server',
      'errand.actors': ['service:warehouse-server', 'agent:orchestrator'],
      'errand.session': given.session.claims.sid,
      'errand.txn': claimsOf(text)['txn'],
      'errand.jti': claimsOf(text)['jti'],
      'errand.origin': 'user_request',
      'errand.intent': given.inbound.claims.intent,
    })
  })

  test('R166 brings the trace of the inbound request, where it is one', async () => {
    const trace = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`
    const inbound = await inboundOf()
    await here.broker.downstreamFetch(inbound, slack, { requestId: 'req-1', traceparent: trace })(SLACK)
    await here.broker.downstreamFetch(inbound, slack, { traceparent: 'not one' })(SLACK)
    const [traced, odd] = received
    expect([traced?.headers.get('traceparent'), traced?.headers.get('x-request-id')]).toEqual([trace, 'req-1'])
    expect(odd?.headers.has('traceparent')).toBe(false)
    // §3.3: beside it, and as it came; without it, it says nothing.
    const tracestate = 'rojo=00f067aa0ba902b7, congo=t61rcWkgMzE'
    for (const traceparent of [trace, 'not one']) {
      await here.broker.downstreamFetch(inbound, slack, { traceparent, tracestate })(SLACK)
    }
    await here.broker.downstreamFetch(inbound, slack, { traceparent: trace, tracestate: 'ROJO' })(SLACK)
    expect(received.slice(2).map(({ headers }) => headers.get('tracestate'))).toEqual([tracestate, null, null])
  })

  test.each([
    'https://elsewhere.example/mcp',
    'https://slack.example/other',
    'https://slack.example/mcpx',
    'http://slack.example/mcp',
    'https://slack.example:444/mcp',
    'https://slack.example/mcp/../admin',
    'https://slack.example.evil.example/mcp',
  ])('sends it nowhere else: %s', async (url) => {
    const call = here.broker.downstreamFetch(await inboundOf(), slack)
    await expect(call(url)).rejects.toThrow('is not sent to')
    expect([received.length, exchanges()]).toEqual([0, 0])
  })

  test('follows no redirect with it', async () => {
    const call = here.broker.downstreamFetch(await inboundOf(), slack)
    await call(`${SLACK}/files?page=2`)
    expect(received.map(({ redirect, url }) => [redirect, url])).toEqual([['error', `${SLACK}/files?page=2`]])
  })

  test('forgets one that the next server does not take: the next call asks the broker', async () => {
    const inbound = await inboundOf()
    answer = async () => new Response(null, { status: 401 })
    const call = here.broker.downstreamFetch(inbound, slack)
    expect((await call(SLACK)).status).toBe(401)
    await call(SLACK)
    expect(exchanges()).toBe(2)
  })

  test('fails while the broker is away: nothing is sent without a token', async () => {
    const call = here.broker.downstreamFetch(await inboundOf(), slack)
    here.disturb = async () => new Response('{}', { status: 503 })
    await expect(call(SLACK)).rejects.toMatchObject({ name: 'BrokerUnavailable' })
    expect(received).toHaveLength(0)
  })
})
