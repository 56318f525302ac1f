/**
 * A person's yes is worth stealing (R205): given to oneself, given for one call and used for another, used twice, or got out of
 * somebody by asking until they stop reading.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import {
  adminToken,
  atWork,
  callOf,
  decide,
  newAttempt,
  requested,
  startApprovals,
  TABLE,
  warehouse,
} from '../support/approvals.ts'
import { EVALUATION } from '../support/authzen.ts'
import { freePort } from '../support/free-port.ts'
import { details, granted, order, tools } from '../support/hops.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { PATIENCE_MS } from '../support/patience.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { scratchDirectory } from '../support/scratch.ts'
import { Secret, WAREHOUSE, type World } from '../support/world.ts'

let idp: TestIssuer
beforeAll(async () => {
  idp = await startIssuer({ slug: 'corp' })
})
afterAll(() => idp.close())

describe('a yes to oneself', () => {
  let world: World
  let given: Awaited<ReturnType<typeof atWork>>
  let id: string
  beforeAll(async () => {
    world = await startApprovals(idp)
    given = await atWork(world)
    id = await requested(given.attempts(given.access))
  })
  afterAll(() => world.close())

  test.each([
    ['the owner of the agent', 'corp:bob', 'approval_same_person'],
    ['the user it is done for', 'corp:alice', 'approval_same_person'],
    ['whoever sits at the broker’s own machine', 'root', 'approval_person_unknown'],
    ['a user who is not known here', 'corp:nobody', undefined],
    ['a user who has left', 'corp:mallory', undefined],
  ])('%s gives none', async (_who, name, reason) => {
    const { status, body } = await decide(world, id, name)
    expect([status >= 401 && status <= 403, body.error_reason]).toEqual([true, reason])
    expect(await requested(given.attempts(given.access))).toBe(id)
  })

  test.each(['viewer', 'policy_admin', 'security'] as const)('the role %s gives none, and reads none', async (role) => {
    const name = `corp:erin-${role}`
    const said = await decide(world, id, name, undefined, [role])
    expect([said.status, said.body.error_reason]).toEqual([403, 'admin_forbidden'])
    // A token that says more than the configuration does.
    expect((await decide(world, id, name, undefined, ['approver'])).status).toBe(403)
    for (const path of ['/admin/v1/approvals', `/admin/v1/approvals/${id}`]) {
      expect((await world.bearer(path, await adminToken(world, name, [role]))).status).toBe(403)
    }
  })

  test('the agent, its server and its user have no way to it', async () => {
    const user = world.userToken()
    for (const token of [given.access, given.session, given.asking, await world.apiToken(), user]) {
      const answer = await world.bearer(`/admin/v1/approvals/${id}`, token, 'POST', {
        decision: 'approve',
        reason: 'me',
      })
      expect(answer.status).toBe(401)
    }
    expect(await requested(given.attempts(given.access))).toBe(id)
  })

  test('the same person under another role is the same person', async () => {
    const both = await startApprovals(idp, {
      config: {
        admins: [
          { user: 'corp:bob', roles: ['security', 'policy_admin'] },
          { group: 'agents-team', roles: ['approver'] },
          { user: 'corp:bob', roles: ['approver'] },
        ],
      },
    })
    const work = await atWork(both)
    const asked = await requested(work.attempts(work.access))
    for (const roles of [['approver'], ['security', 'policy_admin', 'approver']] as const) {
      expect((await decide(both, asked, 'corp:bob', undefined, roles)).body.error_reason).toBe('approval_same_person')
    }
    await both.close()
  })

  test('an owner that is a group has members, and one that is only a name has nobody who could be somebody else', async () => {
    for (const [owner, name, reason] of [
      ['group:agents-team', 'corp:frank', 'approval_same_person'],
      ['the agents team', 'corp:carol', 'approval_person_unknown'],
    ] as const) {
      const own = await startApprovals(idp, { owner })
      const work = await atWork(own)
      const asked = await requested(work.attempts(work.access))
      expect((await decide(own, asked, name)).body.error_reason).toBe(reason)
      if (owner.startsWith('group:')) expect((await decide(own, asked, 'corp:carol')).status).toBe(200)
      // A no needs nobody else.
      const no = await decide(own, asked, name, { decision: 'deny', reason: 'no' })
      expect(no.status).toBe(owner.startsWith('group:') ? 409 : 200)
      await own.close()
    }
  })

  test('the owner of an agent that passed the work on gives none for the one that does it', async () => {
    const access = await passedOn(world, given.session)
    const theirs = await requested(given.attempts(access))
    expect(theirs).not.toBe(id)
    // Bob answers for the orchestrator above it, Dave for the researcher that does it.
    for (const name of ['corp:bob', 'corp:dave']) {
      expect((await decide(world, theirs, name)).body.error_reason).toBe('approval_same_person')
    }
    expect((await decide(world, theirs, 'corp:carol')).status).toBe(200)
    // Another hop’s approval: the same call from above it needs its own.
    expect(await requested(given.attempts(given.access))).toBe(id)
    expect(await given.attempts(access)).toMatchObject({ decision: true })
  })
})

/** What the researcher holds of the orchestrator's session. */
async function passedOn(world: World, session: string): Promise<string> {
  const authorization_details = details(
    { type: 'agent_intent', purpose: 'Drop them' },
    tools(WAREHOUSE, { drop_table: {} }),
  )
  const { token: delegation } = await granted(world.delegate(session, { authorization_details }))
  const { token: sub } = await granted(world.accept(delegation))
  return (await granted(world.continue(sub, {}, 'researcher'))).token
}

