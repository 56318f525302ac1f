/**
 * A server goes on in the name of its caller (DESIGN §3, flow 7; RFC 8693 §1.1, §4.1; R124): with an access token of its own for the
 * next server, never with the one it was called with.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ask, EVALUATION, evaluateToken } from '../support/authzen.ts'
import { ARCHIVE, type Called, called, ONWARD, onward, onwardRegistry } from '../support/downstream.ts'
import { holderKey, proving } from '../support/dpop.ts'
import { brokenLink, type Claims, details, type Grant, granted, refused, tools, walk } from '../support/hops.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { invalidRequest } from '../support/refusal.ts'
import { SLACK, startWorld, TYPE, WAREHOUSE, type World } from '../support/world.ts'

let idp: TestIssuer
let world: World
let given: Called
let next: Grant
beforeAll(async () => {
  idp = await startIssuer({ slug: 'corp' })
  world = await startWorld({ issuer: idp, registry: onwardRegistry(idp) })
  given = await called(world)
  next = await granted(onward(world, given.inbound.token))
})
afterAll(async () => {
  await world.close()
  await idp.close()
})

const outside = { status: 400, error: 'invalid_target', reason: 'resource_not_in_session' } as const
const post = {
  type: 'mcp_tools',
  locations: [SLACK],
  tools: { post_message: { channel: { const: '#finance' }, text: {} } },
}

describe('the token for the next server', () => {
  test('RFC 8693 §4.1 is about the same user and session, with the server on top of the chain as it was', () => {
    const { claims } = next
    expect(claims).toMatchObject({
      sub: 'user:corp:alice',
      sid: given.session.claims.sid,
      aud: SLACK,
      client_id: 'warehouse-server',
      sub_profile: 'user',
      origin: given.inbound.claims.origin,
      intent: given.inbound.claims.intent,
    })
    expect(claims.act).toEqual({
      iss: world.issuer,
      sub: 'service:warehouse-server',
      sub_profile: 'service',
      act: given.inbound.claims.act,
    })
  })

  test('RFC 8693 §2.2.1 says what was granted: what the session is for there, and nothing of any other server', () => {
    expect(next.body).toMatchObject({ token_type: 'Bearer', issued_token_type: TYPE.access, scope: 'mcp:tools:write' })
    expect(next.claims.authorization_details).toEqual([post])
    expect(next.body.authorization_details).toEqual([post])
  })

  test('hangs from the token that the server was called with, which is a hop of its own now', async () => {
    expect(brokenLink([given.session.token, given.inbound.token, next.token])).toBeUndefined()
    expect(next.claims.anc).toEqual([...given.inbound.claims.anc, given.inbound.claims.jti])
  })

  test('ends with it at the latest', async () => {
    await world.advance(100)
    const late = await granted(onward(world, given.inbound.token))
    expect(late.claims.exp).toBe(given.inbound.claims.exp)
    expect(late.claims.not_after).toBeLessThanOrEqual(given.inbound.claims.exp)
    expect(late.body.expires_in).toBe(given.inbound.claims.exp - world.now())
  })

  test('is recorded with the server that asked, the agent it acts for and the user (R123, R177)', async () => {
    const answer = await granted(onward(world, given.inbound.token))
    const record = (await world.audit()).find(({ jti }) => jti === answer.claims.jti)
    expect(record).toMatchObject({
      event: 'token.downstream',
      outcome: 'granted',
      by: 'service:warehouse-server',
      by_class: 'service',
      agent: { id: 'orchestrator', version: '1' },
      on_behalf_of: 'user:corp:alice',
      session: given.session.claims.sid,
      node: given.inbound.claims.jti,
      origin: 'user_request',
      resource: SLACK,
      chain: ['service:warehouse-server', 'agent:orchestrator'],
      id: answer.body.decision_id,
    })
  })

  test('stands in the session’s tree below the hop of the agent, once for all that came of one inbound token', async () => {
    const opened = await called(world)
    for (const resource of [SLACK, ARCHIVE, SLACK]) await granted(onward(world, opened.inbound.token, { resource }))
    const session = await world.bearer(`/sessions/${opened.session.claims.sid}`, await world.apiToken())
    expect(session.body.tree).toMatchObject([
      { agent: 'orchestrator', tokens: 1 },
      { node: opened.inbound.claims.jti, parent: session.body.tree[0].node, agent: 'warehouse-server', tokens: 3 },
    ])
    const [, hop] = session.body.tree
    // What it could go on to at all, and not what its caller holds beside that.
    expect(Object.keys(hop.authority.resources).sort()).toEqual([ARCHIVE, SLACK].sort())
    expect(Object.keys(hop.authority.resources[ARCHIVE].tools)).toEqual(['find'])
  })

  test('is one of several that are asked for at the same moment, of one hop', async () => {
    const opened = await called(world)
    const all = await Promise.all(Array.from({ length: 8 }, () => granted(onward(world, opened.inbound.token))))
    expect(new Set(all.map(({ claims }) => claims.jti)).size).toBe(8)
    expect(new Set(all.map(({ claims }) => claims.anc.at(-1)))).toEqual(new Set([opened.inbound.claims.jti]))
    const session = await world.bearer(`/sessions/${opened.session.claims.sid}`, await world.apiToken())
    expect(session.body.tree.map(({ tokens }: Claims) => tokens)).toEqual([1, 8])
    expect(session.body.nodes).toBe(2)
  })
})

describe('may be less', () => {
  test('by scope, and by details of the request', async () => {
    const there = { resource: ARCHIVE, scope: 'mcp:tools:read' }
    expect((await granted(onward(world, given.inbound.token, there))).body.scope).toBe('mcp:tools:read')
    const narrower = tools(SLACK, { post_message: { channel: { const: '#finance' }, text: { maxLength: 10 } } })
    const answer = await granted(onward(world, given.inbound.token, { authorization_details: details(narrower) }))
    expect(answer.claims.authorization_details).toEqual([narrower])
  })

  test('by the manifest of the server: of what its caller may do there, only what it may go on to', async () => {
    const { claims } = await granted(onward(world, given.inbound.token, { resource: ARCHIVE }))
    expect(claims.authorization_details).toEqual([{ type: 'mcp_tools', locations: [ARCHIVE], tools: { find: {} } }])
  })
})

describe('further on', () => {
  test('the next server goes on with its own inbound token, and every server before it stays in the chain', async () => {
    const third = await granted(onward(world, next.token, { resource: ARCHIVE }, 'slack-server'))
    expect(chainOf(third.claims)).toEqual(['service:slack-server', 'service:warehouse-server', 'agent:orchestrator'])
    expect(third.claims).toMatchObject({ sub: 'user:corp:alice', client_id: 'slack-server', aud: ARCHIVE })
    expect(brokenLink([given.session.token, given.inbound.token, next.token, third.token])).toBeUndefined()
    expect(third.claims.exp).toBeLessThanOrEqual(next.claims.exp)
    // Slack might store as well; the warehouse, which it acts for, may only find.
    expect(third.claims.authorization_details).toEqual([
      { type: 'mcp_tools', locations: [ARCHIVE], tools: { find: {} } },
    ])
  })

  test('RFC 8693 §4.1 a sub-agent’s chain goes under the server whole', async () => {
    const hops = await walk(world)
    await refused(world, () => onward(world, hops.access.token), outside)
    const delegated = await granted(
      world.delegate(given.session.token, {
        authorization_details: details(
          { type: 'agent_intent', purpose: 'Find it' },
          tools(WAREHOUSE, { query: { table: { const: 'revenue' }, limit: { maximum: 5 } } }),
        ),
      }),
    )
    const accepted = await granted(world.accept(delegated.token))
    const access = await granted(world.continue(accepted.token, {}, 'researcher'))
    // The researcher was given nothing at Slack, whatever the session above it is for.
    await refused(world, () => onward(world, access.token), outside)
  })

  test('no further than the chain may be deep', async () => {
    const shallow = await startWorld({ issuer: idp, registry: onwardRegistry(idp), settings: { maxChainDepth: 2 } })
    try {
      const opened = await called(shallow)
      const slack = await granted(onward(shallow, opened.inbound.token))
      await refused(
        shallow,
        () => onward(shallow, slack.token, { resource: ARCHIVE }, 'slack-server'),
        invalidRequest('actor_chain_too_deep'),
      )
    } finally {
      await shallow.close()
    }
  })
})

describe('an access token that was opened alone', () => {
  test('is for its server and no other: its session has nothing at the next', async () => {
    const alone = await granted(
      world.open({
        requested_token_type: TYPE.access,
        resource: WAREHOUSE,
        authorization_details: JSON.stringify(ONWARD),
      }),
    )
    await refused(world, () => onward(world, alone.token), outside)
  })
})

describe('a token that is bound to its sender’s key', () => {
  test('is gone on with by a key of the server’s own, and by no bearer token (RFC 9449 §5)', async () => {
    const [agent, server] = [holderKey(), holderKey('server')]
    const opened = await called(world)
    const bound = await granted(world.continue(opened.session.token, {}, 'orchestrator', proving(world, agent)))
    expect(bound.claims.cnf).toBeDefined()
    await refused(world, () => onward(world, bound.token), invalidRequest('subject_token_unproven'))
    const answer = await granted(onward(world, bound.token, {}, 'warehouse-server', proving(world, server)))
    expect(answer.claims.cnf).toBeDefined()
    expect(answer.claims.cnf).not.toEqual(bound.claims.cnf)
    expect(answer.body.token_type).toBe('DPoP')
  })
})

describe('the next server', () => {
  test('RFC 7662 introspects it like any other of its tokens', async () => {
    const { body } = await world.introspect(next.token, 'slack-server')
    expect(body).toMatchObject({ active: true, client_id: 'warehouse-server', sub: 'user:corp:alice', aud: SLACK })
    expect((await world.introspect(next.token, 'warehouse-server')).body).toEqual({ active: false })
  })

  test('R063 is told whether its call may be made now: by the agent, the user and the server that makes it', async () => {
    const asking = await evaluateToken(world, 'slack-server')
    const fresh = await called(world)
    const { token } = await granted(onward(world, fresh.inbound.token))
    const call = (channel: string) =>
      ask(world, asking, EVALUATION, {
        subject: { type: 'access_token', id: token },
        action: { name: 'tools/call' },
        resource: { type: 'tool', id: 'post_message' },
        context: { arguments: { channel, text: 'done' } },
      })
    expect((await call('#finance')).body.decision).toBe(true)
    expect((await call('#ops')).body).toMatchObject({ decision: false, context: { reason: 'call_refused' } })
    const [record] = await world.audit(1)
    expect(record).toMatchObject({ agent: { id: 'orchestrator' }, on_behalf_of: 'user:corp:alice' })
  })
})

function chainOf(claims: Claims): readonly string[] {
  const chain: string[] = []
  for (let act = claims.act; act !== undefined; act = act.act) chain.push(act.sub)
  return chain
}
