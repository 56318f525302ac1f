/**
 * What the trail answers of real work of three agents, a call that succeeds, one that fails, one that is refused, and a kill: the
 * story, the chain, who authorised it, and the questions of an incident (R118, R119, R167, R171, R172, R175, R177).
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { drawAccess } from '../../src/cli/audit/audit-access.ts'
import { drawChain } from '../../src/cli/audit/chain-drawing.ts'
import { drawStory } from '../../src/cli/audit/story-drawing.ts'
import { plainStyles } from '../../src/cli/terminal.ts'
import { askingWarehouse, newAttempt, type Warehouse, warehouseAt } from '../support/calls.ts'
import { type Claims, managementToken, type Walk, walk } from '../support/hops.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { startWorld, WAREHOUSE, type World } from '../support/world.ts'

let world: World
let idp: TestIssuer
let warehouse: Warehouse
let work: Walk
let txn: string
let succeeded: string
beforeAll(async () => {
  idp = await startIssuer({ slug: 'corp' })
  world = await startWorld({ issuer: idp, registry: askingWarehouse(idp) })
  warehouse = await warehouseAt(world)
  work = await walk(world)
  txn = work.access.claims.txn
  succeeded = await call({ table: 'revenue', limit: 5 }, 'success')
  await call({ table: 'revenue', limit: 6 }, 'failure')
  await warehouse.attempt(work.access.token, { attempt: newAttempt(), args: { table: 'salaries' } })
  await warehouse.attempt(work.access.token, { attempt: newAttempt(), args: { table: 'revenue', limit: 7 } })
  const order = { dimension: 'agent', agent: 'scribe', block: true }
  const killed = await world.bearer('/admin/v1/revocations', await managementToken(world), 'POST', order)
  expect(killed.status).toBe(200)
})
afterAll(async () => {
  await world.close()
  await idp.close()
})

async function call(args: object, outcome: 'success' | 'failure'): Promise<string> {
  const attempt = newAttempt()
  const answer = await warehouse.attempt(work.access.token, { attempt, args })
  expect(answer.decision).toBe(true)
  const { decision_id } = answer.context
  expect((await warehouse.report({ attempt, decision_id, outcome })).status).toBe(200)
  return decision_id
}

async function ask(path: string, status = 200): Promise<Claims> {
  const answer = await world.bearer(`/admin/v1${path}`, await managementToken(world))
  expect([answer.status, JSON.stringify(answer.body)]).toEqual([status, expect.any(String)])
  return answer.body
}

describe('a story', () => {
  test('tells every step of the work in order, who did it for whom, why they might, and what ended it', async () => {
    const story = await ask(`/audit/stories/${txn}`)
    expect(story).toMatchObject({
      txn,
      for: [expect.stringContaining('user:corp:alice')],
      agents: ['orchestrator', 'researcher', 'scribe'],
      sessions: [{ session: work.root.claims.sid, purpose: expect.any(String) }],
      prompt: { kept: 'no' },
      calls: { announced: 3, succeeded: 1, failed: 1, unknown: 0, untold: 1 },
    })
    const steps: readonly Claims[] = story.steps
    expect(steps.map(({ event }) => event)).toEqual([
      'session.open',
      'delegation.issue',
      'delegation.accept',
      'delegation.issue',
      'delegation.accept',
      'token.continue',
      'call.attempt',
      'call.outcome',
      'call.attempt',
      'call.outcome',
      'call.attempt',
      'call.attempt',
      'control.write',
    ])
    expect(steps[6]).toMatchObject({
      says: 'agent scribe calls query at warehouse',
      why: expect.stringMatching(/^grant finance-works of policy /),
      ended: 'success',
    })
    expect(steps[10]).toMatchObject({ outcome: 'refused', says: expect.stringContaining('REFUSED') })
  })

  test('fits a terminal, and says each step once', async () => {
    const text = drawStory(await ask(`/audit/stories/${txn}`), plainStyles)
    expect(text).toContain('agent scribe calls query at warehouse (ended: failure)')
    expect(text).toContain('nobody has told yet how it ended')
    expect(text.match(/ ■ operator:\S+ revokes agent scribe, and blocks what it was revoked for/g)).toHaveLength(1)
    expect(text.split('\n').filter((line) => line.length > 110)).toEqual([])
  })

  test('of what nobody has done is not found', async () => {
    expect(await ask('/audit/stories/txn_nobody', 404)).toMatchObject({ error_reason: 'not_found' })
  })
})

describe('a chain', () => {
  test('goes from the person to the agent hop by hop, with what each could do and what it tried', async () => {
    const chain = await ask(`/audit/chains/${work.access.claims.jti}`)
    expect(chain.human).toContain('user:corp:alice')
    expect(chain.origin).toBe('user_request')
    const hops: readonly Claims[] = chain.hops
    expect(hops.map(({ agent, from }) => [agent, from])).toEqual([
      ['orchestrator', 'user:corp:alice'],
      ['researcher', 'agent:orchestrator'],
      ['scribe', 'agent:researcher'],
    ])
    expect(hops.map(({ could }) => could.authorization_details?.[0]?.tools?.query?.limit)).toEqual([
      { maximum: 500 },
      { maximum: 100 },
      { maximum: 10 },
    ])
    expect(hops.map(({ purpose }) => purpose)).toEqual([expect.any(String), expect.any(String), 'Write them down'])
    expect(hops[1]?.tried.map(({ says }: Claims) => says)).toEqual([
      'agent researcher accepts what was passed on by agent orchestrator',
      'agent researcher passes part of it on to agent scribe',
    ])
    expect(hops[2]?.tried.map(({ outcome, ended }: Claims) => [outcome, ended])).toEqual([
      ['granted', undefined],
      ['granted', undefined],
      ['granted', 'success'],
      ['granted', 'failure'],
      ['refused', undefined],
      ['granted', undefined],
    ])
    const text = drawChain(chain, plainStyles)
    expect(text).toMatch(/^alice|^user:corp:alice/)
    expect(text).toContain('could  query where')
  })

  test('of a hop ends there; of a token nobody was given there is none', async () => {
    const { hops } = await ask(`/audit/chains/${work.researcher.claims.jti}`)
    expect(hops.map(({ agent }: Claims) => agent)).toEqual(['orchestrator', 'researcher'])
    expect(await ask('/audit/chains/jti_nobody', 404)).toMatchObject({ error_reason: 'not_found' })
  })
})

describe('who authorised it', () => {
  test('is one sentence with the person, the agent, the session and the rule', async () => {
    const { authorised } = await ask(`/decisions/${succeeded}/explanation`)
    expect(authorised).toMatch(
      /^\S*.*user:corp:alice\)? authorised this: agent scribe acted for them, in session ses_\S+, passed on to it by agent orchestrator, then agent researcher, and grant finance-works of policy \S{12} allowed it\.$/,
    )
  })
})

describe('calls', () => {
  test('are listed with who made them, for whom, and how they ended; by tool, server, agent, person and time', async () => {
    const { calls } = await ask(`/audit/calls?tool=query&server=warehouse`)
    expect(calls.map(({ decided, ended }: Claims) => [decided, ended])).toEqual([
      ['granted', 'success'],
      ['granted', 'failure'],
      ['refused', undefined],
      ['granted', 'untold'],
    ])
    expect(calls[0]).toMatchObject({
      decision: succeeded,
      tool: 'query',
      category: 'read',
      resource: WAREHOUSE,
      agent: 'scribe',
      on_behalf_of: 'user:corp:alice',
      txn,
      arguments: 'no',
    })
    const count = async (query: string) => (await ask(`/audit/calls?${query}`)).calls.length
    expect(await count('agent=scribe&user=user:corp:alice')).toBe(4)
    expect(await count('agent=researcher')).toBe(0)
    expect(await count('until=2001-01-01T00:00:00Z')).toBe(0)
    expect(await count('category=destructive,admin')).toBe(0)
    expect(await count('category=read')).toBe(4)
    expect(await count('personal=true')).toBe(0)
  })

  test.each([
    'category=deadly',
    'personal=yes',
    'since=noon',
    'colour=red',
    'tool=a&tool=b',
  ])('what nobody knows is refused: %s', async (query) => {
    expect(await ask(`/audit/calls?${query}`, 400)).toMatchObject({ error_reason: 'parameter_malformed' })
  })
})

describe('what no record can say is refused, and not answered with nothing', () => {
  test.each([
    'outcome=refuse',
    'class=robot',
    'event=call.atempt',
    'origin=cron',
    'reason=because',
  ])('%s', async (query) => {
    expect(await ask(`/audit?${query}`, 400)).toMatchObject({ error_reason: 'parameter_malformed' })
  })

  test.each([
    'outcome=success',
    'class=stranger',
    'event=control.write',
    'origin=agent_plan',
    'reason=server_error',
  ])('what one can is not: %s', async (query) => {
    await ask(`/audit?${query}`)
  })
})

test('a report of accesses has a row for each server and person', async () => {
  const report = await ask('/audit/access?server=warehouse')
  expect(report.rows).toEqual([
    expect.objectContaining({
      resource: WAREHOUSE,
      person: 'user:corp:alice',
      agents: ['scribe'],
      tools: ['query'],
      calls: 3,
      succeeded: 1,
      failed: 1,
      untold: 1,
      refused: 1,
    }),
  ])
  expect(drawAccess(report, plainStyles)).toContain('3 calls, 1 succeeded, 1 failed, 1 not told of, 1 refused')
  expect((await ask('/audit/access?user=user:corp:bob')).rows).toEqual([])
})
