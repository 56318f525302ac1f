import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { pairKey } from '../../../src/authority/dimensions.ts'
import type { PrincipalId, SessionId } from '../../../src/kernel/ids.ts'
import { CLOCK_SKEW_S } from '../../../src/kernel/limits.ts'
import { KILL_HOPS_TOLD_MAX, LIST_ENTRIES_MAX } from '../../../src/kernel/store-limits.ts'
import { killOrder, liftOrder } from '../../../src/revocation/kill-order.ts'
import { killByOrder, liftByOrder } from '../../../src/revocation/kill-switch.ts'
import { type Raw, registry, registryWith } from '../flows/fixtures.ts'
import { failing } from '../sessions/faults.ts'
import { ALICE, CHILD, END, GRANDCHILD, NOW, ROOT, SESSION, WAREHOUSE } from '../sessions/fixtures.ts'
import { as, type Bench, hopsOf, operator, PENDING, plant, refusalOf, startBench } from './fixtures.ts'

const BOB = 'user:corp:bob' as PrincipalId
const OTHER = 'ses_bobs' as SessionId

let bench: Bench
beforeEach(async () => {
  bench = await startBench()
  await plant(bench)
  await plant(bench, { id: OTHER, principal: BOB })
})
afterEach(() => bench.close())

const order = (value: unknown) => killByOrder(as(operator), () => killOrder.parse(value), bench.parts)
const kill = async (value: unknown) => {
  const { result } = await order(value)
  if (!('revoked' in result)) throw new Error('nothing was revoked')
  return result.revoked
}
const foresee = async (value: object) => {
  const { result } = await order({ ...value, dry_run: true })
  if (!('would_revoke' in result)) throw new Error('that was no dry run')
  return result.would_revoke
}
const entries = async () => (await bench.parts.store.control.snapshot()).entries
const stateOf = async (id: SessionId) => (await bench.parts.sessions.view(id, NOW))?.state
const versionsIn = async (id: SessionId) =>
  Object.fromEntries(
    ((await bench.parts.sessions.view(id, NOW))?.nodes ?? []).map(({ facts }) => [facts.id, facts.agentVersion]),
  )
const revokedIn = async (id: SessionId) =>
  ((await bench.parts.sessions.view(id, NOW))?.nodes ?? [])
    .filter(({ revoked }) => revoked)
    .map(({ facts }) => facts.id)

describe('a session whose record cannot be made out', () => {
  beforeEach(() =>
    bench.parts.store.sessions.commit({
      session: SESSION,
      id: 'cmt_spoilt',
      checks: [],
      operations: [{ operation: 'set', field: 'facts', value: 'spoilt' }],
      expiresAtMs: END * 1000,
      audit: undefined,
      contents: [],
    }),
  )

  test('is ended by its id all the same, and said to be unreached', async () => {
    expect(await kill({ dimension: 'session', session: SESSION })).toMatchObject({ unreached: [SESSION] })
    const about = { nodes: [], agents: [], versions: [], accessToken: false }
    expect(bench.parts.cutoffs.set.killing({ ...about, rv: Number.MAX_SAFE_INTEGER, session: SESSION })).toBeDefined()
  })

  test('does not keep a wider order from being answered, nor others from being named', async () => {
    const report = await kill({ dimension: 'everything' })
    expect(report).toMatchObject({ sessions: [OTHER], unreached: [SESSION] })
  })
})