describe('a yes to one call, used for another', () => {
  let world: World
  let given: Awaited<ReturnType<typeof atWork>>
  beforeAll(async () => {
    world = await startApprovals(idp)
  })
  // An hour has room for twenty requests.
  beforeEach(() => world.advance(601))
  afterAll(() => world.close())

  const raw = async (token: string, args: string) => {
    const body = JSON.stringify(callOf(token, '@', newAttempt())).replace('"@"', args)
    const headers = { Authorization: `Bearer ${given.asking}`, 'Content-Type': 'application/json' }
    return world.request(EVALUATION, { method: 'POST', headers, body })
  }

  test.each([
    ['a value', '{"table":"costs_2019"}', '{"table":"costs_2020"}'],
    ['another type', '{"table":"1"}', '{"table":1}'],
    ['an argument more', '{"table":"a"}', '{"table":"a","cascade":true}'],
    ['an argument less', '{"table":"a","dry_run":true}', '{"table":"a"}'],
    ['null for nothing', '{"table":"a","only":null}', '{"table":"a"}'],
    ['another order of a list', '{"table":["a","b"]}', '{"table":["b","a"]}'],
    ['a letter that looks the same', '{"table":"costs_a"}', '{"table":"costs_\\u0430"}'],
    ['another form of the same letter', '{"table":"\\u00e9"}', '{"table":"e\\u0301"}'],
    ['a character that nobody sees', '{"table":"a"}', '{"table":"a\\u200b"}'],
    ['a name that differs in case', '{"table":"a"}', '{"Table":"a"}'],
    ['the least difference of a number', '{"table":"a","n":0.1}', '{"table":"a","n":0.10000000000000002}'],
    ['a name that is another when joined', '{"a":"b","c":"d"}', '{"a\\",\\"c":"d","b":""}'],
  ])('%s: refused', async (_what, approved, used) => {
    given = await atWork(world)
    const { body } = await raw(given.access, approved)
    const { id } = body.context.access_request
    expect((await decide(world, id, 'corp:carol')).status).toBe(200)
    const other = await raw(given.access, used)
    expect(other.body).toMatchObject({ decision: false, context: { reason: 'approval_required' } })
    expect(other.body.context.access_request.id).not.toBe(id)
    expect((await raw(given.access, approved)).body.decision).toBe(true)
  })

  test.each([
    ['the order of the names', '{"table":"a","n":1}', '{ "n" : 1, "table" : "a" }'],
    ['1, 1.0 and 1e0', '{"table":"a","n":1}', '{"table":"a","n":1.0}'],
    ['1 and 10e-1', '{"table":"a","n":1}', '{"table":"a","n":10e-1}'],
    ['0 and -0', '{"table":"a","n":0}', '{"table":"a","n":-0}'],
    ['a character and its escape', '{"table":"a"}', '{"table":"\\u0061"}'],
  ])('what is one value to every reader is one call: %s', async (_what, approved, used) => {
    given = await atWork(world)
    const { id } = (await raw(given.access, approved)).body.context.access_request
    await decide(world, id, 'corp:carol')
    expect((await raw(given.access, used)).body.decision).toBe(true)
  })

  test.each([
    ['a name twice', '{"table":"a","table":"b"}'],
    ['a name twice, once escaped', '{"table":"a","\\u0074able":"b"}'],
    ['a lone surrogate', '{"table":"\\ud800"}'],
    ['a lone surrogate as a name', '{"\\udc00":"a"}'],
    ['a number no double holds', '{"table":"a","n":9007199254740993}'],
    ['a number beyond all', '{"table":"a","n":1e400}'],
    ['a prototype', '{"__proto__":{"table":"a"}}'],
  ])('what two readers read differently is no request: %s', async (_what, args) => {
    given = await atWork(world)
    expect((await raw(given.access, args)).status).toBe(400)
  })

  test('another session, another agent, another tool: each needs its own', async () => {
    given = await atWork(world)
    const { attempts, put, access } = given
    const id = await requested(attempts(access))
    expect((await decide(world, id, 'corp:carol')).status).toBe(200)
    const other = await atWork(world)
    expect(await requested(other.attempts(other.access))).not.toBe(id)
    const search = { ...callOf(access, TABLE, newAttempt()), resource: { type: 'tool', id: 'query' } }
    expect((await put(search)).decision).toBe(false)
    expect(await attempts(access)).toMatchObject({ decision: true })
  })

  test('asked for by a category that the tool alone is of, it is for the tool, whatever is of that category tomorrow', async () => {
    const own = await atWork(world)
    const args = { table: 'by its category' }
    const asked = { action: { name: 'destructive' }, resource: { type: 'mcp_server', id: 'warehouse' } }
    const id = await requested(own.put({ ...callOf(own.access, args, newAttempt()), ...asked }))
    expect(await requested(own.attempts(own.access, args))).toBe(id)
    const { body } = await world.bearer(`/admin/v1/approvals/${id}`, await adminToken(world, 'corp:carol'))
    expect(body.tool).toBe('drop_table')
  })

  test('by hand: the id of an approval is no approval, and one of another session is not found', async () => {
    given = await atWork(world)
    const id = await requested(given.attempts(given.access))
    const other = await atWork(world)
    const forged = `apr_${other.sid.slice(4)}${id.slice(26)}`
    for (const wrong of [forged, 'apr_x', `${id}x`, encodeURIComponent('apr_../../x')]) {
      const { status, body } = await decide(world, wrong, 'corp:carol')
      expect([status, body.error_reason]).toEqual([404, 'not_found'])
    }
    const told = { ...callOf(given.access, TABLE, newAttempt()) }
    const context = { ...told.context, approval: id, access_request: { id, status: 'approved' } }
    expect((await given.put({ ...told, context })).decision).toBe(false)
  })

  test('orders that say more than a yes or a no are none', async () => {
    given = await atWork(world)
    const id = await requested(given.attempts(given.access))
    for (const body of [
      { decision: 'approve' },
      { decision: 'approve', reason: '' },
      { decision: 'approved', reason: 'x' },
      { decision: 'approve', reason: 'x', arguments: { table: 'other' } },
      { decision: 'approve', reason: 'x', valid_seconds: 86_400 },
    ]) {
      expect((await decide(world, id, 'corp:carol', body)).status).toBe(400)
    }
    expect(await requested(given.attempts(given.access))).toBe(id)
  })
})

