/** The registry over the admin API: what is written there, who may, what is refused, and that it takes effect at once. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { operatorPrincipal } from '../../src/kernel/ids.ts'
import type { AdminRole } from '../../src/model/admin-role.ts'
import { Minter } from '../../src/tokens/minter.ts'
import { managementToken, openAccess } from '../support/hops.ts'
import { publicJwk, testKey } from '../support/keys.ts'
import { expectRefused, type Refusal } from '../support/refusal.ts'
import { type Answer, registryDocument, startWorld, WAREHOUSE, type World } from '../support/world.ts'

let world: World
let token: string
beforeAll(async () => {
  world = await startWorld()
  token = await managementToken(world)
})
afterAll(() => world.close())

interface Sent {
  readonly at?: World
  readonly as?: string
  readonly match?: string | undefined
}

function ask(method: string, path: string, body?: unknown, { at = world, as = token, match }: Sent = {}) {
  return at.request(`/admin/v1${path}`, {
    method,
    headers: {
      authorization: `Bearer ${as}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(match === undefined ? {} : { 'if-match': match }),
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
}

async function tokenOf(...roles: readonly AdminRole[]): Promise<string> {
  const now = world.now()
  const minter = new Minter(world.broker.ring, world.config.settings)
  return (
    await minter.management({ operator: operatorPrincipal('ops'), roles, now, expiresAt: now + 600 })
  ).token.reveal()
}

const robot = (change: object = {}) => ({
  client_id: 'robot',
  owner: 'user:corp:alice',
  environment: 'development',
  keys: [{ ...publicJwk(testKey('robot-key')), version: '1' }],
  grant_types: ['token-exchange', 'client_credentials'],
  api_scopes: ['sessions', 'revocations'],
  manifest: [{ server: 'warehouse' }],
  upstream: { corp: 'robot-at-idp' },
  ...change,
})
const match = ({ body, headers }: Answer) => headers.get('etag') ?? `"${body.object?.version}"`
const badRequest = (reason: Refusal['reason']): Refusal => ({ status: 400, error: 'invalid_request', reason })

const robotOpens = (tools: object) =>
  world.exchange('robot', {
    subject_token: world.idToken({ aud: 'robot-at-idp' }),
    subject_token_type: 'urn:ietf:params:oauth:token-type:id_token',
    requested_token_type: 'urn:errand:token-type:session',
    authorization_details: JSON.stringify([
      { type: 'agent_intent', purpose: 'count', origin: { type: 'user_request', ref: 'm' }, expires_in: 600 },
      { type: 'mcp_tools', locations: [WAREHOUSE], tools },
    ]),
  })

test('R018 the moment it is created an agent has what its entry says, and nothing beside it', async () => {
  const only = robot({ manifest: [{ server: 'warehouse', tool: 'query' }] })
  expect((await ask('PUT', '/agents/robot', only)).status).toBe(201)
  expect((await robotOpens({ query: {} })).status).toBe(200)
  const refusal = { status: 400, error: 'invalid_scope', reason: 'nothing_granted' } as const
  const { record } = await expectRefused(world, () => robotOpens({ list_tables: {} }), refusal)
  expect(JSON.stringify(record.missing)).toContain('list_tables')
  expect((await ask('DELETE', '/agents/robot', undefined, { match: '*' })).status).toBe(200)
  await world.advance(120)
})

test('an agent is written, works at once, is replaced by its version, suspended, taken up again and retired for good', async () => {
  const created = await ask('PUT', '/agents/robot', robot())
  expect([created.status, created.body.object.source, created.body.object.state]).toEqual([201, 'api', 'active'])
  const opened = () => robotOpens({ query: {} })
  const session = await opened()
  expect(session.status, JSON.stringify(session.body)).toBe(200)
  const access = await world.continue(session.body.access_token, {}, 'robot')
  expect((await world.introspect(access.body.access_token)).body.active).toBe(true)

  const suspended = await ask('POST', '/agents/robot/state', { state: 'suspended' })
  expect([suspended.status, suspended.body.object.state]).toEqual([200, 'suspended'])
  expect(suspended.body.cut_off.length).toBeGreaterThan(0)
  expect((await world.introspect(access.body.access_token)).body).toEqual({ active: false })
  expect((await opened()).status).not.toBe(200)
  expect((await ask('POST', '/agents/robot/state', { state: 'active' })).status).toBe(200)
  expect((await world.introspect(access.body.access_token)).body).toEqual({ active: false })
  // Whoever is cut off comes back with a newer sign-in alone.
  await world.advance(120)
  expect((await opened()).status).toBe(200)

  const retired = await ask('POST', '/agents/robot/state', { state: 'retired' })
  expect(retired.body.object.state).toBe('retired')
  expect((await opened()).status).not.toBe(200)
  const back = () => ask('POST', '/agents/robot/state', { state: 'active' })
  await expectRefused(world, back, { status: 409, error: 'invalid_request', reason: 'transition_illegal' })
  expect((await ask('GET', '/agents/robot')).body.entry.state).toBe('retired')
})

describe('no step of a life is skipped, however it is asked for', () => {
  const key = (name: string) => ({ keys: [{ ...publicJwk(testKey(`${name}-key`)), version: '1' }] })
  const entries: Readonly<Record<string, (state: string) => object>> = {
    'services/gate': (state) => ({ client_id: 'gate', state, ...key('gate') }),
    'agents/slow': (state) => robot({ client_id: 'slow', upstream: {}, state, ...key('slow') }),
    'resources/shed': (state) => ({ id: 'shed', url: 'https://shed.example/mcp', owner: 'team', tools: {}, state }),
  }
  const WAYS = ['put', 'move', 'import'] as const

  test.each(
    Object.keys(entries).flatMap((path) => WAYS.map((way) => [path, way] as const)),
  )('%s, by %s', async (path, way) => {
    const own = await startWorld({ issuer: world.idp })
    try {
      const as = await managementToken(own)
      const entry = (state: string) => entries[path]?.(state)
      const section = path.split('/')[0] ?? ''
      const take = (state: string) => {
        if (way === 'put') return ask('PUT', `/${path}`, entry(state), { at: own, as, match: '*' })
        if (way === 'move') return ask('POST', `/${path}/state`, { state }, { at: own, as })
        return ask('POST', '/registry', { document: { [section]: [entry(state)] } }, { at: own, as })
      }
      const created = await ask('PUT', `/${path}`, entry('draft'), { at: own, as })
      expect(created.status, JSON.stringify(created.body)).toBe(201)
      const steps = [
        ['active', false],
        ['testing', true],
        ['suspended', false],
        ['active', true],
        ['draft', false],
        ['retired', true],
        ['active', false],
      ] as const
      let now = 'draft'
      for (const [state, legal] of steps) {
        expect([state, (await take(state)).status < 300]).toEqual([state, legal])
        if (legal) now = state
        expect((await ask('GET', `/${path}`, undefined, { at: own, as })).body.state).toBe(now)
      }
    } finally {
      await own.close()
    }
  })
})

test('R192 what goes into service is what was tested: with more it is refused, and named; a preview says what a policy gives more', async () => {
  const tester = (state: string, ...tools: string[]) =>
    robot({ client_id: 'tester', upstream: {}, state, manifest: tools.map((tool) => ({ server: 'warehouse', tool })) })
  expect((await ask('PUT', '/agents/tester', tester('testing', 'query'))).status).toBe(201)
  const more = () => ask('PUT', '/agents/tester', tester('active', 'query', 'list_tables'), { match: '*' })
  const { answer } = await expectRefused(world, more, badRequest('policy_invalid'))
  expect(answer.body.missing).toEqual([
    'agent tester: it may not go into service with more than was tested: list_tables at warehouse',
  ])
  const { document } = (await ask('GET', '/registry?source=api')).body
  const agents = [...document.agents.slice(0, -1), tester('testing', 'query', 'list_tables')]
  const preview = await ask('POST', '/registry', { document: { ...document, agents }, dry_run: true })
  expect(preview.body.widened).toEqual(['agent tester: list_tables at warehouse'])
  expect((await ask('POST', '/agents/tester/state', { state: 'active' })).status).toBe(200)
  expect((await ask('DELETE', '/agents/tester', undefined, { match: '*' })).status).toBe(200)
})

describe('lost updates', () => {
  test('whoever replaces must name the version they have seen; of two who have seen the same, one wins', async () => {
    const created = await ask('PUT', '/agents/racer', robot({ client_id: 'racer', upstream: {} }))
    const put = (owner: string, seen?: string) =>
      ask('PUT', '/agents/racer', robot({ client_id: 'racer', upstream: {}, owner }), { match: seen })
    await expectRefused(world, () => put('team-a'), {
      status: 428,
      error: 'invalid_request',
      reason: 'precondition_missing',
    })
    const answers = await Promise.all([put('team-a', match(created)), put('team-b', match(created))])
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 412])
    const now = await ask('GET', '/agents/racer')
    const winner = answers.find(({ status }) => status === 200)
    expect(now.body).toEqual(winner?.body.object)
    await expectRefused(world, () => put('team-c', match(created)), {
      status: 412,
      error: 'invalid_request',
      reason: 'object_changed',
    })
    expect((await put('team-d', match(now))).status).toBe(200)
    expect((await put('team-e', '*')).status).toBe(200)
  })

  test('what is not there cannot be replaced, nor removed', async () => {
    const seen = match(await ask('GET', '/agents/researcher'))
    const gone = { status: 412, error: 'invalid_request', reason: 'object_changed' } as const
    await expectRefused(world, () => ask('PUT', '/agents/ghost', robot({ client_id: 'ghost' }), { match: seen }), gone)
    await expectRefused(world, () => ask('DELETE', '/agents/ghost', undefined, { match: '*' }), gone)
    const state = () => ask('POST', '/agents/ghost/state', { state: 'retired' })
    await expectRefused(world, state, gone)
    expect((await ask('GET', '/agents/ghost')).status).toBe(404)
  })

  test('removed, it is gone, and the same name begins anew', async () => {
    const created = await ask('PUT', '/grants/brief', brief())
    expect(created.status).toBe(201)
    expect((await ask('DELETE', '/grants/brief', undefined, { match: match(created) })).status).toBe(200)
    expect((await ask('GET', '/grants/brief')).status).toBe(404)
    expect((await ask('PUT', '/grants/brief', brief())).status).toBe(201)
    expect((await ask('DELETE', '/grants/brief', undefined, { match: '*' })).status).toBe(200)
  })
})

const brief = (change: object = {}) => ({
  id: 'brief',
  effect: 'allow',
  principals: [{ user: 'corp:bob' }],
  resources: [{ server: 'wiki', tool: 'search' }],
  reason: 'for the test',
  ...change,
})

test('a grant given over the API gives, and taken away takes away', async () => {
  const bob = () =>
    openAccess(world, {
      subject_token: world.idToken({ sub: 'alice' }),
      resource: 'https://warehouse.example/mcp',
    })
  const before = await bob()
  expect(before.status, JSON.stringify(before.body)).toBe(200)
  const denied = await ask('PUT', '/grants/no-queries', {
    ...brief({ id: 'no-queries', effect: 'deny', principals: [{ user: 'corp:alice' }] }),
    resources: [{ server: 'warehouse', tool: 'query' }],
  })
  expect(denied.status, JSON.stringify(denied.body)).toBe(201)
  expect((await world.introspect(before.body.access_token)).body).toEqual({ active: false })
  await ask('DELETE', '/grants/no-queries', undefined, { match: '*' })
  expect((await bob()).status).toBe(200)
})

test('R097 a role with two grants is given to somebody and taken away, and with it what it gives', async () => {
  expect((await ask('PUT', '/users/corp:erin', { issuer: 'corp', sub: 'erin' })).status).toBe(201)
  const resources = [[{ server: 'warehouse', tool: 'query' }], [{ server: 'warehouse', tool: 'list_tables' }]]
  for (const [n, selected] of resources.entries()) {
    const grant = brief({ id: `helping-${n}`, principals: [{ role: 'helper' }], resources: selected })
    expect((await ask('PUT', `/grants/helping-${n}`, grant)).status).toBe(201)
  }
  const reachable = async () => {
    const { body } = await ask('GET', '/agents/researcher/reach?user=user:corp:erin')
    const [warehouse]: readonly { readonly tools: readonly { readonly tool: string }[] }[] = body.servers
    return warehouse?.tools.map(({ tool }) => tool).sort()
  }
  const role = (users: readonly string[]) =>
    ask('PUT', '/roles/helper', { name: 'helper', groups: ['nobody'], users }, { match: '*' })
  expect(await reachable()).toEqual([])
  expect((await ask('PUT', '/roles/helper', { name: 'helper', groups: ['nobody'], users: ['corp:erin'] })).status).toBe(
    201,
  )
  expect(await reachable()).toEqual(['list_tables', 'query'])
  const erin = { subject_token: world.idToken({ sub: 'erin' }), resource: 'https://warehouse.example/mcp' }
  const { body } = await openAccess(world, erin)
  expect((await world.introspect(body.access_token)).body.active).toBe(true)
  expect((await role([])).status).toBe(200)
  expect(await reachable()).toEqual([])
  expect((await world.introspect(body.access_token)).body).toEqual({ active: false })
  for (const path of ['/roles/helper', '/grants/helping-0', '/grants/helping-1', '/users/corp:erin']) {
    expect((await ask('DELETE', path, undefined, { match: '*' })).status).toBe(200)
  }
})

test('R079 what a grant gives for a time ends with that time, to the second', async () => {
  const access = () =>
    openAccess(world, { subject_token: world.idToken({ sub: 'alice' }), resource: 'https://warehouse.example/mcp' })
  const ends = world.now() + 90
  const release = brief({
    id: 'release',
    principals: [{ user: 'corp:alice' }],
    resources: [{ server: 'warehouse', tool: 'query' }],
    when: { not_after: new Date(ends * 1000).toISOString() },
  })
  expect((await ask('PUT', '/grants/release', release)).status).toBe(201)
  const { body } = await access()
  expect((await world.introspect(body.access_token)).body).toMatchObject({ active: true, exp: ends })
  await world.advance(ends - world.now())
  expect((await world.introspect(body.access_token)).body).toEqual({ active: false })
  const { body: later } = await access()
  expect((await world.introspect(later.access_token)).body.exp).toBeGreaterThan(world.now() + 90)
  expect((await ask('DELETE', '/grants/release', undefined, { match: '*' })).status).toBe(200)
})

describe('what a file says is changed in the file', () => {
  test.each([
    ['PUT', '/agents/researcher', robot({ client_id: 'researcher' })],
    ['DELETE', '/agents/researcher', undefined],
    ['POST', '/agents/researcher/state', { state: 'suspended' }],
    ['PUT', '/users/corp:alice', { issuer: 'corp', sub: 'alice' }],
  ])('%s %s', async (method, path, body) => {
    const readOnly: Refusal = { status: 409, error: 'invalid_request', reason: 'object_read_only' }
    await expectRefused(world, () => ask(method, path, body, { match: '*' }), readOnly)
    expect((await ask('GET', path.replace('/state', ''))).body.source).toMatch(/^file /)
  })
})

describe('refused, and nothing changed', () => {
  const version = async () => (await ask('GET', '/policy')).body.version

  test.each<readonly [string, string, unknown, Refusal]>([
    ['an unknown member', '/agents/bad', robot({ client_id: 'bad', admin: true }), badRequest('policy_invalid')],
    ['no owner', '/agents/bad', robot({ client_id: 'bad', owner: undefined }), badRequest('policy_invalid')],
    [
      'a name that leads nowhere',
      '/grants/bad',
      brief({ id: 'bad', resources: [{ server: 'nowhere' }] }),
      badRequest('policy_invalid'),
    ],
    [
      'a grant whose time is over',
      '/grants/bad',
      brief({ id: 'bad', when: { not_after: '2020-01-31T00:00:00Z' } }),
      badRequest('policy_invalid'),
    ],
    ...[{ group: 'finanec' }, { role: 'analist' }].map((nobody): readonly [string, string, unknown, Refusal] => [
      `a deny that denies nobody anything, ${Object.keys(nobody)}`,
      '/grants/bad',
      brief({ id: 'bad', effect: 'deny', principals: [{ user: 'corp:bob' }, nobody] }),
      badRequest('policy_invalid'),
    ]),
    [
      'a deny in an environment of nobody',
      '/grants/bad',
      brief({ id: 'bad', effect: 'deny', when: { environment: 'prodution' } }),
      badRequest('policy_invalid'),
    ],
    ['another name than the path', '/agents/bad', robot({ client_id: 'worse' }), badRequest('body_malformed')],
    ['no object', '/agents/bad', '[]', badRequest('body_malformed')],
    ['a member twice', '/grants/bad', '{"id":"bad","id":"bad"}', badRequest('body_malformed')],
    ['a prototype', '/grants/bad', '{"id":"bad","__proto__":{"effect":"allow"}}', badRequest('body_malformed')],
    ['deep nesting', '/grants/bad', `${'{"a":'.repeat(2_000)}1${'}'.repeat(2_000)}`, badRequest('body_malformed')],
    [
      'too much',
      '/grants/bad',
      `"${'x'.repeat(70_000)}"`,
      { status: 413, error: 'invalid_request', reason: 'body_too_large' },
    ],
    [
      'a file of the broker’s machine',
      '/trust_domains/evil.example',
      { name: 'evil.example', bundle_file: '/etc/shadow' },
      badRequest('policy_invalid'),
    ],
  ])('%s', async (_what, path, body, refusal) => {
    const before = await version()
    await expectRefused(world, () => ask('PUT', path, body), refusal)
    expect((await ask('GET', path)).status).toBe(404)
    expect(await version()).toBe(before)
  })

  test('of a grant that would do nothing, the place and why; an allow may be there before whom it is for', async () => {
    const nobody = { principals: [{ group: 'finanec' }] }
    const { body } = await ask('PUT', '/grants/bad', brief({ id: 'bad', effect: 'deny', ...nobody }))
    expect(body.missing).toEqual([
      'grants/bad.principals[0]: no listed user has the group finanec, and nobody else has any',
    ])
    expect((await ask('PUT', '/grants/early', brief({ id: 'early', ...nobody }))).status).toBe(201)
    const none = { effect: 'deny', resources: [{ server: 'wiki', category: 'admin' }] }
    expect((await ask('PUT', '/grants/early', brief({ id: 'early', ...none }), { match: '*' })).status).toBe(200)
    expect((await ask('DELETE', '/grants/early', undefined, { match: '*' })).status).toBe(200)
  })

  test('every problem is named by its place', async () => {
    const wrong = robot({ client_id: 'bad', owner: undefined, admin: true })
    const { body } = await ask('PUT', '/agents/bad', wrong)
    expect(body.missing.join('\n')).toMatch(/agents\[\d+\]\.owner: required/)
    expect(body.missing.join('\n')).toMatch(/agents\[\d+\]\.admin: unknown key/)
  })

  test.each(['"', 'abc', 'W/"abc"', '"a","b"', '""'])('If-Match: %s', async (text) => {
    const put = () => ask('PUT', '/grants/bad', brief({ id: 'bad' }), { match: text })
    await expectRefused(world, put, badRequest('parameter_malformed'))
  })

  test('nothing is written that cannot be recorded', async () => {
    const append = world.broker.store.audit.append
    const before = await version()
    world.broker.store.audit.append = () => Promise.reject(new Error('full'))
    const answer = await ask('PUT', '/grants/bad', brief({ id: 'bad' }))
    world.broker.store.audit.append = append
    expect([answer.status, answer.body.error_reason]).toEqual([503, 'audit_unavailable'])
    expect(await version()).toBe(before)
  })
})

describe('who may', () => {
  const alice = { issuer: 'corp', sub: 'zoe', groups: ['admins'] }

  test('whoever changes policy does not say who is who: not over the API, not by an import, not in a file', async () => {
    const as = await tokenOf('policy_admin')
    const forbidden: Refusal = { status: 403, error: 'insufficient_scope', reason: 'admin_forbidden' }
    await expectRefused(world, () => ask('PUT', '/users/corp:zoe', alice, { as }), forbidden)
    const document = { ...(await ask('GET', '/registry?source=api')).body.document, users: [alice] }
    await expectRefused(world, () => ask('POST', '/registry', { document }, { as }), forbidden)
    const files = [{ name: 'world.yaml', document: { ...registryDocument(world.idp), users: [alice] } }]
    await expectRefused(world, () => ask('POST', '/policy', { files }, { as }), forbidden)
    expect((await ask('PUT', '/users/corp:zoe', alice, { as: await tokenOf('security') })).status).toBe(201)
    expect((await ask('DELETE', '/users/corp:zoe', undefined, { match: '*' })).status).toBe(200)
  })
})

describe('lists', () => {
  test('come in pages, in the order of their names, and every object once', async () => {
    const all = (await ask('GET', '/agents')).body.objects.map(({ id }: { id: string }) => id)
    expect(all).toEqual([...all].sort())
    const paged: string[] = []
    for (let after: string | undefined = ''; after !== undefined; ) {
      const { body }: Answer = await ask('GET', `/agents?limit=2${after === '' ? '' : `&after=${after}`}`)
      paged.push(...body.objects.map(({ id }: { id: string }) => id))
      after = body.after
    }
    expect(paged).toEqual(all)
  })

  test('by owner, state, source, and what nobody owns any more', async () => {
    const orphan = robot({ client_id: 'orphan', owner: 'user:corp:mallory', upstream: {} })
    expect((await ask('PUT', '/agents/orphan', orphan)).status).toBe(201)
    const ids = async (query: string) =>
      (await ask('GET', `/agents?${query}`)).body.objects.map((o: { id: string }) => o.id)
    expect(await ids('orphaned=true')).toEqual(['orphan'])
    expect(await ids('owner=user:corp:mallory')).toEqual(['orphan'])
    expect(await ids('state=retired')).toEqual(['robot'])
    expect(await ids('source=api')).toEqual(['orphan', 'racer', 'robot'])
    expect((await ask('GET', '/agents?colour=red')).body.error_reason).toBe('parameter_malformed')
    expect((await ask('GET', '/agents?limit=0')).body.error_reason).toBe('parameter_malformed')
  })

  test('a name that is no segment of a path has one all the same', async () => {
    const role = { name: 'on call, night', groups: ['finance'] }
    const path = `/roles/~${Buffer.from(role.name).toString('base64url')}`
    const created = await ask('PUT', path, role)
    expect([created.status, created.body.object?.path]).toEqual([201, path])
    expect((await ask('DELETE', path, undefined, { match: match(created) })).status).toBe(200)
  })
})

test('a change is on record with what was before and what is after, under whoever made it', async () => {
  const created = await ask('PUT', '/grants/kept', brief({ id: 'kept' }))
  const changed = await ask('PUT', '/grants/kept', brief({ id: 'kept', reason: 'another' }), { match: match(created) })
  expect(changed.status).toBe(200)
  const [done, intended] = await world.audit(2)
  expect(done).toMatchObject({
    event: 'registry.change',
    outcome: 'granted',
    by: 'operator:ops',
    policy: changed.body.policy,
    change: { object: 'grants/kept', before: expect.any(String), after: expect.any(String) },
  })
  expect(intended).toMatchObject({ id: done.id, outcome: 'unfinished', change: done.change })
  const text = async (digest: string) => JSON.parse((await ask('GET', `/contents/${done.id}/${digest}`)).body.text)
  expect(await text(done.change.before)).toEqual(brief({ id: 'kept' }))
  expect(await text(done.change.after)).toEqual(brief({ id: 'kept', reason: 'another' }))
  await ask('DELETE', '/grants/kept', undefined, { match: '*' })
})

test('of two who replace whatever there is, each is on record with what it has really replaced', async () => {
  const created = await ask('PUT', '/grants/raced', brief({ id: 'raced' }))
  const put = (reason: string) => ask('PUT', '/grants/raced', brief({ id: 'raced', reason }), { match: '*' })
  const answers = await Promise.all([put('one'), put('other')])
  expect(answers.map(({ status }) => status)).toEqual([200, 200])
  const versions = answers.map(({ body }) => body.object.version)
  const records = (await world.audit(20)).filter(
    ({ outcome, change }) => outcome === 'granted' && change?.object === 'grants/raced',
  )
  const [last, first] = records
  expect(first.change.before).toBe(created.body.object.version)
  expect(last.change.before).toBe(first.change.after)
  expect((await ask('GET', '/grants/raced')).body.version).toBe(last.change.after)
  expect(versions).toContain(last.change.after)
  await ask('DELETE', '/grants/raced', undefined, { match: '*' })
})

test('exported, and imported into an empty broker, it is the same registry; a preview changes nothing', async () => {
  const { policy, document } = (await ask('GET', '/registry')).body
  const none = Object.fromEntries(Object.keys(registryDocument(world.idp)).map((section) => [section, []]))
  const empty = await startWorld({ issuer: world.idp, registry: none, port: world.config.listen.port })
  try {
    const as = await managementToken(empty)
    const at = { at: empty, as }
    const preview = await ask('POST', '/registry', { document, dry_run: true }, at)
    expect(preview.body.added).toContain('agent:researcher')
    expect((await ask('GET', '/agents', undefined, at)).body.objects).toEqual([])
    const done = await ask('POST', '/registry', { document }, at)
    expect([done.status, done.body.policy]).toEqual([200, policy])
    expect((await ask('GET', '/registry?source=api', undefined, at)).body).toEqual({ policy, document })
    expect((await ask('GET', '/agents/researcher', undefined, at)).body.source).toBe('api')
  } finally {
    await empty.close()
  }
})
