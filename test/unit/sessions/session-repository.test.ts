import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { NodeId, SessionId } from '../../../src/kernel/ids.ts'
import { CLOCK_SKEW_S } from '../../../src/kernel/limits.ts'
import type { SessionState } from '../../../src/model/session.ts'
import {
  acceptDelegation,
  enterState,
  issueLeaf,
  offerDelegation,
  openSession,
  revokeLeaf,
  revokeNodes,
} from '../../../src/sessions/session-commits.ts'
import { SessionRepository } from '../../../src/sessions/session-repository.ts'
import { failing } from './faults.ts'
import {
  CHILD,
  child,
  END,
  HandClock,
  NOW,
  nodeFacts,
  ROOT,
  reasonOf,
  SESSION,
  sessionFacts,
  type TestStore,
  testStore,
} from './fixtures.ts'

let clock: HandClock
let held: TestStore
let sessions: SessionRepository
let commits = 0
const facts = sessionFacts()

beforeEach(async () => {
  clock = new HandClock()
  held = await testStore(clock)
  sessions = new SessionRepository(held.store)
})
afterEach(() => held.close())

const commit = (change: Parameters<SessionRepository['commit']>[0], audit?: string) => {
  commits += 1
  return sessions.commit(change, `commit-${commits}`, audit)
}
const open = () => commit(openSession(facts, nodeFacts(), false))
const offer = () => commit(offerDelegation({ facts, state: 'active' }, [ROOT], child({ agentVersion: '' }), NOW))
const accept = () =>
  commit(acceptDelegation({ facts, state: 'active' }, [ROOT], child(), { withLeaf: false, now: NOW }))
const read = (path: readonly NodeId[], options: { delegation?: string; now?: number } = {}) =>
  sessions.readForExchange(SESSION, path, { now: NOW, ...options })

describe('reading a session for an exchange', () => {
  test('gives its facts, its state, and the node of the handle', async () => {
    await open()
    expect(await read([ROOT])).toEqual({ facts, state: 'active', node: nodeFacts(), above: [], drift: 0 })
    await offer()
    await accept()
    const { node, above } = await read([ROOT, CHILD])
    expect([node, above]).toEqual([child(), [nodeFacts()]])
  })

  test('for a delegation, gives the node it would become', async () => {
    await open()
    await offer()
    expect((await read([ROOT], { delegation: CHILD })).node).toEqual(child({ agentVersion: '' }))
  })

  test('a session that is not there is absent', async () => {
    expect(await reasonOf(read([ROOT]))).toBe('session_absent')
  })

  test('a contracted session is read, one in any other state is not', async () => {
    await open()
    await commit(enterState(SESSION, 'contracted', END))
    expect((await read([ROOT])).state).toBe('contracted')
    for (const state of ['halted', 'closed'] as const) {
      await commit(enterState(SESSION, state, END))
      expect(await reasonOf(read([ROOT])), state).toBe('session_not_issuing')
    }
  })

  test.each(['revoked', 'expired'] as const)('a session that was %s is not issuing', async (state: SessionState) => {
    await open()
    await commit(enterState(SESSION, state, END))
    expect(await reasonOf(read([ROOT]))).toBe('session_not_issuing')
  })

  test('its end is exclusive', async () => {
    await open()
    await expect(read([ROOT], { now: END - 1 })).resolves.toBeDefined()
    expect(await reasonOf(read([ROOT], { now: END }))).toBe('session_expired')
  })

  test('a node that was revoked, or has one above it that was, is refused', async () => {
    await open()
    await offer()
    await accept()
    await commit(revokeNodes(SESSION, [CHILD], END))
    expect(await reasonOf(read([ROOT, CHILD]))).toBe('node_revoked')
    await expect(read([ROOT])).resolves.toBeDefined()
    await commit(revokeNodes(SESSION, [ROOT], END))
    expect(await reasonOf(read([ROOT, CHILD]))).toBe('node_revoked')
    expect(await reasonOf(read([ROOT]))).toBe('node_revoked')
  })

  test('a delegation revoked before it was accepted, or with a dead delegator, is refused', async () => {
    await open()
    await offer()
    await commit(revokeNodes(SESSION, [CHILD], END))
    expect(await reasonOf(read([ROOT], { delegation: CHILD }))).toBe('node_revoked')
  })

  test('a delegation whose delegator was revoked is refused', async () => {
    await open()
    await offer()
    await commit(revokeNodes(SESSION, [ROOT], END))
    expect(await reasonOf(read([ROOT], { delegation: CHILD }))).toBe('node_revoked')
  })

  test('a delegation that was accepted is consumed; one that was never offered is not there', async () => {
    await open()
    expect(await reasonOf(read([ROOT], { delegation: CHILD }))).toBe('node_revoked')
    await offer()
    await accept()
    expect(await reasonOf(read([ROOT], { delegation: CHILD }))).toBe('delegation_consumed')
  })

  test('an offered delegation holds no authority: its id is no handle of a node', async () => {
    await open()
    await offer()
    expect(await reasonOf(read([ROOT, CHILD]))).toBe('node_revoked')
  })

  test('a store that does not answer is never taken for an absent session', async () => {
    await open()
    const fault = failing(held.store.sessions, 'read')
    await expect(read([ROOT])).rejects.toThrow('read does not answer')
    await expect(sessions.readLive(SESSION, [ROOT], NOW)).rejects.toThrow('read does not answer')
    fault.heal()
    await expect(read([ROOT])).resolves.toBeDefined()
  })
})