describe('a yes that is used more than once', () => {
  let redis: RunningRedis
  let worlds: readonly [World, World]
  beforeAll(async () => {
    redis = await startRedis()
    const store = { kind: 'redis', url: new Secret(redis.url) } as const
    const one = await startApprovals(idp, { store, realClock: true })
    const keysDirectory = one.config.keys.directory
    worlds = [one, await startApprovals(idp, { store, realClock: true, keysDirectory })]
  })
  afterAll(async () => {
    for (const world of worlds) await world.close()
    await redis.stop()
  })

  test('by twenty attempts at two brokers at once: one is let through, and the rest ask for one more', async () => {
    const [first, second] = worlds
    const given = await atWork(first)
    const servers = [given, await warehouse(second)] as const
    for (let round = 0; round < 5; round += 1) {
      const args = { table: `race-${round}` }
      const asked = await Promise.all(
        Array.from({ length: 8 }, (_, at) => requested(servers[at % 2 === 0 ? 0 : 1].attempts(given.access, args))),
      )
      expect(new Set(asked).size).toBe(1)
      expect((await decide(second, asked[0] ?? '', 'corp:carol')).status).toBe(200)
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, at) => servers[at % 2 === 0 ? 0 : 1].attempts(given.access, args)),
      )
      const through = answers.filter(({ decision }) => decision)
      expect(through.length).toBe(1)
      const again = answers.filter(({ decision }) => !decision).map(({ context }) => context.access_request.id)
      expect(new Set(again).size).toBe(1)
      expect(again).not.toContain(asked[0])
    }
  })

  test('by a yes and a no at two brokers at once: one of them holds', async () => {
    const [first, second] = worlds
    const given = await atWork(first)
    for (let round = 0; round < 5; round += 1) {
      const args = { table: `words-${round}` }
      const id = await requested(given.attempts(given.access, args))
      const said = await Promise.all([
        decide(first, id, 'corp:carol'),
        decide(second, id, 'corp:dave', { decision: 'deny', reason: 'no' }),
      ])
      const statuses = said.map(({ status }) => status)
      expect(statuses.toSorted()).toEqual([200, 409])
      const { decision } = await given.attempts(given.access, args)
      expect(decision).toBe(statuses[0] === 200)
    }
  })

  test('what was approved before a revoke is not approved after it, though the same is granted again', async () => {
    const [world] = worlds
    const given = await atWork(world)
    const id = await requested(given.attempts(given.access))
    expect((await decide(world, id, 'corp:carol')).status).toBe(200)
    await order(world, '/revocations', { dimension: 'session_access', session: given.sid })
    expect(await requested(given.attempts(await given.fresh()))).not.toBe(id)
  })

  test('what was approved before everything was cut off, as a store that lost writes does it, ends with its session', async () => {
    const [world] = worlds
    const given = await atWork(world)
    const id = await requested(given.attempts(given.access))
    const waiting = await requested(given.attempts(given.access, { table: 'waiting' }))
    expect((await decide(world, id, 'corp:carol')).status).toBe(200)
    await order(world, '/revocations', { dimension: 'everything' })
    expect((await world.continue(given.session)).status).toBe(401)
    // Whoever had signed in before has to sign in again, too.
    expect((await decide(world, waiting, 'corp:dave')).status).toBe(401)
  })
})

