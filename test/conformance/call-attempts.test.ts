/**
 * A call is announced, recorded and counted before it may run, and its end recorded after (R158, R159, R177): what a server in
 * live mode says at `/access/v1/evaluation` and `/access/v1/outcome`.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { drawRecord } from '../../src/cli/audit/record-drawing.ts'
import { drawExplanation } from '../../src/cli/records/decision-drawing.ts'
import { plainStyles } from '../../src/cli/terminal.ts'
import { ask, EVALUATIONS } from '../support/authzen.ts'
import {
  accessFor,
  askingWarehouse,
  callOf,
  newAttempt,
  openLimited,
  recordsOf,
  type Warehouse,
  warehouseAt,
} from '../support/calls.ts'
import { type Claims, managementToken } from '../support/hops.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { JOSE_HEADER } from '../support/jose-header.ts'
import { startWorld, WAREHOUSE, type World } from '../support/world.ts'

let world: World
let idp: TestIssuer
let warehouse: Warehouse
let session: Claims
let token: string
beforeAll(async () => {
  idp = await startIssuer({ slug: 'corp' })
  world = await startWorld({ issuer: idp, registry: askingWarehouse(idp) })
  warehouse = await warehouseAt(world)
  session = await openLimited(world, 50)
  token = await accessFor(world, session.token)
})
afterAll(async () => {
  await world.close()
  await idp.close()
})

describe('an attempt', () => {
  test('is recorded with whose work it is, and answered with what the server owes', async () => {
    const attempt = newAttempt()
    const answer = await warehouse.attempt(token, { attempt, args: { table: 'revenue' } })
    expect(answer).toEqual({
      decision: true,
      context: {
        decision_id: expect.stringMatching(/^dec_/),
        attempt,
        outcome_within_seconds: 60,
        remaining_calls: expect.any(Number),
      },
    })
    const records = await recordsOf(world, answer.context.decision_id)
    expect(records).toMatchObject([
      {
        event: 'call.attempt',
        outcome: 'granted',
        by: 'service:warehouse-server',
        agent: { id: 'orchestrator', version: expect.any(String) },
        on_behalf_of: 'user:corp:alice',
        session: session.claims.sid,
        intent: expect.any(String),
        origin: expect.any(String),
        resource: WAREHOUSE,
        detail: 'call query',
        call: { attempt },
        question: expect.any(String),
      },
    ])
    expect(JSON.stringify(records)).not.toMatch(/revenue/)
    expect(JSON.stringify(records)).not.toMatch(JOSE_HEADER)
  })

  test('asked about again, at whatever moment before its end, is the same one: one answer, one record, counted once', async () => {
    const attempt = newAttempt()
    const first = await warehouse.attempt(token, { attempt })
    const again = await Promise.all([1, 2, 3].map(() => warehouse.attempt(token, { attempt })))
    for (const answer of again) expect(answer).toEqual(first)
    expect(await recordsOf(world, first.context.decision_id)).toHaveLength(1)
    const next = await warehouse.attempt(token)
    expect(next.context.remaining_calls).toBe(first.context.remaining_calls - 1)
  })

  test('with an id that stands for another call is refused, and not counted', async () => {
    const attempt = newAttempt()
    const first = await warehouse.attempt(token, { attempt, args: { table: 'a' } })
    const others = [
      callOf(token, { attempt, args: { table: 'b' } }),
      callOf(token, { attempt, args: { table: 'a' }, tool: 'list_tables' }),
      callOf(await accessFor(world, session.token), { attempt, args: { table: 'a' } }),
    ]
    for (const other of others) {
      expect(await warehouse.decide(other)).toMatchObject({ decision: false, context: { reason: 'attempt_reused' } })
    }
    const next = await warehouse.attempt(token)
    expect(next.context.remaining_calls).toBe(first.context.remaining_calls - 1)
  })

  test('that was refused is refused again as it was, and never has an outcome', async () => {
    const attempt = newAttempt()
    const refused = await warehouse.attempt(token, { attempt, tool: 'insert_rows' })
    expect(refused).toMatchObject({ decision: false })
    expect(await warehouse.attempt(token, { attempt, tool: 'insert_rows' })).toEqual(refused)
    const { decision_id } = refused.context
    expect(await recordsOf(world, decision_id)).toMatchObject([
      { event: 'call.attempt', outcome: 'refused', call: { attempt } },
    ])
    const told = await warehouse.report({ attempt, decision_id, outcome: 'success' })
    expect([told.status, told.body.error_reason]).toEqual([409, 'outcome_conflict'])
  })

  test('is not permitted once more when its call has ended', async () => {
    const attempt = newAttempt()
    const { context } = await warehouse.attempt(token, { attempt })
    await warehouse.report({ attempt, decision_id: context.decision_id, outcome: 'failure' })
    expect(await warehouse.attempt(token, { attempt })).toMatchObject({
      decision: false,
      context: { reason: 'attempt_reused' },
    })
  })

  test('of a token that was revoked is refused, also where it had been permitted', async () => {
    const other = await openLimited(world, 5)
    const access = await accessFor(world, other.token)
    const attempt = newAttempt()
    expect(await warehouse.attempt(access, { attempt })).toMatchObject({ decision: true })
    await world.revoke(other.token)
    expect(await warehouse.attempt(access, { attempt })).toMatchObject({
      decision: false,
      context: { reason: 'subject_token_inactive' },
    })
  })

  test.each([
    ['too short', { attempt: 'short' }],
    ['too long', { attempt: 'x'.repeat(65) }],
    ['of other characters', { attempt: 'not a good attempt id' }],
    ['no text', { attempt: 17 as unknown as string }],
  ])('is 400 where its id is %s', async (_what, call) => {
    const { status, body } = await warehouse.ask(callOf(token, call))
    expect([status, body.error_reason]).toEqual([400, 'parameter_malformed'])
  })

  test('is of a token, not of somebody named, and asked by itself', async () => {
    const named = { ...callOf(token, { attempt: newAttempt() }), subject: { type: 'user', id: 'corp:alice' } }
    expect((await warehouse.ask(named)).status).toBe(400)
    const [one, two] = [callOf(token, { attempt: newAttempt() }), callOf(token, {})]
    const { body } = await ask(world, warehouse.asking, EVALUATIONS, { evaluations: [one, two] })
    expect(body.evaluations).toMatchObject([
      { decision: false, context: { reason: 'parameter_malformed' } },
      { decision: true },
    ])
    const single = await ask(world, warehouse.asking, EVALUATIONS, { evaluations: [one] })
    expect(single.body.evaluations).toMatchObject([{ decision: true, context: { attempt: one.context.attempt } }])
  })
})

describe('an outcome', () => {
  const permitted = async () => {
    const attempt = newAttempt()
    const { context } = await warehouse.attempt(token, { attempt })
    return { attempt, decision_id: String(context.decision_id) }
  }

  test('is recorded under the decision that permitted the call, once however often it is told', async () => {
    const call = await permitted()
    for (let again = 0; again < 3; again++) {
      const told = await warehouse.report({ ...call, outcome: 'failure', detail: 'ETIMEDOUT' })
      expect([told.status, told.body]).toEqual([200, {}])
    }
    expect(await recordsOf(world, call.decision_id)).toMatchObject([
      { event: 'call.attempt' },
      {
        event: 'call.outcome',
        by: 'service:warehouse-server',
        agent: { id: 'orchestrator' },
        on_behalf_of: 'user:corp:alice',
        session: session.claims.sid,
        resource: WAREHOUSE,
        detail: 'ETIMEDOUT',
        call: { attempt: call.attempt, ended: 'failure' },
      },
    ])
  })

  test('that contradicts the first is refused with 409, and of many at once one is recorded', async () => {
    const call = await permitted()
    const told = await Promise.all(
      ['success', 'failure', 'success', 'failure'].map((outcome) => warehouse.report({ ...call, outcome })),
    )
    const statuses = told.map(({ status }) => status)
    expect(statuses.filter((status) => status === 200)).toHaveLength(2)
    expect(statuses.filter((status) => status === 409)).toHaveLength(2)
    const ends = (await recordsOf(world, call.decision_id)).filter(({ event, outcome }) => {
      return event === 'call.outcome' && outcome === 'granted'
    })
    expect(ends).toHaveLength(1)
  })

  test('of a call that nobody knows, of another decision, or of another service is not found', async () => {
    const call = await permitted()
    const other = await warehouseAt(world, 'slack-server')
    const wrong = [
      await warehouse.report({ ...call, attempt: newAttempt(), outcome: 'success' }),
      await warehouse.report({ ...call, decision_id: 'dec_another', outcome: 'success' }),
      await other.report({ ...call, outcome: 'success' }),
    ]
    expect(wrong.map(({ status, body }) => [status, body.error_reason])).toEqual(Array(3).fill([404, 'not_found']))
    expect((await recordsOf(world, call.decision_id)).map(({ event }) => event)).toEqual(['call.attempt'])
    expect((await warehouse.report({ ...call, outcome: 'success' })).status).toBe(200)
  })

  test.each([
    ['another word', { outcome: 'unknown' }, 'parameter_malformed'],
    ['none', {}, 'parameter_missing'],
    ['too long a detail', { outcome: 'failure', detail: 'x'.repeat(201) }, 'parameter_malformed'],
    ['a detail that is no text', { outcome: 'failure', detail: { rows: [] } }, 'parameter_malformed'],
    ['a detail that would leave its line', { outcome: 'failure', detail: 'a\nb' }, 'parameter_malformed'],
    ['a member that nobody knows', { outcome: 'success', result: 'rows' }, 'parameter_malformed'],
  ])('of %s is 400', async (_what, more, reason) => {
    const told = await warehouse.report({ ...(await permitted()), ...more })
    expect([told.status, told.body.error_reason]).toEqual([400, reason])
  })
})

describe('a call whose end nobody has told in time', () => {
  test('is recorded as unknown, once; an outcome that comes later is recorded after it, and says so', async () => {
    const late = await startWorld({ issuer: idp, registry: askingWarehouse(idp) })
    try {
      const asking = await warehouseAt(late)
      const access = await accessFor(late, (await openLimited(late, 5)).token)
      const [attempt, ended] = [newAttempt(), newAttempt()]
      const { context } = await asking.attempt(access, { attempt })
      const told = await asking.attempt(access, { attempt: ended })
      await asking.report({ attempt: ended, decision_id: told.context.decision_id, outcome: 'success' })
      await late.advance(59)
      await sleep(1_500)
      expect(await recordsOf(late, context.decision_id)).toHaveLength(1)
      await late.advance(2)
      await expect.poll(() => recordsOf(late, context.decision_id)).toHaveLength(2)
      await sleep(1_500)
      const report = { attempt, decision_id: context.decision_id, outcome: 'success' }
      const again = await warehouseAt(late)
      for (const _ of [1, 2]) expect((await again.report(report)).status).toBe(200)
      expect((await again.report({ ...report, outcome: 'failure' })).status).toBe(409)
      const [, unknown, outcome, ...others] = await recordsOf(late, context.decision_id)
      expect(unknown).toMatchObject({
        event: 'call.outcome',
        by: 'operator:broker',
        agent: { id: 'orchestrator' },
        on_behalf_of: 'user:corp:alice',
        resource: WAREHOUSE,
        call: { attempt, ended: 'unknown' },
      })
      expect(outcome).toMatchObject({
        event: 'call.outcome',
        by: 'service:warehouse-server',
        call: { attempt, ended: 'success', after: 'unknown' },
      })
      // The refused one of another outcome has a decision of its own.
      expect(others).toEqual([])
      const path = `/admin/v1/decisions/${context.decision_id}/explanation`
      const { body } = await late.bearer(path, await managementToken(late))
      expect(body.call).toMatchObject({ attempt, ends: [{ ended: 'unknown' }, { ended: 'success' }] })
      expect(drawExplanation(body, plainStyles)).toContain(
        `attempt ${attempt} ended: unknown, by operator:broker at ${unknown.at}; then success, by service:warehouse-server`,
      )
      expect(drawRecord(outcome, plainStyles).replaceAll(/\s+/g, ' ')).toContain(
        `attempt ${attempt} ended: success, told after it had been recorded as unknown`,
      )
      expect(await recordsOf(late, told.context.decision_id)).toHaveLength(2)
    } finally {
      await late.close()
    }
  })
})