describe('by session', () => {
  test('ends it with no way round, and no other', async () => {
    const report = await kill({ dimension: 'session', session: SESSION })
    expect(report.sessions).toEqual([SESSION])
    expect(await stateOf(SESSION)).toBe('revoked')
    expect(await stateOf(OTHER)).toBe('active')
    expect((await entries()).map(({ entry }) => entry).sort()).toEqual(['block', 'block', 'cutoff', 'cutoff'])
  })

  test('session_access cuts off its access tokens alone: the session goes on', async () => {
    const report = await kill({ dimension: 'session_access', session: SESSION })
    expect(report).toMatchObject({ sessions: [], unreached: [] })
    expect(Object.keys(hopsOf(report))).toHaveLength(4)
    expect(await stateOf(SESSION)).toBe('active')
    const killed = (accessToken: boolean, rv: number) =>
      bench.parts.cutoffs.set.killing({ rv, session: SESSION, nodes: [], agents: [], versions: [], accessToken }) !==
      undefined
    expect([killed(true, report.seq - 1), killed(false, report.seq - 1), killed(true, report.seq)]).toEqual([
      true,
      false,
      false,
    ])
  })

  test.each([
    'session',
    'session_access',
    'node',
  ])('%s: one that is not there is not said to be dead', async (dimension) => {
    const refused = await refusalOf(
      order({ dimension, session: 'ses_absent', ...(dimension === 'node' ? { node: 'n' } : {}) }),
    )
    expect(refused.reason).toBe('not_found')
    expect(await entries()).toEqual([])
  })
})

describe('by node', () => {
  test('kills exactly that and what is below', async () => {
    const report = await kill({ dimension: 'node', session: SESSION, node: CHILD })
    expect(hopsOf(report)).toEqual({ [CHILD]: [1, 1], [GRANDCHILD]: [2, 3] })
    expect(await entries()).toMatchObject([{ dimension: 'node', id: CHILD }])
  })

  test('the root is the session', async () => {
    expect((await kill({ dimension: 'node', session: SESSION, node: ROOT })).sessions).toEqual([SESSION])
    expect(await stateOf(SESSION)).toBe('revoked')
  })

  test('one that is not in this session is not there', async () => {
    expect((await refusalOf(order({ dimension: 'node', session: SESSION, node: 'nod_absent' }))).reason).toBe(
      'not_found',
    )
  })
})

describe('by agent', () => {
  test('that opened them, ends its sessions for everybody', async () => {
    const report = await kill({ dimension: 'agent', agent: 'orchestrator' })
    expect([...report.sessions].sort()).toEqual([OTHER, SESSION].sort())
    expect([await stateOf(SESSION), await stateOf(OTHER)]).toEqual(['revoked', 'revoked'])
    expect(await entries()).toMatchObject([{ entry: 'cutoff', dimension: 'agent', id: 'orchestrator' }])
  })

  test('that takes part, ends what it holds and all below, and reports all of that', async () => {
    const report = await kill({ dimension: 'agent', agent: 'researcher' })
    expect(report.sessions).toEqual([])
    const ofOne = report.hops.filter(({ session }) => session === SESSION)
    expect(hopsOf({ hops: ofOne })).toEqual({ [CHILD]: [1, 1], [GRANDCHILD]: [2, 3], [PENDING]: [1, 0] })
    expect(report.hops).toHaveLength(6)
    expect(await stateOf(SESSION)).toBe('active')
    expect((await revokedIn(SESSION)).sort()).toEqual([CHILD, GRANDCHILD, PENDING].sort())
  })

  test('with a block, refuses it until that is lifted', async () => {
    await kill({ dimension: 'agent', agent: 'orchestrator', block: true })
    expect(bench.parts.cutoffs.set.blocked('agent', 'orchestrator', NOW * 1000)).toMatchObject({ expiresAtMs: null })
    const { result } = await liftByOrder(
      as(operator),
      () => liftOrder.parse({ kind: 'agent', id: 'orchestrator' }),
      bench.parts,
    )
    expect(bench.parts.cutoffs.set.blocked('agent', 'orchestrator', NOW * 1000)).toBeUndefined()
    // What was cut off before stays so.
    const killing = { rv: 0, nodes: [], agents: ['orchestrator'], versions: [], accessToken: false }
    expect(bench.parts.cutoffs.set.killing(killing)?.seq).toBeLessThan(result.seq)
  })

  test('without a block, only what it had is dead', async () => {
    await kill({ dimension: 'agent', agent: 'orchestrator' })
    expect(bench.parts.cutoffs.set.blocked('agent', 'orchestrator', NOW * 1000)).toBeUndefined()
  })

  test('that nobody knows is refused, with nothing written', async () => {
    expect((await refusalOf(order({ dimension: 'agent', agent: 'nobody' }))).reason).toBe('not_found')
    expect(await entries()).toEqual([])
  })
})

