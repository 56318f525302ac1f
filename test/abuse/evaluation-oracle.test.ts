/**
 * Whoever asks about others learns of its own server only: nothing of another server's token, of another's policy, nor of who
 * exists; and nobody asks who was not given that right.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ask, EVALUATION, EVALUATIONS, evaluateToken, evaluatingServices, SEARCH } from '../support/authzen.ts'
import { athOf, holderKey, proof, proving } from '../support/dpop.ts'
import { granted, managementToken } from '../support/hops.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { expectRefused, type Refusal, toStranger } from '../support/refusal.ts'
import { registryDocument, startWorld, WAREHOUSE, type World } from '../support/world.ts'

let idp: TestIssuer
let world: World
let access: string
let warehouse: string
let slack: string
beforeAll(async () => {
  idp = await startIssuer({ slug: 'corp' })
  const { agents } = registryDocument(idp)
  world = await startWorld({
    issuer: idp,
    registry: {
      ...evaluatingServices(idp),
      agents: (agents as { client_id: string }[]).map((agent) =>
        agent.client_id === 'scribe' ? { ...agent, api_scopes: ['sessions', 'evaluate'] } : agent,
      ),
    },
  })
  const { token } = await granted(world.open())
  access = (await granted(world.continue(token))).token
  warehouse = await evaluateToken(world, 'warehouse-server')
  slack = await evaluateToken(world, 'slack-server')
})
afterAll(async () => {
  await world.close()
  await idp.close()
})

const call = (token: string, tool = 'list_tables', context: object = {}) => ({
  subject: { type: 'access_token', id: token },
  action: { name: 'tools/call' },
  resource: { type: 'tool', id: tool },
  context,
})
/** Without what is different in every answer. */
const said = async (token: string, path: string, body: unknown) => {
  const answer = await ask(world, token, path, body)
  return JSON.stringify({ status: answer.status, body: answer.body }).replaceAll(/dec_[A-Za-z0-9_-]+/g, 'dec')
}

describe('a token of another server', () => {
  it('is answered as any text is: alive or dead, real or made up, nobody learns', async () => {
    const dead = access.slice(0, -4).concat('AAAA')
    const answers = await Promise.all(
      [access, dead, 'no token at all', slack, 'x'.repeat(2_000)].map((one) => said(slack, EVALUATION, call(one))),
    )
    expect(new Set(answers).size).toBe(1)
    expect(answers[0]).toContain('"decision":false')
    expect(answers[0]).toContain('subject_token_inactive')
  })

  it('is no help either where the server that it is for is named', async () => {
    expect(await said(slack, EVALUATION, call(access, 'list_tables', { server: WAREHOUSE }))).toContain(
      'subject_token_inactive',
    )
  })

  it('does its own server no harm: that one is answered', async () => {
    expect((await ask(world, warehouse, EVALUATION, call(access))).body).toMatchObject({ decision: true })
  })

  it.each([
    ['an API token', () => slack],
    ['a management token', () => managementToken(world)],
    ['a session token', async () => (await granted(world.open())).token],
    ['the ID token of a user', async () => world.idToken()],
  ])('no access token for a server is %s', async (_what, token) => {
    const body = call(await token())
    expect((await ask(world, warehouse, EVALUATION, body)).body.context.reason).toBe('subject_token_inactive')
  })
})

