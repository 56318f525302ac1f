/** An approver resolves a challenge: the minimal grant, until a time, by one person or by two (R152). */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { operatorPrincipal, userPrincipal } from '../../src/kernel/ids.ts'
import { Secret } from '../../src/kernel/secret.ts'
import { ADMIN_ROLES, type AdminEntry, type AdminRole } from '../../src/model/admin-role.ts'
import { Minter } from '../../src/tokens/minter.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
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
const recordsOf = async (world: World, id: string) =>
  (await world.broker.store.audit.find(id)).map((text) => JSON.parse(text))
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
    const changes = await recordsOf(world, record.id)
    expect(changes.map(({ outcome }) => outcome)).toEqual(['unfinished', 'granted'])
    expect(record.change).toEqual({ object: `grants/${challenge}`, after: expect.any(String) })
    const [written] = JSON.parse((await world.broker.store.audit.content(record.change.after, record.id)) ?? '[]')
    expect(written).toMatchObject({ id: challenge, constraints: { table: { const: 'costs' } } })
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

  test('an order cannot be told what to grant, nor for whom', async () => {
    const wider = { reason: 'x', grants: [{ resources: [{ server: '*' }] }], constraints: {}, tools: ['query'] }
    const { body } = await post(world, `${challenge}/resolve`, 'carol', wider)
    expect(body.error_reason).toBe('body_malformed')
    const registry = world.broker.publisher.published.registry
    expect(registry.grants.filter(({ id }) => id.startsWith('chl_'))).toMatchObject([
      { id: challenge, principals: [{ user: 'corp:bob' }], resources: [{ server: 'warehouse', tool: 'query' }] },
    ])
  })

  test('ends by itself, and can be granted anew', async () => {
    await world.advance(3601)
    const bearer = await tokenOf(world, 'viewer')
    const { body: explained } = await world.bearer(
      `/admin/v1/decisions/${refused.body.decision_id}/explanation`,
      bearer,
    )
    expect(explained.change.allowed_now).toBe(false)
    const listed = (await world.bearer('/admin/v1/challenges', bearer)).body.challenges
    expect(listed).toContainEqual(expect.objectContaining({ challenge, state: 'open' }))
    // More, asked for in the meantime, is another matter: nothing can be slipped under an approval.
    expect((await ask(world, [INTENT[0], { ...READ[1], tools: { query: {} } }])).body.error_reason).toBe(
      'nothing_granted',
    )
    const { body } = await post(world, `${challenge}/resolve`, 'carol', { reason: 'once more' })
    expect(body).toMatchObject({ state: 'resolved', grants: [challenge] })
    expect((await ask(world)).status).toBe(200)
    expect((await ask(world, [INTENT[0], { ...READ[1], tools: { list_tables: {} } }])).status).toBe(400)
    const [grant] = world.broker.publisher.published.registry.grants.filter(({ id }) => id === challenge)
    expect(grant && [...grant.constraints.keys()]).toEqual(['table'])
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

describe.each(['embedded', 'redis'] as const)('on the %s store', (kind) => {
  let world: World
  let redis: RunningRedis | undefined
  let challenge: string
  beforeAll(async () => {
    redis = kind === 'redis' ? await startRedis() : undefined
    const store = redis && ({ kind: 'redis', url: new Secret(redis.url) } as const)
    world = await startWorld({ registry: { grants: GRANTS }, realClock: true, ...(store && { store }) })
    await ask(world)
    challenge = await challengeOf(world, 'query')
  })
  afterAll(async () => {
    await world.close()
    await redis?.stop()
  })

  test('what cannot be recorded is not granted, whichever record it is', async () => {
    const version = world.broker.publisher.published.registry.version
    const append = vi.spyOn(world.broker.store.audit, 'append').mockRejectedValue(new Error('full'))
    const answer = await post(world, `${challenge}/resolve`, 'carol', { reason: 'quarter end' })
    append.mockRestore()
    expect([answer.status, answer.body.error_reason]).toEqual([503, 'audit_unavailable'])
    expect(world.broker.publisher.published.registry.version).toBe(version)
    expect((await ask(world)).body.error_reason).toBe('nothing_granted')
  })

  test('of approvers who resolve it at once, all get the one grant that there is', async () => {
    const names = ['carol', 'dave', 'erin', 'frank']
    const answers = await Promise.all(
      names.map((name, n) =>
        post(world, `${challenge}/resolve`, name, { reason: name, expires_in_seconds: 600 + n * 60 }),
      ),
    )
    const [first] = answers
    expect(first?.body).toMatchObject({ state: 'resolved', grants: [challenge] })
    for (const { status, body } of answers) expect([status, body]).toEqual([200, first?.body])
    const { grants } = world.broker.publisher.published.registry
    expect(grants.filter(({ id }) => id.startsWith('chl_'))).toHaveLength(1)
    const changes = (await world.audit(100)).filter(({ event }) => event === 'challenge.resolve')
    const ended = changes.filter(({ outcome }) => outcome === 'granted')
    expect(ended.filter(({ change }) => change !== undefined && change.before === undefined)).toHaveLength(1)
  })
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

  test('a confirmation that could not be published, or recorded, does not use the proposal up', async () => {
    const resolve = () => post(world, `${challenge}/resolve`, 'erin', { reason: 'seen', expires_in_seconds: 600 })
    const { audit, control } = world.broker.store
    const append = vi.spyOn(audit, 'append').mockRejectedValue(new Error('full'))
    expect((await resolve()).body.error_reason).toBe('audit_unavailable')
    append.mockRestore()
    const write = vi.spyOn(control, 'writeAfter').mockResolvedValue(undefined)
    expect((await resolve()).body.error_reason).toBe('policy_contended')
    write.mockRestore()
    expect((await ask(world)).status).toBe(400)
    const again = await post(world, `${challenge}/resolve`, 'dave', { reason: 'mine' })
    expect(again.body.error_reason).toBe('challenge_same_person')
  })

  test('another confirms it, for the shorter of both times', async () => {
    const { body } = await post(world, `${challenge}/resolve`, 'carol', { reason: 'seen', expires_in_seconds: 600 })
    expect(body).toMatchObject({ state: 'resolved', grants: [challenge] })
    expect(Date.parse(body.expires_at)).toBe((world.now() + 600) * 1000)
    expect((await ask(world)).status).toBe(200)
  })

  test('one proposal is confirmed once: when the grant is over, two have to approve anew', async () => {
    await world.advance(601)
    const late = await post(world, `${challenge}/resolve`, 'erin', { reason: 'once more' })
    expect(late.body).toMatchObject({ state: 'proposed', by: 'operator:erin' })
    const [record] = (await world.audit(20)).filter(({ event }) => event === 'challenge.resolve')
    expect(record).toMatchObject({ outcome: 'granted', by: 'operator:erin' })
    expect(record.change.object).toBe(`challenges/${challenge}`)
    const [first, second] = await Promise.all(
      ['carol', 'dave'].map((name) => post(world, `${challenge}/resolve`, name, { reason: 'seen' })),
    )
    const { grants } = world.broker.publisher.published.registry
    expect(grants.filter(({ id }) => id.startsWith('chl_'))).toHaveLength(1)
    const states = [first, second].map((answer) => answer?.body.state ?? answer?.body.error_reason)
    expect(states).toContain('resolved')
  })
})