describe('by user', () => {
  test('ends the sessions on their behalf, and nobody else’s', async () => {
    const report = await kill({ dimension: 'user', user: ALICE, block: true })
    expect(report.sessions).toEqual([SESSION])
    expect([await stateOf(SESSION), await stateOf(OTHER)]).toEqual(['revoked', 'active'])
    expect(bench.parts.cutoffs.set.blocked('user', ALICE, NOW * 1000)).toBeDefined()
  })

  test('who cannot exist is refused: a typing error must not look like a kill', async () => {
    expect((await refusalOf(order({ dimension: 'user', user: 'alice' }))).reason).toBe('not_found')
    expect(await entries()).toEqual([])
  })
})

describe('by user and agent', () => {
  test('ends what this agent holds for this user: its own sessions, or its part of others’', async () => {
    const part = await kill({ dimension: 'user_agent', user: ALICE, agent: 'researcher' })
    expect(part.sessions).toEqual([])
    expect(await stateOf(SESSION)).toBe('active')
    expect(await revokedIn(OTHER)).toEqual([])
    const whole = await kill({ dimension: 'user_agent', user: ALICE, agent: 'orchestrator' })
    expect(whole.sessions).toEqual([SESSION])
    expect((await entries()).map(({ id }) => id).sort()).toEqual([
      pairKey(ALICE, 'orchestrator'),
      pairKey(ALICE, 'researcher'),
    ])
  })

  test('an agent without a part in any session of the user is cut off all the same', async () => {
    const report = await kill({ dimension: 'user_agent', user: ALICE, agent: 'orchestrator-twin', block: true })
    expect(report).toMatchObject({ sessions: [], hops: [] })
    expect(bench.parts.cutoffs.set.blocked('pair', pairKey(ALICE, 'orchestrator-twin'), NOW * 1000)).toBeDefined()
  })
})

