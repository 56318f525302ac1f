/**
 * Every later call is judged against what was declared (R133, R134): what is outside is refused with what was declared, what was
 * asked and how to narrow it, and on record with whose work it was and what set it off.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ask, EVALUATION, evaluateToken, evaluatingServices } from '../support/authzen.ts'
import { granted, managementToken, walk } from '../support/hops.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { INTENT, SLACK, startWorld, WIKI, type World } from '../support/world.ts'

let idp: TestIssuer
let world: World
let warehouse: string
let slack: string
let atWarehouse: string
let atSlack: string
beforeAll(async () => {
  idp = await startIssuer({ slug: 'corp' })
  world = await startWorld({ issuer: idp, registry: evaluatingServices(idp) })
  const { token } = await granted(world.open())
  atWarehouse = (await granted(world.continue(token))).token
  atSlack = (await granted(world.continue(token, { resource: SLACK }))).token
  warehouse = await evaluateToken(world, 'warehouse-server')
  slack = await evaluateToken(world, 'slack-server')
})
afterAll(async () => {
  await world.close()
  await idp.close()
})

const asked = async (asking: string, token: string, tool: string, args: object) => {
  const body = {
    subject: { type: 'access_token', id: token },
    action: { name: 'tools/call' },
    resource: { type: 'tool', id: tool },
    context: { arguments: args },
  }
  const answer = await ask(world, asking, EVALUATION, body)
  expect(answer.status).toBe(200)
  return answer.body
}
const PURPOSE = 'Summarise Q3 revenue and post it to #finance'
const DECLARED = {
  purpose: PURPOSE,
  tools: { query: { table: { enum: ['revenue', 'costs'] }, limit: { maximum: 500 } }, list_tables: {} },
}

describe('a call outside what was declared', () => {
  it('is told how to narrow it, and the call so narrowed is allowed', async () => {
    const { decision, context } = await asked(warehouse, atWarehouse, 'query', {
      table: 'revenue',
      limit: 1_000_000,
      columns: '*',
    })
    expect(decision).toBe(false)
    expect(context).toMatchObject({
      reason: 'call_refused',
      declared: DECLARED,
      asked: { tool: 'query', arguments: ['table', 'limit', 'columns'] },
      narrow_to: { tool: 'query', constraints: DECLARED.tools.query, arguments: ['columns', 'limit'] },
    })
    expect(JSON.stringify(context)).not.toContain('1000000')
    const { maximum } = context.narrow_to.constraints.limit
    const narrowed = await asked(warehouse, atWarehouse, 'query', { table: 'revenue', limit: maximum })
    expect(narrowed.decision).toBe(true)
  })

  it('of another channel, is told which was declared', async () => {
    const { decision, context } = await asked(slack, atSlack, 'post_message', { channel: '#engineering', text: 'x' })
    expect(decision).toBe(false)
    expect(context.declared.purpose).toBe(PURPOSE)
    expect(context.narrow_to).toEqual({
      tool: 'post_message',
      constraints: { channel: { const: '#finance' }, text: {} },
      arguments: ['channel'],
    })
    expect(JSON.stringify(context)).not.toContain('#engineering')
  })

  it('of a tool that was not declared, is told what was, and offered no way to it', async () => {
    const { decision, context } = await asked(warehouse, atWarehouse, 'drop_table', { table: 'customers' })
    expect(decision).toBe(false)
    expect(context).toMatchObject({ reason: 'nothing_granted', declared: DECLARED, asked: { tool: 'drop_table' } })
    expect(context).not.toHaveProperty('narrow_to')
  })

  it('of a sub-agent, is told the purpose of its own hop', async () => {
    const { access } = await walk(world)
    const { context } = await asked(warehouse, access.token, 'query', { table: 'costs', limit: 1 })
    expect(context.declared).toEqual({
      purpose: 'Write them down',
      tools: { query: { table: { const: 'revenue' }, limit: { maximum: 10 } } },
    })
  })

  it('of somebody named, says no more than no: what they may elsewhere is not for the server to know', async () => {
    const body = {
      subject: { type: 'user', id: 'corp:alice' },
      action: { name: 'tools/call' },
      resource: { type: 'tool', id: 'no_such_tool' },
    }
    const { context } = (await ask(world, warehouse, EVALUATION, body)).body
    expect(Object.keys(context).sort()).toEqual(['decision_id', 'reason', 'reason_admin'])
  })
})

describe('what set it off', () => {
  it.each([
    ['user_request', { type: 'user_request', ref: 'msg-7731' }],
    ['agent_plan', { type: 'agent_plan', ref: 'step-2' }],
    ['schedule', { type: 'schedule', ref: 'nightly' }],
  ])('%s is in the record of every call, allowed or refused', async (type, origin) => {
    const [first, ...rest] = INTENT
    const details = JSON.stringify([{ ...first, origin }, ...rest])
    const { token, claims } = await granted(world.open({ authorization_details: details }))
    const { token: access } = await granted(world.continue(token))
    for (const tool of ['list_tables', 'drop_table']) await asked(warehouse, access, tool, {})
    const records = (await world.audit(200)).filter(({ session }) => session === claims.sid)
    expect(records.map(({ event, outcome }) => `${event} ${outcome}`).sort()).toEqual([
      'access.evaluate granted',
      'access.evaluate refused',
      'session.open granted',
      'token.continue granted',
    ])
    for (const record of records) {
      expect(record).toMatchObject({ origin: type, intent: claims.intent, agent: { id: 'orchestrator' } })
    }
  })

  it('is in the record of an exchange that asks for what is outside, and its answer says what is inside', async () => {
    const { token, claims } = await granted(world.open())
    const answer = await world.continue(token, { resource: WIKI })
    expect(answer.body.error_reason).toBe('resource_not_in_session')
    expect(answer.body.missing).toEqual([
      'https://warehouse.example/mcp would be opened by: mcp:tools:read',
      'https://slack.example/mcp would be opened by: mcp:tools:write',
    ])
    const [record] = await world.audit(1)
    expect(record).toMatchObject({
      outcome: 'refused',
      session: claims.sid,
      origin: 'user_request',
      intent: claims.intent,
    })
  })

  it('and who asked are what the log is filtered by', async () => {
    const asking = async (query: string) =>
      world.bearer(`/admin/v1/audit?limit=200&${query}`, await managementToken(world))
    const read = async (query: string) => (await asking(query)).body.records
    const scheduled: { origin: string }[] = await read('origin=schedule')
    expect(scheduled.length).toBeGreaterThan(0)
    expect(new Set(scheduled.map(({ origin }) => origin))).toEqual(new Set(['schedule']))
    const agents: { by_class: string }[] = await read('class=agent')
    expect(agents.length).toBeGreaterThan(0)
    expect(new Set(agents.map((record) => record.by_class))).toEqual(new Set(['agent']))
    // No record can be of it: a misspelt word must not read as that there was nothing.
    expect((await asking('class=nobody')).status).toBe(400)
  })

  it('upstream_agent is in those of a hop that another agent has passed on', async () => {
    const { access } = await walk(world)
    await asked(warehouse, access.token, 'drop_table', {})
    const [record] = await world.audit(1)
    expect(record).toMatchObject({
      event: 'access.evaluate',
      origin: 'upstream_agent',
      agent: { id: 'scribe' },
      chain: ['agent:scribe', 'agent:researcher', 'agent:orchestrator'],
    })
  })
})
