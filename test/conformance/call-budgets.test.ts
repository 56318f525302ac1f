/**
 * Budgets of a tool, for an agent and a subject in a stretch of time (DESIGN §7, No way round): not escaped by a new session, by
 * another token or by passing work on. And the limit of one token, where it was issued for fewer calls than its hop may make.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  accessFor,
  askingWarehouse,
  callOf,
  newAttempt,
  openLimited,
  type Warehouse,
  warehouseAt,
} from '../support/calls.ts'
import { type Claims, details, granted, intent, tools } from '../support/hops.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { startWorld, WAREHOUSE, type World } from '../support/world.ts'

let idp: TestIssuer
beforeAll(async () => {
  idp = await startIssuer({ slug: 'corp' })
})
afterAll(() => idp.close())

const EXHAUSTED = { decision: false, context: { reason: 'budget_exhausted' } }
const left = (remaining_calls: number) => ({ decision: true, context: { remaining_calls } })
const HOUR = { max_calls: 3, per_seconds: 3600 }

describe('a budget of a tool', () => {
  let world: World
  let warehouse: Warehouse
  beforeAll(async () => {
    const registry = askingWarehouse(idp, ({ tools: named }) => Object.assign(named.query, { budget: HOUR }))
    world = await startWorld({ issuer: idp, registry })
    warehouse = await warehouseAt(world)
  })
  afterAll(() => world.close())

  const openFor = async (sub: string): Promise<string> => {
    const subject_token = world.idToken({ sub })
    const authorization_details = details(intent(), tools(WAREHOUSE, { query: {}, list_tables: {} }))
    return (await granted(world.open({ subject_token, authorization_details }))).token
  }

  test('is spent by whatever session and token, per user, and is free again in time', async () => {
    const first = await openFor('alice')
    expect(await warehouse.attempt(await accessFor(world, first))).toMatchObject(left(2))
    expect(await warehouse.attempt(await accessFor(world, first))).toMatchObject(left(1))
    const second = await accessFor(world, await openFor('alice'))
    const attempt = newAttempt()
    for (const _ of [1, 2, 3]) expect(await warehouse.attempt(second, { attempt })).toMatchObject(left(0))
    expect(await warehouse.attempt(second)).toMatchObject(EXHAUSTED)
    expect(await warehouse.decide(callOf(second))).toMatchObject(EXHAUSTED)
    expect(await warehouse.attempt(await accessFor(world, await openFor('alice')))).toMatchObject(EXHAUSTED)
    expect(await warehouse.attempt(second, { tool: 'list_tables' })).toMatchObject({ decision: true })
    expect(await warehouse.attempt(await accessFor(world, await openFor('bob')))).toMatchObject(left(2))
    await world.advance(3601)
    const later = await warehouseAt(world)
    expect(await later.attempt(await accessFor(world, await openFor('alice')))).toMatchObject(left(2))
  })

  test('is spent by every agent of the chain: a sub-agent is no fresh budget, and has one of its own', async () => {
    await world.advance(3601)
    warehouse = await warehouseAt(world)
    const { token } = await openLimited(world, 50)
    expect(await warehouse.attempt(await accessFor(world, token))).toMatchObject(left(2))
    const authorization_details = details(intent(), tools(WAREHOUSE, { query: {} }, { limits: { maxCalls: 40 } }))
    const delegated = await granted(world.delegate(token, { authorization_details }))
    const below = await accessFor(world, (await granted(world.accept(delegated.token))).token, 'researcher')
    expect(await warehouse.attempt(below)).toMatchObject(left(1))
    expect(await warehouse.attempt(below)).toMatchObject(left(0))
    expect(await warehouse.attempt(below)).toMatchObject(EXHAUSTED)
    expect(await warehouse.attempt(await accessFor(world, token))).toMatchObject(EXHAUSTED)
  })

  test('gives the place back of a call that its session does not permit', async () => {
    await world.advance(3601)
    warehouse = await warehouseAt(world)
    const access = await accessFor(world, (await openLimited(world, 1)).token)
    expect(await warehouse.attempt(access)).toMatchObject(left(0))
    for (const _ of [1, 2, 3, 4]) {
      expect(await warehouse.attempt(access)).toMatchObject({ context: { reason: 'calls_exhausted' } })
    }
    const other = await accessFor(world, (await openLimited(world, 50)).token)
    expect(await warehouse.attempt(other)).toMatchObject(left(1))
  })

  test('does not let many at once have more', async () => {
    await world.advance(3601)
    warehouse = await warehouseAt(world)
    const tokens = await Promise.all([1, 2, 3, 4].map(async () => accessFor(world, await openFor('alice'))))
    const answers = await Promise.all([...tokens, ...tokens, ...tokens].map((token) => warehouse.attempt(token)))
    expect(answers.filter(({ decision }) => decision)).toHaveLength(3)
    expect(answers.filter(({ context }) => context.reason === 'budget_exhausted')).toHaveLength(9)
  })
})

describe('a token for fewer calls than its hop may make', () => {
  test('makes so many of each tool and no more, and its neighbours are their own', async () => {
    const world = await startWorld({ issuer: idp, registry: askingWarehouse(idp) })
    try {
      const warehouse = await warehouseAt(world)
      const { token } = await openLimited(world, 5)
      const narrower = details(tools(WAREHOUSE, { query: {}, list_tables: {} }, { limits: { maxCalls: 2 } }))
      const narrow = await granted(world.continue(token, { authorization_details: narrower }))
      const answers: Claims[] = []
      for (const _ of [1, 2, 3]) answers.push(await warehouse.attempt(narrow.token))
      expect(answers).toMatchObject([left(1), left(0), { decision: false, context: { reason: 'calls_exhausted' } }])
      expect(await warehouse.decide(callOf(narrow.token))).toMatchObject({ context: { reason: 'calls_exhausted' } })
      expect(await warehouse.attempt(narrow.token, { tool: 'list_tables' })).toMatchObject(left(1))
      expect(await warehouse.attempt(await accessFor(world, token))).toMatchObject(left(2))
    } finally {
      await world.close()
    }
  })
})