describe('by version, owner, issuer', () => {
  test('a version of an agent: what it holds in that version, and all below', async () => {
    const versions = await versionsIn(SESSION)
    expect(versions[CHILD]).toBe('1')
    const report = await kill({ dimension: 'agent_version', agent: 'researcher', version: '1' })
    expect(report.sessions).toEqual([])
    expect(report.hops.filter(({ session }) => session === SESSION).map(({ node }) => node)).toEqual([
      CHILD,
      GRANDCHILD,
      PENDING,
    ])
    expect(await entries()).toMatchObject([
      { entry: 'cutoff', dimension: 'agent_version', id: pairKey('researcher', '1') },
    ])
    const root = await kill({ dimension: 'agent_version', agent: 'orchestrator', version: '1', block: true })
    expect(new Set(root.sessions)).toEqual(new Set([SESSION, OTHER]))
    const id = pairKey('orchestrator', '1')
    expect(bench.parts.cutoffs.set.blocked('agent_version', id, NOW * 1000)).toBeDefined()
  })

  test('an owner: every agent they have, each by its own cut-off, in one write', async () => {
    const report = await kill({ dimension: 'owner', owner: 'alice@corp.example', block: true })
    expect(new Set(report.sessions)).toEqual(new Set([SESSION, OTHER]))
    const written = await entries()
    expect(new Set(written.map(({ seq }) => seq)).size).toBe(1)
    const agents = registry.agents.map(({ clientId }) => clientId).sort()
    for (const entry of ['cutoff', 'block']) {
      expect(
        written
          .filter((one) => one.entry === entry)
          .map(({ id }) => id)
          .sort(),
      ).toEqual(agents)
    }
  })

  test('an issuer: the sessions of its users, and what they have signed in with', async () => {
    const report = await kill({ dimension: 'issuer', issuer: 'corp', block: true })
    expect(new Set(report.sessions)).toEqual(new Set([SESSION, OTHER]))
    const dimensions = (await entries()).map((entry) => ('dimension' in entry ? entry.dimension : entry.entry))
    expect(dimensions.sort()).toEqual(['block', 'issuer', 'issuer_sign_ins'])
  })

  test('an issuer leaves the agents’ own work alone', async () => {
    await plant(bench, { id: 'ses_own' as SessionId, autonomous: true })
    const report = await kill({ dimension: 'issuer', issuer: 'corp' })
    expect(report.sessions).not.toContain('ses_own')
    expect(await stateOf('ses_own' as SessionId)).toBe('active')
  })

  test.each([
    { dimension: 'agent_version', agent: 'researcher', version: '9' },
    { dimension: 'agent_version', agent: 'warehouse-server', version: '1' },
    { dimension: 'owner', owner: 'nobody@corp.example' },
    { dimension: 'issuer', issuer: 'crop' },
    { dimension: 'resource', resource: 'warehuose' },
    { dimension: 'tool', resource: 'warehouse', tool: 'qurey' },
  ])('$dimension: what does not exist is refused, with nothing written', async (value) => {
    expect((await refusalOf(order(value))).reason).toBe('not_found')
    expect(await entries()).toEqual([])
  })
})

describe('by resource and tool', () => {
  test('a resource: the access tokens for it; what is held lives on', async () => {
    const report = await kill({ dimension: 'resource', resource: 'warehouse', block: true })
    expect(report).toMatchObject({ sessions: [], unreached: [] })
    expect(report.hops.map(({ only }) => only)).toEqual(Array(6).fill('tokens'))
    expect(await stateOf(SESSION)).toBe('active')
    expect(await revokedIn(SESSION)).toEqual([])
    expect((await entries()).map(({ id }) => id)).toEqual([WAREHOUSE, WAREHOUSE])
    expect((await kill({ dimension: 'resource', resource: 'slack' })).hops).toEqual([])
  })

  test('a tool: its calls; nobody holds less', async () => {
    const report = await kill({ dimension: 'tool', resource: WAREHOUSE, tool: 'query' })
    expect(report.hops.map(({ only }) => only)).toEqual(Array(6).fill('calls'))
    expect(await entries()).toMatchObject([{ dimension: 'tool', id: pairKey(WAREHOUSE, 'query') }])
    expect((await kill({ dimension: 'tool', resource: WAREHOUSE, tool: 'drop_table' })).hops).toEqual([])
  })
})

const EVERY_ORDER = [
  { dimension: 'session', session: SESSION },
  { dimension: 'session_access', session: SESSION },
  { dimension: 'node', session: SESSION, node: CHILD },
  { dimension: 'agent', agent: 'researcher', block: true },
  { dimension: 'agent_version', agent: 'researcher', version: '1', block: true },
  { dimension: 'owner', owner: 'alice@corp.example', block: true },
  { dimension: 'user', user: ALICE, block: true },
  { dimension: 'user_agent', user: ALICE, agent: 'researcher', block: true },
  { dimension: 'issuer', issuer: 'corp', block: true },
  { dimension: 'resource', resource: 'warehouse', block: true },
  { dimension: 'tool', resource: 'warehouse', tool: 'query' },
  { dimension: 'everything' },
]

