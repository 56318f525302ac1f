/**
 * Attempts where something changes between two askings of the same one, or between the decision and the answer: what was
 * permitted keeps its end, is counted once, and is not told to anybody who was cut off meanwhile.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ask, SEARCH } from '../support/authzen.ts'
import { accessFor, askingWarehouse, callOf, newAttempt, recordsOf, warehouseAt } from '../support/calls.ts'
import { called, ONWARD, onward, onwardRegistry } from '../support/downstream.ts'
import { startPdp, type TestPdp } from '../support/external-pdp.ts'
import { type Claims, details, granted, intent, kill, tools } from '../support/hops.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { SLACK, startWorld, WAREHOUSE, type World, type WorldOptions } from '../support/world.ts'

let idp: TestIssuer
let pdp: TestPdp
beforeAll(async () => {
  ;[idp, pdp] = await Promise.all([startIssuer({ slug: 'corp' }), startPdp(400)])
})
afterAll(async () => {
  await pdp.close()
  await idp.close()
})

const BUDGET = { max_calls: 2, per_seconds: 10 }

/** A warehouse with a budget for `query`, and a token of alice's session there. */
async function during(work: (world: World, token: string) => Promise<void>, options: WorldOptions = {}) {
  const registry = askingWarehouse(idp, ({ tools: named }) => Object.assign(named.query, { budget: BUDGET }))
  const world = await startWorld({ issuer: idp, registry, ...options })
  try {
    await work(world, await tokenOf(world))
  } finally {
    await world.close()
  }
}

async function tokenOf(world: World): Promise<string> {
  const authorization_details = details(intent(), tools(WAREHOUSE, { query: {}, list_tables: {} }))
  const { token } = await granted(world.open({ authorization_details }))
  return accessFor(world, token)
}

test('what was permitted keeps its end, though the same attempt is refused when it is asked about again', () =>
  during(
    async (world, token) => {
      const warehouse = await warehouseAt(world)
      const attempt = newAttempt()
      const { decision, context } = await warehouse.attempt(token, { attempt })
      expect(decision).toBe(true)
      pdp.decide(() => false)
      expect(await warehouse.attempt(token, { attempt })).toMatchObject({ decision: false })
      pdp.decide(() => true)
      const { decision_id } = context
      expect((await warehouse.report({ attempt, decision_id, outcome: 'success' })).status).toBe(200)
      expect((await recordsOf(world, decision_id)).at(-1)).toMatchObject({
        event: 'call.outcome',
        call: { attempt, ended: 'success' },
      })
    },
    { config: { externalPdp: pdp.pdp } },
  ))

test('and is counted once, though its place in the budget is free again by then', () =>
  during(async (world, token) => {
    const warehouse = await warehouseAt(world)
    const attempt = newAttempt()
    expect(await warehouse.attempt(token, { attempt })).toMatchObject({ decision: true })
    await world.advance(11)
    expect(await warehouse.attempt(token)).toMatchObject({ context: { remaining_calls: 1 } })
    expect(await warehouse.attempt(token, { attempt })).toMatchObject({ decision: true })
    expect(await warehouse.attempt(token)).toMatchObject({ decision: true, context: { remaining_calls: 0 } })
    // Now that there is none left, it is still the one that was permitted.
    expect(await warehouse.attempt(token, { attempt })).toMatchObject({ decision: true })
    expect(await warehouse.attempt(token)).toMatchObject({ context: { reason: 'budget_exhausted' } })
  }))

test.each<[string, object]>([
  ['the agent', { dimension: 'agent', agent: 'orchestrator' }],
  ['the user', { dimension: 'user', user: 'user:corp:alice' }],
  ['the tool', { dimension: 'tool', resource: WAREHOUSE, tool: 'query' }],
  ['the resource', { dimension: 'resource', resource: WAREHOUSE }],
])('a kill of %s that was acknowledged while the call was being written is no yes after it', (_whom, order) =>
  during(async (world, token) => {
    const warehouse = await warehouseAt(world)
    const { sessions } = world.broker.store
    const commit = sessions.commit.bind(sessions)
    let killed: Claims | undefined
    sessions.commit = async (change) => {
      if (change.id.startsWith('call:')) killed ??= await kill(world, order)
      return commit(change)
    }
    const { decision } = await warehouse.attempt(token)
    expect(killed).toBeDefined()
    expect(decision).toBe(false)
  }))

