import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { pairKey } from '../../../src/authority/dimensions.ts'
import { endNode, endSession } from '../../../src/revocation/end-session.ts'
import { registry } from '../flows/fixtures.ts'
import { failing } from '../sessions/faults.ts'
import { ALICE, CHILD, GRANDCHILD, NOW, ROOT, SESSION, WAREHOUSE } from '../sessions/fixtures.ts'
import { as, type Bench, client, hopsOf, operator, PENDING, plant, refusalOf, startBench, user } from './fixtures.ts'

let bench: Bench
beforeEach(async () => {
  bench = await startBench()
  await plant(bench)
})
afterEach(() => bench.close())

const BOB = 'user:corp:bob'
const state = async () => (await bench.parts.sessions.view(SESSION, NOW))?.state
const blocks = async () =>
  (await bench.parts.store.control.snapshot()).entries.flatMap((entry) =>
    entry.entry === 'block' ? [`${entry.kind} ${entry.id}`] : [],
  )
const revokedNodes = async () =>
  ((await bench.parts.sessions.view(SESSION, NOW))?.nodes ?? [])
    .filter((node) => node.revoked)
    .map((node) => node.facts.id)

describe('a session', () => {
  const end = (caller: Parameters<typeof as>[0], id: string = SESSION) => endSession(as(caller), id, bench.parts)

  test('is closed by its root agent, who may open another with the same evidence', async () => {
    const { result, audit } = await end(client('orchestrator'))
    expect(audit).toBe('recorded')
    expect(result.sessions).toEqual([SESSION])
    expect(Object.keys(hopsOf(result))).toHaveLength(4)
    expect(await state()).toBe('closed')
    expect(await blocks()).toEqual([])
    expect(await bench.records()).toMatchObject([
      { event: 'session.close', outcome: 'granted', by: 'agent:orchestrator', session: SESSION, on_behalf_of: ALICE },
    ])
  })

  test.each([
    ['the user it is about', user()],
    ['an operator', operator],
  ] as const)('is revoked by %s, with no way round', async (_who, caller) => {
    await end(caller)
    expect(await state()).toBe('revoked')
    expect((await blocks()).sort()).toEqual(
      [`pair ${pairKey(ALICE, 'orchestrator')}`, 'evidence digest-of-evidence'].sort(),
    )
    expect(await bench.records()).toMatchObject([{ event: 'session.revoke', by: caller.principal }])
  })

  test('whose lists cannot be read tells its user of no resources but its own; an operator of all', async () => {
    const OTHER = 'https://ledger.example/mcp'
    const offline = { revocationCheck: 'offline' }
    const resources = registry.resources.map((resource) => ({ ...resource, ...offline }))
    const [first] = resources
    const current = { ...registry, resources: [...resources, { ...first, url: OTHER }] }
    const parts = bench.withRegistry(current as unknown as typeof registry)
    failing(bench.parts.store.indexes, 'list')
    const urls = async (caller: Parameters<typeof as>[0]) =>
      (await endSession(as(caller), SESSION, parts)).result.offline.map(({ resource }) => resource)
    expect(await urls(operator)).toContain(OTHER)
    expect(await urls(user())).toEqual([WAREHOUSE])
  })

  test.each([
    ['another user', user(BOB)],
    ['a participant', client('researcher')],
    ['an agent that has no part in it', client('orchestrator-twin')],
    ['a service', client('warehouse-server')],
  ] as const)('does not exist for %s', async (_who, caller) => {
    const notYours = await refusalOf(end(caller))
    const notThere = await refusalOf(end(caller, 'ses_absent'))
    expect([notYours.reason, notThere.reason]).toEqual(['not_found', 'not_found'])
    expect(await state()).toBe('active')
    expect((await bench.parts.store.control.snapshot()).entries).toEqual([])
    expect(await bench.records()).toMatchObject([
      { outcome: 'refused', reason: 'not_found' },
      { outcome: 'refused', reason: 'not_found' },
    ])
  })

  test('a user of the same name at no issuer, or an agent named like the user, is somebody else', async () => {
    for (const principal of ['user:corp:', 'user:other:alice', 'agent:user:corp:alice']) {
      expect((await refusalOf(end(user(principal)))).reason).toBe('not_found')
    }
  })

  test('that has ended is ended again, with the same report', async () => {
    const first = await end(client('orchestrator'))
    const again = await end(user())
    expect(hopsOf(again.result)).toEqual(hopsOf(first.result))
    expect(await state()).toBe('closed')
    expect(await blocks()).toHaveLength(2)
  })

  test('that cannot be read is not said to be absent', async () => {
    failing(bench.parts.store.sessions, 'readAll')
    expect((await refusalOf(end(user()))).reason).toBe('store_unavailable')
  })

  test('is ended though it cannot be recorded now; the record follows', async () => {
    const fault = failing(bench.parts.store.audit, 'append')
    const { result, audit } = await end(user())
    expect(audit).toBe('deferred')
    expect(result.sessions).toEqual([SESSION])
    expect(await state()).toBe('revoked')
    expect(await bench.records()).toEqual([])
    fault.heal()
    await bench.parts.auditor.log.flush()
    expect(await bench.records()).toMatchObject([{ event: 'session.revoke', outcome: 'granted', by: ALICE }])
  })

  test('a refusal to end it is recorded at once or not given', async () => {
    failing(bench.parts.store.audit, 'append')
    expect((await refusalOf(end(user(BOB)))).reason).toBe('audit_unavailable')
  })

  test('a caller who cannot be identified is a stranger', async () => {
    const caller = () => Promise.reject(new TypeError('a fault'))
    const refused = await refusalOf(endSession({ caller, facts: as(operator).facts }, SESSION, bench.parts))
    expect(refused.authenticated).toBe(false)
    expect(await state()).toBe('active')
  })
})