describe('committing', () => {
  test('the audit record is written with the change, and not at all without it', async () => {
    await commit(openSession(facts, nodeFacts(), false), 'the opening')
    await commit(enterState(SESSION, 'closed', END))
    expect(await reasonOf(commit(issueLeaf({ facts, state: 'active' }, [ROOT], NOW), 'never happened'))).toBe(
      'session_not_issuing',
    )
    const records = (await held.store.audit.latest(10)).map((entry) => entry.record)
    expect(records).toEqual(['the opening'])
    expect((await sessions.view(SESSION, NOW))?.nodes[0]?.leaves).toBe(0)
  })

  test('the refusal is that of the check that failed', async () => {
    await open()
    expect(await reasonOf(commit(issueLeaf({ facts, state: 'active' }, [ROOT], END)))).toBe('session_expired')
    expect(await reasonOf(commit(issueLeaf({ facts, state: 'active' }, [ROOT, CHILD], NOW)))).toBe('node_revoked')
    expect(await reasonOf(open())).toBe('session_not_issuing')
  })

  test('the same commit again changes nothing: a leaf is counted once', async () => {
    await open()
    for (let times = 0; times < 3; times += 1) {
      await sessions.commit(issueLeaf({ facts, state: 'active' }, [ROOT], NOW), 'jti_same', undefined)
    }
    expect((await sessions.view(SESSION, NOW))?.nodes[0]?.leaves).toBe(1)
  })

  test('a commit whose answer was lost may be repeated: it is performed once', async () => {
    await open()
    const fault = failing(held.store.sessions, 'commit', { after: true })
    const change = issueLeaf({ facts, state: 'active' }, [ROOT], NOW)
    await expect(sessions.commit(change, 'jti_lost', undefined)).rejects.toThrow('does not answer')
    fault.heal()
    await sessions.commit(change, 'jti_lost', undefined)
    expect((await sessions.view(SESSION, NOW))?.nodes[0]?.leaves).toBe(1)
  })

  test('the record outlives the session by the skew of two honest clocks, then it is absent', async () => {
    await open()
    clock.ms = (END + CLOCK_SKEW_S) * 1000 - 1
    expect(await sessions.view(SESSION, END)).toMatchObject({ state: 'expired' })
    clock.ms += 1
    expect(await sessions.view(SESSION, END)).toBeUndefined()
  })
})

describe('being live', () => {
  const live = async (ids: readonly string[] = [ROOT, 'jti_token'], now = NOW) =>
    (await sessions.readLive(SESSION, ids, now)) !== undefined

  test('needs a session that is there, and time left, exclusively', async () => {
    expect(await live()).toBe(false)
    await open()
    expect(await live()).toBe(true)
    expect(await live([ROOT], END - 1)).toBe(true)
    expect(await live([ROOT], END)).toBe(false)
  })

  test('ends with the revocation of the token itself, of its node, or of any node above', async () => {
    await open()
    await offer()
    await accept()
    await commit(revokeLeaf(SESSION, 'jti_token', END))
    expect(await live([ROOT, CHILD, 'jti_token'])).toBe(false)
    expect(await live([ROOT, CHILD, 'jti_other'])).toBe(true)
    await commit(revokeNodes(SESSION, [CHILD], END))
    expect(await live([ROOT, CHILD, 'jti_other'])).toBe(false)
    expect(await live([ROOT, 'jti_other'])).toBe(true)
    await commit(revokeNodes(SESSION, [ROOT], END))
    expect(await live([ROOT, 'jti_other'])).toBe(false)
  })

  test('needs a state that issues', async () => {
    await open()
    for (const [state, expected] of [
      ['contracted', true],
      ['halted', false],
      ['active', true],
      ['closed', false],
    ] as const) {
      await commit(enterState(SESSION, state, END))
      expect(await live(), state).toBe(expected)
    }
  })

  test('tells when the user signed in: what blocks are compared with', async () => {
    await open()
    expect(await sessions.readLive(SESSION, [ROOT], NOW)).toEqual({ signedInAt: facts.evidence?.signedInAt })
  })

  test('of autonomous work nobody signed in', async () => {
    await commit(openSession(sessionFacts({ evidence: undefined }), nodeFacts(), false))
    expect(await sessions.readLive(SESSION, [ROOT], NOW)).toEqual({ signedInAt: undefined })
  })

  test('a record without an end, or without a state, is dead, not endless', async () => {
    for (const [session, field, value] of [
      ['ses_endless', 'state', 'active'],
      ['ses_stateless', 'notAfter', String(END)],
    ] as const) {
      await held.store.sessions.commit({
        session: session as SessionId,
        id: session,
        checks: [],
        operations: [{ operation: 'set', field, value }],
        expiresAtMs: END * 1000,
        audit: undefined,
      })
      expect(await sessions.readLive(session as SessionId, [ROOT], NOW)).toBeUndefined()
    }
  })
})