describe('what is not its own does not exist for a server', () => {
  const user = { type: 'user', id: 'corp:alice' }
  it.each([
    ['another server', { type: 'mcp_server', id: WAREHOUSE }],
    ['another server, by its id', { type: 'mcp_server', id: 'warehouse' }],
    ['a server that nobody has', { type: 'mcp_server', id: 'https://nobody.example/mcp' }],
    ['a container of nobody', { type: 'table', id: 'salaries' }],
  ])('%s', async (_what, resource) => {
    const unknown = { subject: user, action: { name: 'query' }, resource: { type: 'mcp_server', id: 'nothing' } }
    const asked = { ...unknown, resource }
    expect(await said(slack, EVALUATION, asked)).toBe(await said(slack, EVALUATION, unknown))
    expect(await said(slack, SEARCH.subject, { ...asked, subject: { type: 'user' } })).toContain('"results":[]')
    expect(await said(slack, SEARCH.action, { subject: user, resource })).toContain('"results":[]')
  })

  it('nor do people, where it asks about what is not its own', async () => {
    const resource = { type: 'mcp_server', id: WAREHOUSE }
    const ask = (id: string) =>
      said(slack, EVALUATION, { subject: { type: 'user', id }, action: { name: 'query' }, resource })
    expect(await ask('corp:alice')).toBe(await ask('corp:nobody-at-all'))
  })

  it('a search finds what is its own, and no more', async () => {
    const found = async (type: string, name: string) =>
      (await ask(world, slack, SEARCH.resource, { subject: user, action: { name }, resource: { type } })).body.results
    expect(await found('mcp_server', 'post_message')).toEqual([{ type: 'mcp_server', id: 'https://slack.example/mcp' }])
    expect(await found('mcp_server', 'query')).toEqual([])
    expect((await found('tool', 'tools/call')).map(({ id }: { id: string }) => id)).toEqual([
      'post_message',
      'list_channels',
    ])
  })

  it('an answer says why in a word, and names no rule and nobody else', async () => {
    const asked = { subject: { type: 'user', id: 'corp:mallory' }, action: { name: 'query' } }
    const { body } = await ask(world, warehouse, EVALUATION, {
      ...asked,
      resource: { type: 'mcp_server', id: 'warehouse' },
    })
    expect(body).toMatchObject({ decision: false, context: { reason: 'user_inactive' } })
    expect(JSON.stringify(body)).not.toMatch(/finance|grant/)
  })
})

describe('properties are no credentials', () => {
  it('a role, a group or a state that the request gives a subject gives it nothing', async () => {
    const properties = { role: 'admin', roles: ['admin'], groups: ['finance'], active: true }
    const { body } = await ask(world, warehouse, EVALUATION, {
      subject: { type: 'user', id: 'corp:mallory', properties },
      action: { name: 'query' },
      resource: { type: 'mcp_server', id: 'warehouse', properties },
    })
    expect(body.decision).toBe(false)
  })

  it('an agent that nobody has registered is nobody, and an agent beside an agent is no chain', async () => {
    const resource = { type: 'mcp_server', id: 'warehouse' }
    const reasons = []
    for (const [subject, agent] of [
      [{ type: 'user', id: 'corp:alice' }, 'nobody'],
      [{ type: 'user', id: 'corp:alice' }, '*'],
      [{ type: 'user', id: 'corp:alice' }, 'warehouse-server'],
      [{ type: 'agent', id: 'orchestrator' }, 'researcher'],
      [{ type: 'identity', id: 'user:corp' }, 'orchestrator'],
    ] as const) {
      const { body } = await ask(world, warehouse, EVALUATION, {
        subject,
        action: { name: 'list_tables' },
        resource,
        context: { agent },
      })
      expect(body.decision).toBe(false)
      reasons.push(body.context.reason)
    }
    expect(new Set(reasons)).toEqual(new Set(['not_found']))
  })

  it('agent and user both count: what the agent may not, the user does not give it, nor the other way round', async () => {
    const may = async (subject: object, agent: string | undefined, name: string) => {
      const context = agent === undefined ? {} : { agent }
      const resource = { type: 'mcp_server', id: 'warehouse' }
      return (await ask(world, warehouse, EVALUATION, { subject, action: { name }, resource, context })).body.decision
    }
    const alice = { type: 'identity', id: 'user:corp:alice' }
    expect(await may(alice, 'orchestrator', 'insert_rows')).toBe(true)
    expect(await may(alice, 'researcher', 'insert_rows')).toBe(false)
    expect(await may({ type: 'user', id: 'corp:mallory' }, 'orchestrator', 'insert_rows')).toBe(false)
    expect(await may(alice, undefined, 'insert_rows')).toBe(true)
    // Not delegable to agents at all; and a category is all its tools.
    expect(await may(alice, undefined, 'drop_table')).toBe(false)
    expect(await may(alice, 'orchestrator', 'read')).toBe(true)
    expect(await may(alice, 'orchestrator', 'destructive')).toBe(false)
  })
})

