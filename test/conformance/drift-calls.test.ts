/**
 * Drift at run time (R135, R136, R138, R207; DESIGN §7): calls that a server announces and that are outside the intent are counted
 * with their record, once per attempt; questions count nothing, nor does what policy has taken away; and nobody escapes.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { EVALUATION, evaluateToken } from '../support/authzen.ts'
import { accessFor, askingWarehouse, callOf, newAttempt, warehouseAt } from '../support/calls.ts'
import { granted, managementToken, walk } from '../support/hops.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { SLACK, startWorld, type World } from '../support/world.ts'

const DRIFT = { contractAfter: 3, haltAfter: 5, windowSeconds: 600 }

let idp: TestIssuer
let world: World
let warehouse: Awaited<ReturnType<typeof warehouseAt>>
beforeAll(async () => {
  idp = await startIssuer({ slug: 'corp' })
})
afterAll(() => idp.close())
/** For which nothing has been counted yet. */
beforeEach(async () => {
  world = await startWorld({ issuer: idp, settings: { drift: DRIFT }, registry: askingWarehouse(idp) })
  warehouse = await warehouseAt(world)
})
afterEach(() => world.close())

const detail = async (session: string) =>
  (await world.bearer(`/admin/v1/sessions/${session}`, await managementToken(world))).body
/** `null`: only a question. */
const outside = (token: string, attempt: string | null = newAttempt()) =>
  warehouse.decide(callOf(token, { tool: 'drop_table', attempt: attempt ?? undefined }))
const explained = async (id: string) =>
  (await world.bearer(`/admin/v1/decisions/${id}/explanation`, await managementToken(world))).body

describe('a call outside the intent', () => {
  it('counts when it is announced, once however often it is asked about; a mere question counts nothing', async () => {
    const { session, sid } = await world.opened()
    const token = await accessFor(world, session)
    for (let ask = 0; ask < 10; ask += 1) expect((await outside(token, null)).decision).toBe(false)
    expect(await detail(sid)).toMatchObject({ state: 'active', drift: 0 })
    const attempt = newAttempt()
    const answers = [await outside(token, attempt), await outside(token, attempt), await outside(token, attempt)]
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1)
    expect(await detail(sid)).toMatchObject({ state: 'active', drift: 1 })
    const records = (await world.audit(50)).filter(({ event }) => event === 'call.attempt')
    expect(records).toHaveLength(1)
    expect(records[0]).toMatchObject({
      outcome: 'refused',
      reason: 'nothing_granted',
      id: answers[0].context.decision_id,
    })
  })

  it('with arguments outside the constraints counts, too, and the narrowed one is allowed', async () => {
    const { session, sid } = await world.opened()
    const token = await accessFor(world, session)
    const args = { table: 'revenue', limit: 100_000 }
    const refused = await warehouse.decide(callOf(token, { args, attempt: newAttempt() }))
    const limit = refused.context.narrow_to.constraints.limit.maximum
    const narrowed = callOf(token, { args: { ...args, limit }, attempt: newAttempt() })
    expect((await warehouse.decide(narrowed)).decision).toBe(true)
    expect(await detail(sid)).toMatchObject({ state: 'active', drift: 1 })
  })

  it('contracts the session, then halts it, its tokens inactive; and it is an input of every decision in between', async () => {
    const { session, sid } = await world.opened()
    const slack = await granted(world.continue(session, { resource: SLACK }))
    let token = await accessFor(world, session)
    for (let ask = 0; ask < 3; ask += 1) await outside(token)
    expect(await detail(sid)).toMatchObject({ state: 'contracted', drift: 3 })
    expect((await world.introspect(slack.token, 'slack-server')).body.active).toBe(false)
    expect((await outside(token)).context.reason).toBe('subject_token_inactive')
    expect((await detail(sid)).drift).toBe(3)

    const refused = await world.continue(session, { resource: SLACK })
    expect(refused.body.error_reason).toBe('nothing_granted')
    const why = await explained(refused.body.decision_id)
    expect(why.conformance).toEqual({ state: 'contracted', drift: 3 })
    const intent = why.layers.find(({ layer }: { layer: string }) => layer === 'intent')
    expect(intent.says.join()).toContain('the session is contracted')
    expect(JSON.stringify(why.change)).toContain('a reviewer may resume it')

    token = await accessFor(world, session)
    const reading = callOf(token, { tool: 'list_tables', attempt: newAttempt() })
    expect((await warehouse.decide(reading)).decision).toBe(true)
    for (let ask = 0; ask < 2; ask += 1) await outside(token)
    expect(await detail(sid)).toMatchObject({ state: 'halted', drift: 5 })
    expect((await world.introspect(token)).body.active).toBe(false)
    expect((await warehouse.decide(reading)).context.reason).toBe('subject_token_inactive')
    const [halted, ...more] = (await world.audit(100)).filter(({ event }) => event === 'session.halted')
    expect(more).toEqual([])
    expect(halted).toMatchObject({ session: sid, by: 'agent:orchestrator', on_behalf_of: 'user:corp:alice' })
    expect(halted.asks).toHaveLength(5)
    for (const id of halted.asks) expect((await explained(id)).outcome).toBe('refused')
  })

  it('counts nothing where policy has taken away what the token allows', async () => {
    const { session, sid } = await world.opened()
    const token = await accessFor(world, session)
    const allowed = callOf(token, { args: { table: 'revenue', limit: 1 } })
    expect((await warehouse.decide(allowed)).decision).toBe(true)
    const management = await managementToken(world)
    const grant = {
      id: 'no-queries',
      effect: 'deny',
      principals: [{ user: 'corp:alice' }],
      resources: [{ tool: 'query' }],
    }
    const made = await world.request('/admin/v1/grants/no-queries', {
      method: 'PUT',
      headers: { Authorization: `Bearer ${management}`, 'Content-Type': 'application/json', 'If-None-Match': '*' },
      body: JSON.stringify(grant),
    })
    expect(made.status, JSON.stringify(made.body)).toBeLessThan(300)
    for (let ask = 0; ask < 5; ask += 1) {
      const answer = await warehouse.decide({ ...allowed, context: { ...allowed.context, attempt: newAttempt() } })
      expect(answer.decision).toBe(false)
    }
    expect(await detail(sid)).toMatchObject({ state: 'active', drift: 0 })
  })

  it('of an injected agent that tries twenty: none outside the intent succeeds, and it is stopped at the fifth', async () => {
    const { session, sid } = await world.opened()
    const outcomes: boolean[] = []
    for (let ask = 0; ask < 20; ask += 1) {
      const again = await world.continue(session)
      if (again.status !== 200) continue
      const tool = ['drop_table', 'insert_rows', 'query', 'exfiltrate'][ask % 4] ?? ''
      const args = { table: 'customers', limit: 1 }
      const call = callOf(again.body.access_token, { tool, args, attempt: newAttempt() })
      outcomes.push((await warehouse.decide(call)).decision)
    }
    expect(outcomes).toEqual([false, false, false, false, false])
    expect((await detail(sid)).state).toBe('halted')
  })
})

