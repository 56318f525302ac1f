/**
 * The log or the state cannot be written (H61, H73): nothing is issued, nothing is left by halves, and a revoke is never held
 * up. The store underneath is real; single operations of it are made to fail.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Store, StoreUnavailable } from '../../src/store/ports.ts'
import { type Grant, granted, kill, managementToken, openDeep, refused } from '../support/hops.ts'
import { invalidRequest } from '../support/refusal.ts'
import { type Answer, startWorld, type World } from '../support/world.ts'

let world: World
let session: Grant
let delegation: Grant
let access: Grant
let restore: (() => void)[]
beforeEach(async () => {
  world = await startWorld()
  session = await openDeep(world)
  delegation = await granted(world.delegate(session.token))
  access = await granted(world.continue(session.token))
  restore = []
})
afterEach(async () => {
  heal()
  await world.close()
})

type Ports = Pick<Store, 'sessions' | 'claims' | 'control' | 'audit' | 'indexes'>

/** One operation of one port fails from now on. */
function fail<P extends keyof Ports>(port: P, operation: string): void {
  const part = world.broker.store[port] as unknown as Record<string, unknown>
  const owned = Object.hasOwn(part, operation) ? part[operation] : undefined
  part[operation] = async () => {
    throw new StoreUnavailable('the test has taken it away')
  }
  restore.push(() => {
    if (owned === undefined) delete part[operation]
    else part[operation] = owned
  })
}

function heal(): void {
  for (const undo of restore.splice(0)) undo()
}

const issuing = (): readonly (readonly [string, () => Promise<Answer>])[] => [
  ['open', () => world.open()],
  ['continue', () => world.continue(session.token)],
  ['delegate', () => world.delegate(session.token)],
  ['accept', () => world.accept(delegation.token)],
  ['API token', () => world.clientCredentials('orchestrator', { resource: `${world.issuer}/api` })],
]

async function expectUnavailable(name: string, answer: Answer): Promise<void> {
  const { status, headers, body } = answer
  expect([status, body.error, body.access_token], name).toEqual([503, 'temporarily_unavailable', undefined])
  expect(Number(headers.get('retry-after')), name).toBeGreaterThan(0)
  expect(headers.get('cache-control')).toBe('no-store')
}

const everything = async () => {
  const sessions = await Promise.all(
    (await world.sessions()).map((id) => world.broker.store.sessions.readAll(id as never)),
  )
  return sessions.map((fields) => JSON.stringify([...(fields ?? [])].sort()))
}

describe('each part that can fail, fails closed', () => {
  test.each([
    ['the single-use ids', 'claims', 'claim'],
    ['the commit', 'sessions', 'commit'],
  ] as const)('%s: no flow issues anything, and nothing changes', async (_what, port, operation) => {
    const before = await everything()
    fail(port, operation)
    for (const [name, request] of issuing()) {
      // An API token has no session, and so no commit.
      if (port === 'sessions' && name === 'API token') continue
      await expectUnavailable(name, await request())
    }
    heal()
    expect(await everything()).toEqual(before)
    for (const [name, request] of issuing()) expect((await request()).status, name).toBe(200)
  })

  test('the session’s record: what needs it is not issued, and is not said to be absent', async () => {
    fail('sessions', 'read')
    for (const [name, request] of issuing().slice(1, 4)) await expectUnavailable(name, await request())
    await expectUnavailable('introspect', await world.introspect(access.token))
    heal()
    expect((await world.introspect(access.token)).body.active).toBe(true)
  })

  test('the log: what is recorded outside a commit is not answered, and refusals are not either', async () => {
    fail('audit', 'append')
    await expectUnavailable('API token', (await issuing()[4]?.[1]()) as Answer)
    await expectUnavailable('introspect', await world.introspect(access.token))
    await expectUnavailable(
      'a refusal',
      await world.continue(session.token, { resource: 'https://nowhere.example/mcp' }),
    )
    await expectUnavailable('sessions', await world.bearer('/sessions', world.userToken()))
    await expectUnavailable('admin', await world.bearer('/admin/v1/sessions', await managementToken(world)))
  })

  test('lists are for people: their failing holds nobody up, and hides nothing from a kill', async () => {
    fail('indexes', 'add')
    const hidden = await granted(world.open())
    const token = await granted(world.continue(hidden.token))
    heal()
    expect(await world.sessions()).not.toContain(hidden.claims.sid)
    await kill(world, { dimension: 'user', user: 'user:corp:alice' })
    expect((await world.introspect(token.token)).body).toEqual({ active: false })
    await refused(world, () => world.continue(hidden.token), invalidRequest('subject_token_revoked'))
  })
})

describe('a revoke is never held up by the log', () => {
  test('it executes, says that its record is deferred, and the record follows', async () => {
    fail('audit', 'append')
    const ends = [
      await world.revoke(access.token),
      await world.bearer(`/sessions/${session.claims.sid}`, world.userToken(), 'DELETE'),
      await world.bearer('/admin/v1/revocations', await managementToken(world), 'POST', {
        dimension: 'agent',
        agent: 'scribe',
      }),
    ]
    expect(ends.map(({ status, body }) => [status, body.audit])).toEqual(Array(3).fill([200, 'deferred']))
    heal()
    await world.broker.flushAudit()
    const events = (await world.audit(10)).map(({ event, outcome }) => [event, outcome])
    for (const event of ['token.revoke', 'session.revoke', 'control.write'])
      expect(events).toContainEqual([event, 'granted'])
    expect((await world.introspect(access.token)).body).toEqual({ active: false })
  })

  test('one that could not be written down anywhere says so, and does not claim to have killed', async () => {
    fail('control', 'write')
    const { status, body } = await world.revoke(session.token)
    expect([status, body.error, body.revoked]).toEqual([503, 'temporarily_unavailable', undefined])
    heal()
    expect((await world.revoke(session.token)).body.revoked.sessions).toEqual([session.claims.sid])
  })

  test('one whose control write stands kills, though the session’s own record could not be reached', async () => {
    fail('sessions', 'commit')
    await world.revoke(session.token)
    heal()
    expect((await world.introspect(access.token)).body).toEqual({ active: false })
    await refused(world, () => world.continue(session.token), invalidRequest('subject_token_revoked'))
  })
})

test('a failure between signing and recording leaves nothing usable: the token was never told to anybody', async () => {
  const store = world.broker.store.sessions
  const commit = store.commit
  store.commit = async (wanted) => {
    // Signed by now; the write is lost, and nobody can tell whether it was.
    await commit.call(store, wanted)
    throw new StoreUnavailable('the answer was lost')
  }
  restore.push(() => {
    store.commit = commit
  })
  await expectUnavailable('accept', await world.accept(delegation.token))
  heal()
  // It did happen: the delegation is used up, and its node can be ended by name.
  await refused(world, () => world.accept(delegation.token), invalidRequest('delegation_consumed'))
  const path = `/sessions/${session.claims.sid}/nodes/${delegation.claims.jti}`
  expect((await world.bearer(path, world.userToken(), 'DELETE')).status).toBe(200)
})

test('a stranger counted while another flush is writing is in the log once both are waited for', async () => {
  expect((await world.open({ client_assertion: world.assertion('orchestrator', { aud: 'elsewhere' }) })).status).toBe(
    401,
  )
  const timers = world.broker.flushAudit()
  await world.broker.flushAudit()
  const [record] = await world.audit(1)
  expect(record).toMatchObject({ event: 'strangers.refused', strangers: [['client_assertion_audience', 'unknown', 1]] })
  await timers
})
