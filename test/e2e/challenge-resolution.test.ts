/** An approver resolves a challenge: the minimal grant, until a time, by one person or by two (R152). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { operatorPrincipal, userPrincipal } from '../../src/kernel/ids.ts'
import { ADMIN_ROLES, type AdminEntry, type AdminRole } from '../../src/model/admin-role.ts'
import { Minter } from '../../src/tokens/minter.ts'
import { type Answer, INTENT, startWorld, WAREHOUSE, type World } from '../support/world.ts'

const READ = [INTENT[0], { type: 'mcp_tools', locations: [WAREHOUSE], tools: { query: { table: { const: 'costs' } } } }]
const GRANTS = [
  { id: 'alice-works', effect: 'allow', principals: [{ user: 'corp:alice' }], resources: [{ server: '*' }] },
  { id: 'no-inserts', effect: 'deny', principals: [{ group: 'finance' }], resources: [{ tool: 'insert_rows' }] },
]

/** @param name of an operator; `corp:…`: of a user who has signed in. */
async function tokenOf(world: World, name: string, roles: readonly AdminRole[] = ADMIN_ROLES): Promise<string> {
  const now = world.now()
  const minter = new Minter(world.broker.ring, world.config.settings)
  const who = name.startsWith('corp:')
    ? { operator: userPrincipal('corp', name.slice(5)), signIn: { at: now, digest: name } }
    : { operator: operatorPrincipal(name) }
  const { token } = await minter.management({ ...who, roles, now, expiresAt: now + 600 })
  return token.reveal()
}

const ask = (world: World, details: unknown = READ): Promise<Answer> =>
  world.open({ subject_token: world.idToken({ sub: 'bob' }), authorization_details: JSON.stringify(details) })
const post = async (world: World, path: string, name: string, body: unknown, roles?: readonly AdminRole[]) =>
  world.bearer(`/admin/v1/challenges/${path}`, await tokenOf(world, name, roles), 'POST', body)
async function challengeOf(world: World, tool: string): Promise<string> {
  const { body } = await world.bearer('/admin/v1/challenges', await tokenOf(world, 'viewer'))
  // biome-ignore lint/suspicious/noExplicitAny: answers of many shapes
  return body.challenges.find((one: any) => one.tools.some((named: any) => named.tool === tool)).challenge
}

describe('by one approver', () => {
  let world: World
  let refused: Answer
  let challenge: string
  beforeAll(async () => {
    world = await startWorld({ registry: { grants: GRANTS } })
    refused = await ask(world)
    expect(refused.body.error_reason).toBe('nothing_granted')
    challenge = await challengeOf(world, 'query')
  })
  afterAll(() => world.close())

  test('who may not approve may not resolve', async () => {
    const order = { reason: 'quarter end' }
    for (const role of ['viewer', 'policy_admin', 'security'] as const) {
      const { status, body } = await post(world, `${challenge}/resolve`, 'eve', order, [role])
      expect([role, status, body.error_reason]).toEqual([role, 403, 'admin_forbidden'])
    }
    expect((await ask(world)).status).toBe(400)
  })

  test('the same request is allowed from then on, and nothing that was not asked for', async () => {
    const { status, body } = await post(
      world,
      `${challenge}/resolve`,
      'carol',
      { reason: 'quarter end', expires_in_seconds: 3600 },
      ['approver'],
    )
    expect(status, JSON.stringify(body)).toBe(200)
    expect(body).toMatchObject({ state: 'resolved', grants: [challenge] })
    expect(Date.parse(body.expires_at)).toBe((world.now() + 3600) * 1000)
    expect((await ask(world)).status).toBe(200)
    const other = [
      INTENT[0],
      { type: 'mcp_tools', locations: [WAREHOUSE], tools: { query: { table: { const: 'revenue' } } } },
    ]
    expect((await ask(world, other)).body.error_reason).toBe('nothing_granted')
    const [record] = (await world.audit(20)).filter(({ event }) => event === 'challenge.resolve')
    expect(record).toMatchObject({ outcome: 'granted', by: 'operator:carol' })
    expect(record.detail).toContain(challenge)
  })

  test('resolving it again changes nothing, whoever does', async () => {
    const first = await post(world, `${challenge}/resolve`, 'carol', { reason: 'again' })
    const second = await post(world, `${challenge}/resolve`, 'dave', {
      reason: 'again',
      expires_in_seconds: 7 * 24 * 3600,
    })
    expect(second.body).toEqual(first.body)
    expect(second.body.grants).toEqual([challenge])
  })

  test('what was refused then is still explained and made again by the policy of then (R151)', async () => {
    const bearer = await tokenOf(world, 'viewer')
    const id = refused.body.decision_id
    expect((await world.bearer(`/admin/v1/decisions/${id}/replay`, bearer)).body).toMatchObject({
      same: true,
      outcome: 'deny',
    })
    const { body } = await world.bearer(`/admin/v1/decisions/${id}/explanation`, bearer)
    expect(body.sentence).toContain('no grant allows user:corp:bob')
    expect(body.policy.kept).toBe(true)
    expect(body.change).toMatchObject({ allowed_now: true })
  })

  test('ends by itself, and can be granted anew', async () => {
    await world.advance(3601)
    expect((await ask(world)).body.error_reason).toBe('nothing_granted')
    const { body } = await post(world, `${challenge}/resolve`, 'carol', { reason: 'once more' })
    expect(body).toMatchObject({ state: 'resolved', grants: [challenge] })
    expect((await ask(world)).status).toBe(200)
  })

  test('what no approver may grant is refused with what it would need', async () => {
    await ask(world, [INTENT[0], { type: 'mcp_tools', locations: [WAREHOUSE], tools: { insert_rows: {} } }])
    const denied = await challengeOf(world, 'insert_rows')
    const { status, body } = await post(world, `${denied}/resolve`, 'carol', { reason: 'please' })
    expect([status, body.error_reason]).toEqual([400, 'challenge_not_approvable'])
    expect(body.missing.join()).toContain('approvers grant nothing that a deny forbids')
  })

  test.each([
    {},
    { reason: ' ' },
    { reason: 'x', expires_in_seconds: 8 * 24 * 3600 },
    { reason: 'x', expires_in_seconds: 0 },
    { reason: 'x', grant: {} },
  ])('an order without a reason, or for too long, is none: %j', async (order) => {
    expect((await post(world, `${challenge}/resolve`, 'carol', order)).body.error_reason).toBe('body_malformed')
  })
})