test('what was approved before the store began anew is not approved after it, though nothing was lost (DESIGN §7)', async () => {
  const dir = scratchDirectory('errand-epoch-')
  const args = ['--appendonly', 'yes', '--appendfsync', 'always']
  const redis = await startRedis({ dir, port: await freePort(), args })
  const store = { kind: 'redis', url: new Secret(redis.url) } as const
  const world = await startApprovals(idp, { store, realClock: true })
  const given = await atWork(world)
  const id = await requested(given.attempts(given.access))
  expect((await decide(world, id, 'corp:carol')).status).toBe(200)
  await redis.kill()
  const again = await redis.again()
  const { token } = await vi.waitUntil(
    async () => {
      const { status, body } = await world.continue(given.session)
      return status === 200 ? { token: String(body.access_token) } : false
    },
    { timeout: PATIENCE_MS, interval: 100 },
  )
  await vi.waitUntil(async () => (await given.questions(token)).context.access_request?.status !== 'approved', {
    timeout: PATIENCE_MS,
    interval: 100,
  })
  const fresh = await requested(given.attempts(token))
  expect(fresh).not.toBe(id)
  expect((await decide(world, fresh, 'corp:carol')).status).toBe(200)
  expect(await given.attempts(token)).toMatchObject({ decision: true })
  await world.close()
  await again.stop()
})

describe('asking until somebody stops reading', () => {
  let world: World
  beforeAll(async () => {
    world = await startApprovals(idp)
  })
  afterAll(() => world.close())

  test('an agent asks for twenty approvals of one user in an hour, by however many sessions, and no more', async () => {
    let asked = 0
    for (let at = 0; at < 4; at += 1) {
      const given = await atWork(world)
      for (let call = 0; call < 7; call += 1) {
        const { context } = await given.attempts(given.access, { table: `flood-${at}-${call}` })
        if (context.reason === 'approval_required') asked += 1
        else expect(context.reason).toBe('approvals_exceeded')
      }
    }
    expect(asked).toBe(20)
    const { body } = await world.bearer('/admin/v1/approvals', await adminToken(world, 'corp:carol'))
    expect(body.approvals.length).toBe(20)
    const [refusal] = (await world.audit(50)).filter(({ reason }) => reason === 'approvals_exceeded')
    expect(refusal).toMatchObject({ event: expect.any(String), outcome: 'refused' })
  })

  test('nor by passing the work on', async () => {
    const given = await atWork(world)
    const { context } = await given.attempts(await passedOn(world, given.session), { table: 'flood-below' })
    expect(context.reason).toBe('approvals_exceeded')
  })

  test('others are still heard: another user’s agent, and what already waits', async () => {
    const other = await atWork(world, 'gina')
    await requested(other.attempts(other.access))
    await world.advance(3601)
    const later = await atWork(world)
    await requested(later.attempts(later.access, { table: 'an hour later' }))
  })

  test('what was denied is not asked for again by passing it on, nor by whoever passed it on', async () => {
    await world.advance(3601)
    const no = { decision: 'deny', reason: 'not that one' }
    const given = await atWork(world)
    const below = await passedOn(world, given.session)
    const [own, theirs] = [{ table: 'denied above' }, { table: 'denied below' }]
    await decide(world, await requested(given.attempts(given.access, own)), 'corp:carol', no)
    await decide(world, await requested(given.attempts(below, theirs)), 'corp:carol', no)
    for (const [token, args] of [
      [below, own],
      [given.access, theirs],
    ] as const) {
      expect(await given.attempts(token, args)).toMatchObject({ context: { reason: 'approval_denied' } })
    }
  })
})