describe('a node', () => {
  const end = (caller: Parameters<typeof as>[0], node: string, session: string = SESSION) =>
    endNode(as(caller), { session, node }, bench.parts)

  test('is ended by its holder, with all below it and nothing above', async () => {
    const { result } = await end(client('researcher'), CHILD)
    expect(hopsOf(result)).toEqual({ [CHILD]: [1, 1], [GRANDCHILD]: [2, 3] })
    expect(await revokedNodes()).toEqual([CHILD, GRANDCHILD])
    expect(await state()).toBe('active')
    expect(await blocks()).toEqual([])
  })

  test('is ended by whoever holds a node above it', async () => {
    await end(client('researcher'), GRANDCHILD)
    expect(await revokedNodes()).toEqual([GRANDCHILD])
    await end(client('orchestrator'), CHILD)
    expect(await revokedNodes()).toEqual([CHILD, GRANDCHILD])
  })

  test('that nobody accepted is ended by its delegator, and by the one it was meant for', async () => {
    for (const id of ['orchestrator', 'researcher']) {
      expect((await end(client(id), PENDING)).result.hops).toMatchObject([{ node: PENDING, pending: true }])
    }
  })

  test.each([
    ['above one’s own', client('researcher'), ROOT],
    ['above, from further below', client('scribe'), CHILD],
    ['beside one’s own', client('scribe'), PENDING],
    ['of others', client('orchestrator-twin'), CHILD],
    ['as another user', user(BOB), CHILD],
    ['that is not there', operator, 'nod_absent'],
    ['that is an access token', client('researcher'), 'jti_access'],
  ] as const)('%s does not exist', async (_what, caller, node) => {
    expect((await refusalOf(end(caller, node))).reason).toBe('not_found')
    expect((await bench.parts.store.control.snapshot()).entries).toEqual([])
  })

  test('of an absent session does not exist', async () => {
    expect((await refusalOf(end(operator, CHILD, 'ses_absent'))).reason).toBe('not_found')
  })

  test('ended by the user or an operator leaves its agent no way round, and the root agent alone', async () => {
    for (const caller of [user(), operator]) {
      await end(caller, CHILD)
      expect(await blocks()).toEqual([`pair ${pairKey(ALICE, 'researcher')}`])
    }
    expect(await state()).toBe('active')
  })

  test('that is the root is the session: closed by its agent', async () => {
    const { result } = await end(client('orchestrator'), ROOT)
    expect(result.sessions).toEqual([SESSION])
    expect(await state()).toBe('closed')
  })

  test('that is the root is the session: revoked by the user, with no way round', async () => {
    await end(user(), ROOT)
    expect(await state()).toBe('revoked')
    expect(await blocks()).toHaveLength(2)
  })

  test('is recorded with session and node', async () => {
    await end(client('researcher'), CHILD)
    expect(await bench.records()).toMatchObject([
      { event: 'session.revoke', session: SESSION, node: CHILD, on_behalf_of: ALICE, by: 'agent:researcher' },
    ])
  })
})