test('the manifest of an agent is not an approver’s to change', async () => {
  const world = await startWorld()
  try {
    const { session } = await world.opened()
    const delegation = (await world.delegate(session)).body.access_token
    expect((await world.accept(delegation)).status).toBe(200)
    const details = [INTENT[0], { type: 'mcp_tools', locations: [WAREHOUSE], tools: { insert_rows: {} } }]
    const token = world.idToken({ sub: 'alice', aud: 'researcher-at-idp' })
    const { body } = await world.exchange('researcher', {
      subject_token: token,
      subject_token_type: 'urn:ietf:params:oauth:token-type:id_token',
      requested_token_type: 'urn:errand:token-type:session',
      authorization_details: JSON.stringify(details),
    })
    expect(body.error_reason).toBe('nothing_granted')
    const refused = await post(world, `${await challengeOf(world, 'insert_rows')}/resolve`, 'carol', {
      reason: 'please',
    })
    expect(refused.body.missing.join()).toContain('approvers cannot change manifests')
  } finally {
    await world.close()
  }
})

const admins: AdminEntry[] = ['alice', 'bob'].map((sub) => ({ user: `corp:${sub}`, roles: ['approver'] }))

test('nobody approves what is for themselves', async () => {
  const world = await startWorld({ registry: { grants: GRANTS }, config: { admins } })
  try {
    await ask(world)
    const path = `${await challengeOf(world, 'query')}/resolve`
    const own = await post(world, path, 'corp:bob', { reason: 'I need it' })
    expect([own.status, own.body.error_reason]).toEqual([403, 'challenge_same_person'])
    expect((await ask(world)).status).toBe(400)
    expect((await post(world, path, 'corp:alice', { reason: 'he needs it' })).body.state).toBe('resolved')
  } finally {
    await world.close()
  }
})

describe('by two', () => {
  let world: World
  let challenge: string
  beforeAll(async () => {
    world = await startWorld({ registry: { grants: GRANTS }, config: { secondPerson: true } })
    await ask(world)
    challenge = await challengeOf(world, 'query')
  })
  afterAll(() => world.close())

  test('the first approval is a proposal, which the same person cannot confirm, and which expires', async () => {
    const first = await post(world, `${challenge}/resolve`, 'carol', { reason: 'quarter end' })
    expect(first.body).toMatchObject({ state: 'proposed', by: 'operator:carol' })
    expect((await ask(world)).status).toBe(400)
    const again = await post(world, `${challenge}/resolve`, 'carol', { reason: 'quarter end' })
    expect([again.status, again.body.error_reason]).toEqual([403, 'challenge_same_person'])
    for (const hours of [12, 13]) await world.advance(hours * 3600)
    const late = await post(world, `${challenge}/resolve`, 'dave', { reason: 'mine' })
    expect(late.body).toMatchObject({ state: 'proposed', by: 'operator:dave' })
    expect((await ask(world)).status).toBe(400)
  })

  test('what whoever approves no more has proposed counts no more', async () => {
    const own = await startWorld({
      issuer: world.idp,
      registry: { grants: GRANTS },
      config: { secondPerson: true, admins },
    })
    try {
      await ask(own)
      const id = await challengeOf(own, 'query')
      const resolve = async (name: string) => (await post(own, `${id}/resolve`, name, { reason: 'quarter end' })).body
      expect(await resolve('corp:alice')).toMatchObject({ state: 'proposed', by: 'user:corp:alice' })
      const [alice] = admins.splice(0, 1)
      expect(await resolve('carol')).toMatchObject({ state: 'proposed', by: 'operator:carol' })
      admins.push(alice as AdminEntry)
      expect(await resolve('corp:alice')).toMatchObject({ state: 'resolved' })
    } finally {
      await own.close()
    }
  })

  test('another confirms it, for the shorter of both times', async () => {
    const { body } = await post(world, `${challenge}/resolve`, 'carol', { reason: 'seen', expires_in_seconds: 600 })
    expect(body).toMatchObject({ state: 'resolved', grants: [challenge] })
    expect(Date.parse(body.expires_at)).toBe((world.now() + 600) * 1000)
    expect((await ask(world)).status).toBe(200)
  })
})