const BEARER: Refusal = { status: 401, error: 'invalid_token', reason: 'bearer_invalid' }
const SCOPE: Refusal = { status: 403, error: 'insufficient_scope', reason: 'bearer_scope' }

describe('who may ask', () => {
  it.each([
    ['nobody in particular', async () => undefined, { ...BEARER, reason: 'bearer_missing' } as Refusal],
    ['an access token for a server', async () => access, BEARER],
    ['an API token of another scope', () => world.apiToken('warehouse-server', 'revocations'), SCOPE],
    ['a user', async () => world.userToken(), SCOPE],
    ['an admin', () => managementToken(world), BEARER],
  ])('not %s', async (_what, bearer, refusal) => {
    const token = await bearer()
    const headers = {
      'Content-Type': 'application/json',
      ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
    }
    await expectRefused(
      world,
      () => world.request(EVALUATION, { method: 'POST', headers, body: JSON.stringify(call('x')) }),
      toStranger(refusal),
    )
  })

  it('not an agent, whatever its scope: it is the server of nothing', async () => {
    const token = await world.apiToken('scribe', 'evaluate')
    await expectRefused(world, () => ask(world, token, EVALUATION, call(access)), SCOPE)
  })

  it('a bound API token asks with the proof of its key, each proof once', async () => {
    const key = holderKey('slack')
    const params = { resource: `${world.issuer}/api`, scope: 'evaluate' }
    const answer = await world.clientCredentials('warehouse-server', params, proving(world, key))
    const token: string = answer.body.access_token
    const claims = { htu: world.issuer + EVALUATION, ath: athOf(token) }
    const once = { Authorization: `DPoP ${token}`, DPoP: proof(world, key, { claims }) }
    const send = (headers: Record<string, string>) =>
      world.request(EVALUATION, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', ...headers },
        body: JSON.stringify(call(access)),
      })
    expect((await send(once)).body).toMatchObject({ decision: true })
    expect((await send(once)).status).toBe(401)
    expect((await send({ Authorization: `Bearer ${token}` })).status).toBe(401)
  })
})

describe('bodies that are made to be read in two ways, or never to end', () => {
  const post = (body: string, path = EVALUATION) =>
    world.request(path, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${warehouse}` },
      body,
    })
  const good = JSON.stringify(call('x'))
  it.each([
    ['a member twice', good.replace('"action"', '"subject":{"type":"user","id":"corp:alice"},"action"')],
    ['a member twice, once escaped', good.replace('"action"', '"s\\u0075bject":{},"action"')],
    ['__proto__', good.replace('"action"', '"__proto__":{},"action"')],
    ['an array', `[${good}]`],
    ['null', 'null'],
    ['nesting without end', good.replace('"context":{}', `"context":${'{"a":'.repeat(40)}1${'}'.repeat(40)}`)],
  ])('%s', async (_what, body) => {
    expect((await post(body)).status).toBe(400)
  })

  it('more than a body may have', async () => {
    expect((await post(JSON.stringify({ ...call('x'), pad: 'x'.repeat(70_000) }))).status).toBe(413)
  })

  it('names that every object inherits are nobody and nothing', async () => {
    for (const name of ['constructor', 'toString', 'hasOwnProperty']) {
      const subject = { type: 'user', id: `corp:${name}` }
      const { body } = await ask(world, warehouse, EVALUATIONS, {
        evaluations: [
          { subject, action: { name }, resource: { type: 'mcp_server', id: 'warehouse' } },
          { subject, action: { name: 'tools/call' }, resource: { type: 'tool', id: name } },
          { subject, action: { name: 'query' }, resource: { type: name, id: name } },
        ],
      })
      expect(body.evaluations.map(({ decision }: { decision: unknown }) => decision)).toEqual([false, false, false])
    }
  })
})