describe('a dry run', () => {
  test.each(EVERY_ORDER)('of $dimension tells what the order then tells, and writes nothing', async (value) => {
    const before = await everythingStored()
    const foreseen = await foresee(value)
    expect(await everythingStored()).toEqual(before)
    expect(foreseen).not.toHaveProperty('seq')
    expect(foreseen.hops.length).toBeGreaterThan(0)
    const [read] = await bench.records()
    expect(read).toMatchObject({ event: 'admin.read', by: 'operator:ops', outcome: 'granted' })
    expect(read.detail).toContain(`dry run {"dimension":"${value.dimension}"`)
    const { seq: _seq, ...died } = await kill(value)
    expect(died).toEqual(foreseen)
    expect(await everythingStored()).not.toEqual(before)
  })

  test('of what does not exist is refused as the order is', async () => {
    expect((await refusalOf(foresee({ dimension: 'agent', agent: 'nobody' }))).reason).toBe('not_found')
  })

  test('is not answered without its record', async () => {
    failing(bench.parts.store.audit, 'append')
    expect((await refusalOf(foresee({ dimension: 'everything' }))).reason).toBe('audit_unavailable')
  })

  /** The control slot, and every session. */
  async function everythingStored() {
    const sessions = await Promise.all([SESSION, OTHER].map((id) => bench.parts.store.sessions.readAll(id)))
    return { entries: await entries(), sessions: sessions.map((fields) => [...(fields ?? [])].sort()) }
  }
})

describe('what cannot be reached', () => {
  const told = async (value: unknown, check?: 'feed' | 'introspection' | 'offline') => {
    const parts = bench.withRegistry(
      registryWith(({ resources }: Raw) => {
        for (const resource of resources) if (check !== undefined) resource.revocation_check = check
      }),
    )
    const { result } = await killByOrder(as(operator), () => killOrder.parse(value), parts)
    return 'revoked' in result ? result.revoked : result.would_revoke
  }

  test.each([
    'offline',
    undefined,
  ] as const)('a server that checks %s is named, with when its last token ends', async (check) => {
    const { offline } = await told({ dimension: 'session', session: SESSION }, check)
    expect(offline).toEqual([{ resource: WAREHOUSE, until: NOW + 300 + CLOCK_SKEW_S }])
  })

  test.each(['feed', 'introspection'] as const)('one that checks by %s hears of it', async (check) => {
    expect((await told({ dimension: 'session', session: SESSION }, check)).offline).toEqual([])
  })

  test('where nothing was given for it, it is not', async () => {
    await kill({ dimension: 'everything' })
    expect((await told({ dimension: 'everything' })).offline).toEqual([])
  })

  test('a report that could not look at all names every such server', async () => {
    failing(bench.parts.store.indexes, 'list')
    const report = await told({ dimension: 'user', user: 'user:corp:nobody' })
    expect(report).toMatchObject({ truncated: true, hops: [] })
    expect(report.offline.map(({ resource }) => resource)).toEqual(registry.resources.map(({ url }) => url))
  })
})

