import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readContent, readTrail } from '../../../src/admin/audit/read-trail.ts'
import { inspectSession, listSessions } from '../../../src/admin/session-listing.ts'
import { sha256 } from '../../../src/kernel/digest.ts'
import type { PrincipalId, SessionId } from '../../../src/kernel/ids.ts'
import { NAME_CHARS_MAX } from '../../../src/kernel/limits.ts'
import { Rejection } from '../../../src/kernel/rejection.ts'
import { enterState, revokeNodes } from '../../../src/sessions/session-commits.ts'
import { trailOf } from '../../support/log-filling.ts'
import {
  as,
  type Bench,
  client,
  FACTS,
  operator,
  PENDING,
  plant,
  refusalOf,
  startBench,
  user,
} from '../revocation/fixtures.ts'
import { failing } from '../sessions/faults.ts'
import { ALICE, CHILD, END, GRANDCHILD, NOW, ROOT, SESSION } from '../sessions/fixtures.ts'

const BOB = 'user:corp:bob' as PrincipalId
const BOBS = 'ses_bobs' as SessionId

let bench: Bench
beforeEach(async () => {
  bench = await startBench()
  await plant(bench)
  await plant(bench, { id: BOBS, principal: BOB })
})
afterEach(() => bench.close())

type Asking = Parameters<typeof as>[0]
const list = async (caller: Asking) =>
  (await listSessions(as(caller), bench.parts)).map(({ session, nodes, tokens }) => [session, nodes, tokens]).sort()
const inspect = (caller: Asking, id: string = SESSION) => inspectSession(as(caller), id, bench.parts)
const treeOf = async (caller: Asking) => (await inspect(caller)).tree.map(({ node }) => node).sort()

describe('a list', () => {
  test('of a user has the sessions on their behalf, whole', async () => {
    expect(await list(user())).toEqual([[SESSION, 4, 6]])
    expect(await list(user(BOB))).toEqual([[BOBS, 4, 6]])
    expect(await list(user('user:corp:carol'))).toEqual([])
  })

  test('of a root agent has the sessions it opened; of a participant its own part of them', async () => {
    expect(await list(client('orchestrator'))).toEqual([
      [BOBS, 4, 6],
      [SESSION, 4, 6],
    ])
    expect(await list(client('researcher'))).toEqual([
      [BOBS, 3, 4],
      [SESSION, 3, 4],
    ])
    expect(await list(client('scribe'))).toEqual([
      [BOBS, 1, 3],
      [SESSION, 1, 3],
    ])
    expect(await list(client('orchestrator-twin'))).toEqual([])
  })

  test('of an operator has all', async () => {
    expect(await list(operator)).toHaveLength(2)
  })

  test('of an operator may be of one agent, a delegate too, or of one user; nobody else’s can be asked for', async () => {
    const of = async (caller: Asking, principal: string) =>
      (await listSessions(as(caller), bench.parts, principal)).map(({ session, nodes }) => [session, nodes]).sort()
    expect(await of(operator, 'agent:scribe')).toEqual([
      [BOBS, 4],
      [SESSION, 4],
    ])
    expect(await of(operator, BOB)).toEqual([[BOBS, 4]])
    expect(await of(operator, 'agent:nobody')).toEqual([])
    expect(await of(operator, '')).toEqual([])
    expect(await of(user(), BOB)).toEqual([[SESSION, 4]])
    const tooLong = listSessions(as(operator), bench.parts, `agent:${'a'.repeat(NAME_CHARS_MAX)}`)
    expect((await refusalOf(tooLong)).reason).toBe('parameter_malformed')
  })

  test('a session in a list that is not the caller’s is not shown: lists decide nothing', async () => {
    await bench.parts.store.indexes.add(`sessions:${BOB}`, SESSION, END * 1000)
    await bench.parts.store.indexes.add('sessions:agent:orchestrator-twin', SESSION, END * 1000)
    expect(await list(user(BOB))).toEqual([[BOBS, 4, 6]])
    expect(await list(client('orchestrator-twin'))).toEqual([])
  })

  test('a session that is gone is left out', async () => {
    await bench.parts.store.indexes.add(`sessions:${ALICE}`, 'ses_gone', END * 1000)
    expect(await list(user())).toEqual([[SESSION, 4, 6]])
  })

  test('says of each what it is for, for whom, by whom, since and until when, and its state', async () => {
    await bench.parts.sessions.commit(enterState(SESSION, 'halted', END), 'halt', undefined)
    expect(await listSessions(as(user()), bench.parts)).toEqual([
      {
        session: SESSION,
        state: 'halted',
        agent: 'orchestrator',
        on_behalf_of: ALICE,
        purpose: 'Summarise Q3 revenue',
        origin: 'user_request',
        drift: 0,
        opened_at: NOW,
        not_after: END,
        nodes: 4,
        tokens: 6,
        calls: 0,
      },
    ])
  })
})

