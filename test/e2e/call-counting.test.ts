/**
 * Several brokers on one Redis count calls as one: a limit of N permits N, whoever is asked, with whichever token, at the same
 * moment; and where Redis does not answer, nothing is permitted.
 */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openStore } from '../../src/store/open-store.ts'
import type { Store } from '../../src/store/ports.ts'
import { type BrokerProcess, type Fleet, startFleet, until } from '../support/broker-process.ts'
import {
  accessFor,
  askingWarehouse,
  callOf,
  newAttempt,
  openLimited,
  recordsIn,
  warehouseAt,
} from '../support/calls.ts'
import { details, granted, intent, tools } from '../support/hops.ts'
import { PATIENCE_MS } from '../support/patience.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { patient, WAREHOUSE } from '../support/world.ts'

let redis: RunningRedis
let store: Store
let fleet: Fleet
let a: BrokerProcess
let b: BrokerProcess

beforeAll(async () => {
  redis = await startRedis()
  const store_ = { kind: 'redis', url: redis.url } as const
  fleet = await startFleet(() => ({
    store: store_,
    registry: (document) => {
      const { services, resources } = askingWarehouse(fleet.idp, ({ tools: named }) => {
        named.list_tables.budget = { max_calls: 7, per_seconds: 3600 }
      })
      return { ...document, services, resources }
    },
  }))
  ;[a, b] = await Promise.all([fleet.start(), fleet.start()])
  store = await openStore({ ...store_, org: 'default' })
})
afterAll(async () => {
  await store?.close()
  await fleet?.close()
  await redis?.stop()
})

describe('a limit of calls among two brokers', () => {
  test('permits exactly so many, whatever hop, token and broker they come by', async () => {
    const [atA, atB] = [await warehouseAt(a), await warehouseAt(b)]
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 1, max: 6 }),
        fc.array(fc.record({ atA: fc.boolean(), below: fc.boolean() }), { minLength: 8, maxLength: 24 }),
        async (max, more, asked) => {
          const least = Math.min(max, more)
          const root = await openLimited(a, max + 1)
          const authorization_details = details(
            intent(),
            tools(WAREHOUSE, { query: {} }, { limits: { maxCalls: least } }),
          )
          const delegated = await granted(patient(b).delegate(root.token, { authorization_details }))
          const below = await accessFor(a, (await granted(patient(b).accept(delegated.token))).token, 'researcher')
          const own = await accessFor(b, root.token)
          const answers = await Promise.all(
            asked.map(async (one) => {
              const { decision } = await (one.atA ? atA : atB).attempt(one.below ? below : own)
              return { ...one, decision }
            }),
          )
          const permitted = answers.filter(({ decision }) => decision)
          const belowAsked = asked.filter((one) => one.below).length
          const ownAsked = asked.length - belowAsked
          expect(permitted.filter((one) => one.below).length).toBeLessThanOrEqual(least)
          expect(permitted.length).toBeLessThanOrEqual(max + 1)
          // As many as can be: what the sub-agent may not, its delegator still may.
          expect(permitted.length).toBeGreaterThanOrEqual(Math.min(max + 1, ownAsked + Math.min(belowAsked, least)))
        },
      ),
      { numRuns: 8 },
    )
  })

  test('one attempt asked of both at once is one call, with one decision and one record', async () => {
    const [atA, atB] = [await warehouseAt(a), await warehouseAt(b)]
    const access = await accessFor(a, (await openLimited(a, 5)).token)
    for (let round = 0; round < 5; round++) {
      const body = callOf(access, { attempt: newAttempt() })
      const answers = await Promise.all([atA, atB, atA, atB].map((warehouse) => warehouse.decide(body)))
      expect(new Set(answers.map(({ context }) => context.decision_id)).size).toBe(1)
      expect(answers.map(({ decision }) => decision)).toEqual([true, true, true, true])
      expect(await recordsIn(store, answers[0].context.decision_id)).toHaveLength(1)
    }
    expect(await atB.attempt(access)).toMatchObject({ decision: false, context: { reason: 'calls_exhausted' } })
  })

  test('one attempt that stands for two calls at once is one of them', async () => {
    const [atA, atB] = [await warehouseAt(a), await warehouseAt(b)]
    const access = await accessFor(a, (await openLimited(a, 50)).token)
    const attempt = newAttempt()
    const answers = await Promise.all(
      [atA, atB, atA, atB].map((warehouse, row) => warehouse.attempt(access, { attempt, args: { row } })),
    )
    expect(answers.filter(({ decision }) => decision)).toHaveLength(1)
    expect(answers.filter(({ context }) => context.reason === 'attempt_reused')).toHaveLength(3)
  })

  test('a budget is one among all of them', async () => {
    const [atA, atB] = [await warehouseAt(a), await warehouseAt(b)]
    const open = async () => accessFor(a, (await openLimited(a, 50)).token)
    const tokens = await Promise.all([open(), open(), open()])
    const answers = await Promise.all(
      [0, 1, 2, 3, 4, 5, 6].flatMap((round) =>
        tokens.map((token, index) => ((round + index) % 2 === 0 ? atA : atB).attempt(token, { tool: 'list_tables' })),
      ),
    )
    expect(answers.filter(({ decision }) => decision)).toHaveLength(7)
  })
})

test('where Redis does not answer nothing is permitted, and nothing is counted that was not', async () => {
  const warehouse = await warehouseAt(a)
  const access = await accessFor(a, (await openLimited(a, 3)).token)
  expect(await warehouse.attempt(access)).toMatchObject({ decision: true, context: { remaining_calls: 2 } })
  redis.pause()
  try {
    for (const attempt of [newAttempt(), undefined]) {
      const { status, body } = await warehouse.ask(callOf(access, { attempt }))
      expect([status, body.decision, body.error]).toEqual([503, undefined, 'temporarily_unavailable'])
    }
    const told = await warehouse.report({ attempt: newAttempt(), decision_id: 'dec_x', outcome: 'success' })
    expect(told.status).toBe(503)
  } finally {
    redis.resume()
  }
  const back = async () => (await warehouse.ask(callOf(access))).status === 200
  await until(back, PATIENCE_MS, 200)
  const { context } = await warehouse.decide(callOf(access))
  expect(context.remaining_calls).toBeLessThanOrEqual(2)
  // A write that was under way may have been performed: never more than one for each that was asked.
  expect(context.remaining_calls).toBeGreaterThanOrEqual(1)
})