describe('what can fail', () => {
  test('a session whose record cannot be marked is named, and dead', async () => {
    const fault = failing(bench.parts.store.sessions, 'commit')
    const report = await kill({ dimension: 'agent', agent: 'orchestrator' })
    fault.heal()
    expect([...report.unreached].sort()).toEqual([OTHER, SESSION].sort())
    expect(await stateOf(SESSION)).toBe('active')
    const token = {
      rv: report.seq - 1,
      session: SESSION,
      nodes: [ROOT],
      agents: ['orchestrator'],
      versions: [],
      accessToken: true,
    }
    expect(bench.parts.cutoffs.set.killing(token)).toBeDefined()
  })

  test('a report that could not name all sessions says so', async () => {
    const { indexes } = bench.parts.store
    const many = Array.from({ length: LIST_ENTRIES_MAX }, (_, at) =>
      indexes.add(`sessions:${ALICE}`, `ses_${at}`, END * 1000 + at + 1),
    )
    await Promise.all(many)
    expect(await kill({ dimension: 'user', user: BOB })).not.toHaveProperty('truncated')
    const views = bench.parts.sessions.view.bind(bench.parts.sessions)
    bench.parts.sessions.view = (id, now) => views(id.startsWith('ses_') ? SESSION : id, now)
    const report = await kill({ dimension: 'user', user: ALICE })
    expect(report).toMatchObject({
      truncated: true,
      looked_at: { sessions: LIST_ENTRIES_MAX, of: LIST_ENTRIES_MAX + 1 },
      counts: { sessions: LIST_ENTRIES_MAX, hops: 4 * LIST_ENTRIES_MAX },
    })
    expect(report.hops.length).toBeLessThanOrEqual(KILL_HOPS_TOLD_MAX)
  })

  test('a kill that cannot be recorded now is done, and recorded later', async () => {
    const fault = failing(bench.parts.store.audit, 'append')
    const { audit } = await order({ dimension: 'session', session: SESSION })
    expect(audit).toBe('deferred')
    expect(await stateOf(SESSION)).toBe('revoked')
    fault.heal()
    await bench.parts.auditor.log.flush()
    expect(await bench.records()).toMatchObject([{ event: 'control.write', by: 'operator:ops', outcome: 'granted' }])
  })

  test('a kill that cannot be written is not said to have happened', async () => {
    failing(bench.parts.store.control, 'write')
    expect((await refusalOf(order({ dimension: 'agent', agent: 'orchestrator' }))).reason).toBe('store_unavailable')
    expect(await stateOf(SESSION)).toBe('active')
  })

  test('a lift is not answered without its record, which is kept until the log answers', async () => {
    await kill({ dimension: 'agent', agent: 'orchestrator', block: true })
    const fault = failing(bench.parts.store.audit, 'append')
    const lift = liftByOrder(as(operator), () => liftOrder.parse({ kind: 'agent', id: 'orchestrator' }), bench.parts)
    expect((await refusalOf(lift)).reason).toBe('audit_unavailable')
    fault.heal()
    await bench.parts.auditor.log.flush()
    expect((await bench.records())[0]).toMatchObject({ event: 'control.write', outcome: 'granted' })
  })

  test('a lift of a block that does not stand is refused: a typing error must not look like one', async () => {
    const lift = (id: string) => liftByOrder(as(operator), () => liftOrder.parse({ kind: 'agent', id }), bench.parts)
    expect((await refusalOf(lift('orchestrator'))).reason).toBe('not_found')
    await kill({ dimension: 'agent', agent: 'orchestrator', block: true })
    expect((await refusalOf(lift('orchestratr'))).reason).toBe('not_found')
    expect(bench.parts.cutoffs.set.blocked('agent', 'orchestrator', NOW * 1000)).toBeDefined()
  })

  test('what has ended already is not reported as having died now', async () => {
    await kill({ dimension: 'session', session: SESSION })
    expect(await kill({ dimension: 'user', user: ALICE })).toMatchObject({ sessions: [], hops: [], unreached: [] })
  })

  test('an order that is not understood is refused in the operator’s name', async () => {
    const read = () => killOrder.parse({ dimension: 'planet' })
    const refused = await refusalOf(killByOrder(as(operator), read, bench.parts))
    expect(refused.authenticated).toBe(true)
    expect(await bench.records()).toMatchObject([{ by: 'operator:ops', outcome: 'refused' }])
  })
})

test('every order is recorded with its words', async () => {
  await kill({ dimension: 'agent', agent: 'researcher', block: true })
  await liftByOrder(as(operator), () => liftOrder.parse({ kind: 'agent', id: 'researcher' }), bench.parts)
  const [lift, killed] = await bench.records()
  expect(JSON.parse(killed.detail)).toEqual({ dimension: 'agent', agent: 'researcher', block: true })
  expect(lift).toMatchObject({ event: 'control.write', detail: 'lift {"kind":"agent","id":"researcher"}' })
})