describe('nobody halts what is not theirs', () => {
  it('a server that asks about the token of another counts nothing', async () => {
    const { session, sid } = await world.opened()
    const token = await accessFor(world, session)
    const slack = await evaluateToken(world, 'slack-server')
    for (let ask = 0; ask < 6; ask += 1) {
      const body = callOf(token, { tool: 'drop_table', attempt: newAttempt() })
      const answer = await world.bearer(EVALUATION, slack, 'POST', body)
      expect(answer.body.context.reason).toBe('subject_token_inactive')
    }
    expect(await detail(sid)).toMatchObject({ state: 'active', drift: 0 })
  })

  it('nor does one that names a user instead of a token', async () => {
    const { sid } = await world.opened()
    for (let ask = 0; ask < 6; ask += 1) {
      const body = {
        ...callOf('none', { tool: 'drop_table', attempt: newAttempt() }),
        subject: { type: 'user', id: 'corp:alice' },
      }
      expect((await world.bearer(EVALUATION, warehouse.asking, 'POST', body)).status).toBe(400)
    }
    expect(await detail(sid)).toMatchObject({ state: 'active', drift: 0 })
  })

  it('a sub-agent that was passed a part of it halts the session it is part of, and every agent above', async () => {
    const { access, root, researcher } = await walk(world)
    for (let ask = 0; ask < 3; ask += 1) await outside(access.token)
    const next = await granted(world.continue(researcher.token, {}, 'researcher'))
    for (let ask = 0; ask < 2; ask += 1) await outside(next.token)
    expect((await detail(root.claims.sid)).state).toBe('halted')
    expect((await world.continue(root.token)).body.error_reason).toBe('session_not_issuing')
    const anew = world.idToken({ nonce: 'anew' })
    expect((await world.open({ subject_token: anew })).body.error_reason).toBe('principal_blocked')
  })
})