test('a refused one is kept for as long as it may be asked about again, and no longer', () =>
  during(async (world, token) => {
    const warehouse = await warehouseAt(world)
    const [refused, ended] = [newAttempt(), newAttempt()]
    await warehouse.attempt(token, { attempt: refused, tool: 'insert_rows' })
    const { context } = await warehouse.attempt(token, { attempt: ended })
    await warehouse.report({ attempt: ended, decision_id: context.decision_id, outcome: 'success' })
    const kept = (attempt: string) => world.broker.store.calls.read(`warehouse-server:${attempt}`)
    await world.advance(299)
    expect(await kept(refused)).toBeDefined()
    await world.advance(2)
    expect(await kept(refused)).toBeUndefined()
    expect(await kept(ended)).toBeDefined()
  }))

test('a search does not find what is used up', () =>
  during(async (world, token) => {
    const warehouse = await warehouseAt(world)
    const found = async (): Promise<readonly string[]> => {
      const { subject, action } = callOf(token)
      const body = { subject, action, resource: { type: 'tool' } }
      const answer = await ask(world, warehouse.asking, SEARCH.resource, body)
      return answer.body.results.map(({ id }: Claims) => id)
    }
    expect(await found()).toEqual(expect.arrayContaining(['query', 'list_tables']))
    for (const _ of [1, 2]) expect(await warehouse.attempt(token)).toMatchObject({ decision: true })
    expect(await warehouse.decide(callOf(token))).toMatchObject({ context: { reason: 'budget_exhausted' } })
    expect(await found()).toEqual(['list_tables'])
  }))

test('a server that goes on with a token spends what its agent may, by whatever token it was called with', async () => {
  const document = onwardRegistry(idp)
  const resources = (document['resources'] as readonly Claims[]).map((resource) => {
    if (resource.id !== 'slack') return resource
    const tools = structuredClone(resource.tools)
    tools.post_message.budget = { max_calls: 3, per_seconds: 3600 }
    return { ...resource, enforces: 'calls', tools }
  })
  const world = await startWorld({ issuer: idp, registry: { ...document, resources } })
  try {
    const limited = ONWARD.map((detail: Claims) =>
      detail['locations']?.includes(SLACK) === true ? { ...detail, limits: { maxCalls: 2 } } : detail,
    )
    const slack = await warehouseAt(world, 'slack-server')
    const authorization_details = JSON.stringify(limited)
    const opened = async () => (await called(world, { authorization_details })).session.token
    const session = await opened()
    const own = await accessAt(world, session, SLACK)
    const below = async (from: string): Promise<string> =>
      (await granted(onward(world, await accessAt(world, from, WAREHOUSE)))).token
    const call = { tool: 'post_message', args: { channel: '#finance', text: 'Q3' } }
    for (const remaining_calls of [1, 0]) {
      const answer = await slack.attempt(await below(session), call)
      expect(answer).toMatchObject({ decision: true, context: { remaining_calls } })
    }
    for (const token of [await below(session), own]) {
      expect(await slack.attempt(token, call)).toMatchObject({ context: { reason: 'calls_exhausted' } })
    }
    const another = await opened()
    expect(await slack.attempt(await below(another), call)).toMatchObject({ decision: true })
    for (const token of [await below(another), await accessAt(world, another, SLACK)]) {
      expect(await slack.attempt(token, call)).toMatchObject({ context: { reason: 'budget_exhausted' } })
    }
  } finally {
    await world.close()
  }
})

const accessAt = async (world: World, session: string, resource: string): Promise<string> =>
  (await granted(world.continue(session, { resource }))).token