describe('one session', () => {
  test('is drawn with each node’s state, chain, tokens and authority', async () => {
    await bench.parts.sessions.commit(revokeNodes(SESSION, [GRANDCHILD], END), 'revoke', undefined)
    const { tree, ...summary } = await inspect(user())
    expect(summary).toMatchObject({ session: SESSION, state: 'active', nodes: 4, tokens: 6 })
    const byNode = Object.fromEntries(tree.map((node) => [node.node, node]))
    expect(byNode[ROOT]).toMatchObject({
      state: 'live',
      agent: 'orchestrator',
      chain: ['agent:orchestrator'],
      tokens: 2,
    })
    expect(byNode[CHILD]).toMatchObject({
      parent: ROOT,
      state: 'live',
      chain: ['agent:researcher', 'agent:orchestrator'],
      purpose: 'Find the figures',
      origin: 'user_request',
      tokens: 1,
      not_after: END,
    })
    expect(byNode[PENDING]).toMatchObject({ state: 'pending' })
    expect(byNode[GRANDCHILD]).toMatchObject({ state: 'revoked' })
    expect(byNode[CHILD]?.authority).toMatchObject({
      resources: { 'https://warehouse.example/mcp': { tools: { query: { table: { const: 'revenue' } } } } },
    })
  })

  test('its salt and the digest of its evidence are not for people', async () => {
    const text = JSON.stringify(await inspect(operator))
    expect(text).not.toContain('salt')
    expect(text).not.toContain('digest-of-evidence')
  })

  test('a participant sees its own subtree, and nothing above or beside it', async () => {
    expect(await treeOf(client('orchestrator'))).toEqual([CHILD, GRANDCHILD, PENDING, ROOT].sort())
    expect(await treeOf(client('researcher'))).toEqual([CHILD, GRANDCHILD, PENDING].sort())
    expect(await treeOf(client('scribe'))).toEqual([GRANDCHILD])
  })

  test.each([
    ['another user', user(BOB)],
    ['an agent without a part in it', client('orchestrator-twin')],
    ['a service', client('warehouse-server')],
  ])('does not exist for %s', async (_who, caller) => {
    const [notYours, notThere] = [await refusalOf(inspect(caller)), await refusalOf(inspect(caller, 'ses_absent'))]
    expect([notYours.reason, notThere.reason]).toEqual(['not_found', 'not_found'])
  })
})

describe('every reading', () => {
  const KEPT = { session: SESSION, digest: sha256('granted') }
  beforeEach(async () => {
    const contents = [{ digest: KEPT.digest, text: 'granted' }]
    await bench.parts.sessions.commit({ ...revokeNodes(SESSION, [], END), contents }, 'jti_kept', undefined)
  })
  const parts = () => ({ ...bench.parts, trail: trailOf(bench.parts.store) })
  const question = () => ({ filter: {}, limit: 5, after: undefined })
  const READINGS = {
    list: () => listSessions(as(user()), bench.parts),
    inspect: () => inspect(user()),
    audit: () => readTrail(as(operator), question, parts()),
    content: () => readContent(as(operator), KEPT, parts()),
  }

  test.each(Object.entries(READINGS))('%s is recorded under its caller', async (name, ask) => {
    await ask()
    expect((await bench.records())[0]).toMatchObject({
      event: ['audit', 'content'].includes(name) ? 'admin.read' : 'session.read',
      outcome: 'granted',
      by: ['audit', 'content'].includes(name) ? 'operator:ops' : ALICE,
    })
  })

  test.each(Object.entries(READINGS))('%s is not answered without its record', async (_name, ask) => {
    failing(bench.parts.store.audit, 'append')
    expect((await refusalOf(ask())).reason).toBe('audit_unavailable')
  })

  test.each([
    ['list', 'indexes', 'list'],
    ['list', 'sessions', 'readAll'],
    ['inspect', 'sessions', 'readAll'],
    ['audit', 'audit', 'pending'],
    ['audit', 'log', 'head'],
    ['content', 'audit', 'content'],
  ] as const)('%s says that the store does not answer where %s.%s fails, never that there is nothing', async (name, port, method) => {
    const fault = failing(bench.parts.store[port], method as never)
    const refused = await refusalOf(READINGS[name]())
    expect(refused.reason).toBe('store_unavailable')
    fault.heal()
    expect((await bench.records())[0]).toMatchObject({ outcome: 'refused', reason: 'store_unavailable' })
  })

  test('a caller who cannot be identified is a stranger', async () => {
    const caller = () => Promise.reject(new Rejection('bearer_invalid', 'no'))
    const refused = await refusalOf(listSessions({ caller, facts: FACTS }, bench.parts))
    expect(refused).toMatchObject({ reason: 'bearer_invalid', authenticated: false })
    expect(await bench.records()).toEqual([])
  })

  test('carries its correlation id', async () => {
    await listSessions({ ...as(user()), facts: { ...FACTS, correlation: 'trace-1' } }, bench.parts)
    expect(await bench.records()).toMatchObject([{ correlation: 'trace-1' }])
  })
})
