/**
 * `limits.maxCalls` (DESIGN §3): so many calls of each tool and no more, by the session's own slot; delegating, continuing, asking
 * at another broker or under another name multiplies nothing.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { accessFor, askingWarehouse, callOf, openLimited, type Warehouse, warehouseAt } from '../support/calls.ts'
import { type Claims, details, granted, intent, tools } from '../support/hops.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { startWorld, WAREHOUSE, type World } from '../support/world.ts'

let world: World
let idp: TestIssuer
let warehouse: Warehouse
beforeAll(async () => {
  idp = await startIssuer({ slug: 'corp' })
  world = await startWorld({ issuer: idp, registry: askingWarehouse(idp) })
  warehouse = await warehouseAt(world)
})
afterAll(async () => {
  await world.close()
  await idp.close()
})

const EXHAUSTED = { decision: false, context: { reason: 'calls_exhausted' } }
const left = (remaining_calls: number) => ({ decision: true, context: { remaining_calls } })

const passOn = async (session: string, maxCalls: number, more: object = {}) => {
  const authorization_details = details(
    intent({ purpose: 'Look', ...more }),
    tools(WAREHOUSE, { query: {} }, { limits: { maxCalls } }),
  )
  const { token } = await granted(world.delegate(session, { authorization_details }))
  return granted(world.accept(token))
}

describe('a limit of calls', () => {
  test('is of each tool by itself, and counts down to none', async () => {
    const { token } = await openLimited(world, 2)
    const access = await accessFor(world, token)
    expect(await warehouse.attempt(access)).toMatchObject(left(1))
    expect(await warehouse.attempt(access)).toMatchObject(left(0))
    expect(await warehouse.attempt(access)).toMatchObject(EXHAUSTED)
    expect(await warehouse.attempt(access, { tool: 'list_tables' })).toMatchObject(left(1))
  })

  test('counts what is permitted, not what is asked or refused', async () => {
    const { token } = await openLimited(world, 1)
    const access = await accessFor(world, token)
    for (let again = 0; again < 3; again++) {
      expect(await warehouse.decide(callOf(access))).toMatchObject(left(1))
      expect(await warehouse.attempt(access, { tool: 'insert_rows' })).toMatchObject({ decision: false })
    }
    expect(await warehouse.attempt(access)).toMatchObject(left(0))
    // A mere question is answered as an attempt would be now.
    expect(await warehouse.decide(callOf(access))).toMatchObject(EXHAUSTED)
  })

  test('is not multiplied by continuing: every token of the session counts there', async () => {
    const { token } = await openLimited(world, 3)
    const answers: Claims[] = []
    for (let again = 0; again < 5; again++) answers.push(await warehouse.attempt(await accessFor(world, token)))
    expect(answers.map(({ decision }) => decision)).toEqual([true, true, true, false, false])
  })

  test('is not multiplied by delegation: what is called below counts at every hop above', async () => {
    const { token } = await openLimited(world, 3)
    const [one, two] = [await passOn(token, 2), await passOn(token, 2)]
    const [first, second] = [
      await accessFor(world, one.token, 'researcher'),
      await accessFor(world, two.token, 'researcher'),
    ]
    expect(await warehouse.attempt(first)).toMatchObject(left(1))
    expect(await warehouse.attempt(first)).toMatchObject(left(0))
    expect(await warehouse.attempt(first)).toMatchObject(EXHAUSTED)
    // The other sub-agent has two left of its own, and the session one.
    expect(await warehouse.attempt(second)).toMatchObject(left(0))
    expect(await warehouse.attempt(second)).toMatchObject(EXHAUSTED)
    expect(await warehouse.attempt(await accessFor(world, token))).toMatchObject(EXHAUSTED)
  })

  test('of a delegation narrows, and may not be wider than the one above', async () => {
    const { token } = await openLimited(world, 3)
    const wider = details(intent(), tools(WAREHOUSE, { query: {} }, { limits: { maxCalls: 4 } }))
    const { body } = await world.delegate(token, { authorization_details: wider })
    expect(body.error_reason).toBe('details_widening')
  })

  test('is in the token, so that a server that is not live refuses it', async () => {
    const { token } = await openLimited(world, 3)
    const { claims } = await granted(world.continue(token))
    expect(claims.authorization_details).toMatchObject([{ locations: [WAREHOUSE], limits: { maxCalls: 3 } }])
  })
})

test('the calls that were permitted are counted for whoever looks at the session', async () => {
  const { token, claims } = await openLimited(world, 3)
  const access = await accessFor(world, token)
  await warehouse.attempt(access)
  await warehouse.attempt(access)
  const api = await world.apiToken('orchestrator', 'sessions')
  const { body } = await world.bearer(`/sessions/${claims.sid}`, api)
  expect(body).toMatchObject({ calls: 2, tree: [{ calls: 2 }] })
})
