import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { pairKey } from '../../../src/authority/dimensions.ts'
import type { SessionId } from '../../../src/kernel/ids.ts'
import { CLOCK_SKEW_S, CUTOFF_LIFETIME_S, FOREIGN_EVIDENCE_MARGIN_S } from '../../../src/kernel/limits.ts'
import { killNode, killSession, killToken, mark, noWayRound } from '../../../src/revocation/kill.ts'
import { enterState, issueLeaf } from '../../../src/sessions/session-commits.ts'
import type { SessionView } from '../../../src/sessions/session-record.ts'
import { failing } from '../sessions/faults.ts'
import { ALICE, CHILD, END, GRANDCHILD, NOW, ROOT, reasonOf, SESSION, sessionFacts } from '../sessions/fixtures.ts'
import { type Bench, hopsOf, PENDING, plant, startBench } from './fixtures.ts'

let bench: Bench
let view: SessionView
beforeEach(async () => {
  bench = await startBench()
  await plant(bench)
  view = await look()
})
afterEach(() => bench.close())

async function look(id: SessionId = SESSION): Promise<SessionView> {
  const found = await bench.parts.sessions.view(id, NOW)
  if (found === undefined) throw new Error('no session')
  return found
}
const entries = async () => (await bench.parts.store.control.snapshot()).entries
const isDead = (path: readonly string[], session: string = SESSION) =>
  bench.parts.cutoffs.set.killing({ rv: 0, session, nodes: path, agents: [], versions: [], accessToken: true }) !==
  undefined

describe('ending a session', () => {
  test('writes its cut-off, for as long as anything of it could live, and its end state', async () => {
    const { seq } = await killSession(view, 'revoked', bench.parts)
    expect(await entries()).toEqual([
      {
        entry: 'cutoff',
        dimension: 'session',
        id: SESSION,
        seq,
        atMs: NOW * 1000,
        expiresAtMs: (END + CLOCK_SKEW_S) * 1000,
      },
    ])
    expect((await look()).state).toBe('revoked')
    expect(isDead([ROOT])).toBe(true)
    expect(
      await reasonOf(
        bench.parts.sessions.commit(issueLeaf({ facts: view.facts, state: 'active' }, [ROOT], NOW), 'x', undefined),
      ),
    ).toBe('session_not_issuing')
  })

  test('reports every hop with its depth and counted tokens, pending ones too', async () => {
    const report = await killSession(view, 'closed', bench.parts)
    expect(report).toMatchObject({ sessions: [SESSION], unreached: [] })
    expect(hopsOf(report)).toEqual({ [ROOT]: [0, 2], [CHILD]: [1, 1], [GRANDCHILD]: [2, 3], [PENDING]: [1, 0] })
    expect(report.hops.map(({ node, agent, pending }) => [node, agent, pending])).toEqual(
      expect.arrayContaining([
        [ROOT, 'orchestrator', undefined],
        [CHILD, 'researcher', undefined],
        [GRANDCHILD, 'scribe', undefined],
        [PENDING, 'researcher', true],
      ]),
    )
    expect((await look()).state).toBe('closed')
  })

  test('again is a success that says the same, and the first end state stays', async () => {
    const first = await killSession(view, 'closed', bench.parts)
    const again = await killSession(await look(), 'revoked', bench.parts)
    expect(hopsOf(again)).toEqual(hopsOf(first))
    expect(again.unreached).toEqual([])
    expect((await look()).state).toBe('closed')
  })

  test('writes what else is to stand under the same number', async () => {
    const { seq } = await killSession(view, 'revoked', bench.parts, noWayRound(view, NOW * 1000))
    expect((await entries()).map((entry) => entry.seq)).toEqual(Array(4).fill(seq))
  })

  test('whose record cannot be marked is dead all the same, and said to be unreached', async () => {
    const fault = failing(bench.parts.store.sessions, 'commit')
    const report = await killSession(view, 'revoked', bench.parts)
    fault.heal()
    expect(report).toMatchObject({ sessions: [SESSION], unreached: [SESSION] })
    expect(isDead([ROOT])).toBe(true)
    expect((await look()).state).toBe('active')
    expect((await killSession(view, 'revoked', bench.parts)).unreached).toEqual([])
    expect((await look()).state).toBe('revoked')
  })

  test('whose cut-off cannot be written is not said to be ended, and is not', async () => {
    failing(bench.parts.store.control, 'write')
    await expect(killSession(view, 'revoked', bench.parts)).rejects.toMatchObject({ name: 'StoreUnavailable' })
    expect((await look()).state).toBe('active')
    expect(isDead([ROOT])).toBe(false)
  })
})

describe('ending a node', () => {
  test('kills it and all below; what is above and beside lives', async () => {
    const report = await killNode(view, CHILD, bench.parts)
    expect(report).toMatchObject({ sessions: [], unreached: [] })
    expect(hopsOf(report)).toEqual({ [CHILD]: [1, 1], [GRANDCHILD]: [2, 3] })
    expect(isDead([ROOT, CHILD, GRANDCHILD])).toBe(true)
    expect(isDead([ROOT, CHILD])).toBe(true)
    expect(isDead([ROOT])).toBe(false)
    const after = await look()
    expect(after.state).toBe('active')
    expect(after.nodes.filter(({ revoked }) => revoked).map(({ facts }) => facts.id)).toEqual([CHILD, GRANDCHILD])
  })

  test('that nobody accepted yet is a hop that was pending', async () => {
    expect((await killNode(view, PENDING, bench.parts)).hops).toMatchObject([{ node: PENDING, pending: true }])
  })

  test('whose record cannot be marked is dead all the same', async () => {
    failing(bench.parts.store.sessions, 'commit')
    expect((await killNode(view, CHILD, bench.parts)).unreached).toEqual([SESSION])
    expect(isDead([ROOT, CHILD])).toBe(true)
  })
})

describe('ending one access token', () => {
  const token = { jti: 'jti_access', node: CHILD, expiresAt: NOW + 300 }

  test('kills it alone, and says from which hop it was', async () => {
    const report = await killToken(view, token, bench.parts)
    expect(report).toMatchObject({ sessions: [], unreached: [] })
    expect(hopsOf(report)).toEqual({ [CHILD]: [1, 1] })
    expect(isDead([ROOT, CHILD, 'jti_access'])).toBe(true)
    expect(isDead([ROOT, CHILD, 'jti_other'])).toBe(false)
    expect((await look()).nodes.some(({ revoked }) => revoked)).toBe(false)
    expect(await bench.parts.sessions.readLive(SESSION, [ROOT, CHILD, 'jti_access'], NOW)).toBeUndefined()
  })

  test('its cut-off need not outlive the token', async () => {
    await killToken(view, token, bench.parts)
    expect(await entries()).toMatchObject([{ id: 'jti_access', expiresAtMs: (NOW + 300 + CLOCK_SKEW_S) * 1000 }])
  })

  test('again writes nothing: a caller cannot fill the feed with one token', async () => {
    const { seq } = await killToken(view, token, bench.parts)
    const writes = failing(bench.parts.store.control, 'write')
    expect((await killToken(view, token, bench.parts)).seq).toBe(seq)
    expect(writes.failures).toBe(0)
  })

  test('of a node nobody knows still kills it', async () => {
    const report = await killToken(view, { ...token, node: 'nod_gone' }, bench.parts)
    expect(report.hops).toEqual([])
    expect(isDead([ROOT, 'jti_access'])).toBe(true)
  })
})

describe('marking a record', () => {
  test('a session that is in an end state already is fine', async () => {
    expect(await mark(enterState(SESSION, 'closed', END), bench.parts)).toBe(true)
    expect(await mark(enterState(SESSION, 'revoked', END), bench.parts)).toBe(true)
    expect((await look()).state).toBe('closed')
  })

  test('a store that does not answer is said, a fault of ours is not hidden', async () => {
    const fault = failing(bench.parts.store.sessions, 'commit')
    expect(await mark(enterState(SESSION, 'closed', END), bench.parts)).toBe(false)
    fault.heal()
    bench.parts.store.sessions.commit = () => Promise.reject(new TypeError('a fault'))
    await expect(mark(enterState(SESSION, 'closed', END), bench.parts)).rejects.toThrow('a fault')
  })
})

describe('no way round', () => {
  const pair = pairKey(ALICE, 'orchestrator')

  test('cuts off the agent for this user, and blocks the pair until a newer sign-in and the evidence until it is over', () => {
    expect(noWayRound(view, NOW * 1000)).toEqual([
      { entry: 'cutoff', dimension: 'user_agent', id: pair, expiresAtMs: (NOW + CUTOFF_LIFETIME_S) * 1000 },
      { entry: 'block', kind: 'pair', id: pair, expiresAtMs: null, newerThanS: NOW + FOREIGN_EVIDENCE_MARGIN_S },
      {
        entry: 'block',
        kind: 'evidence',
        id: 'digest-of-evidence',
        expiresAtMs: (NOW + 7200 + CLOCK_SKEW_S) * 1000,
      },
    ])
  })

  test('of a node concerns the agent that held it; the root agent may use its evidence again', () => {
    const writes = noWayRound(view, NOW * 1000, 'researcher')
    expect(writes.map(({ id }) => id)).toEqual(Array(2).fill(pairKey(ALICE, 'researcher')))
  })

  test('of work that nobody signed in for stays until a reviewer lifts it', () => {
    const subject = { principal: 'agent:orchestrator', profile: 'ai_agent', user: undefined } as never
    const own = { ...view, facts: sessionFacts({ subject, evidence: undefined }) }
    expect(noWayRound(own, NOW * 1000)).toEqual([
      {
        entry: 'cutoff',
        dimension: 'user_agent',
        id: 'agent:orchestrator|orchestrator',
        expiresAtMs: (NOW + CUTOFF_LIFETIME_S) * 1000,
      },
      { entry: 'block', kind: 'pair', id: 'agent:orchestrator|orchestrator', expiresAtMs: null },
    ])
  })
})
