import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { BlockKind, Dimension } from '../../../src/authority/cutoffs.ts'
import { pairKey } from '../../../src/authority/cutoffs.ts'
import type { ClientId, PrincipalId } from '../../../src/kernel/ids.ts'
import { LiveCutoffs } from '../../../src/sessions/live-cutoffs.ts'
import {
  agentsOf,
  cutoffKilling,
  isBlocked,
  type OwnToken,
  sessionAllows,
  userIn,
} from '../../../src/sessions/liveness.ts'
import {
  acceptDelegation,
  enterState,
  offerDelegation,
  openSession,
  revokeNodes,
} from '../../../src/sessions/session-commits.ts'
import { SessionRepository } from '../../../src/sessions/session-repository.ts'
import {
  ALICE,
  actor,
  CHILD,
  child,
  END,
  HandClock,
  ISSUER,
  NOW,
  nodeFacts,
  ROOT,
  SESSION,
  sessionFacts,
  type TestStore,
  testStore,
} from './fixtures.ts'

const RV = 1000
const token: OwnToken = {
  jti: 'jti_access',
  kid: 'key-1',
  rv: RV,
  subject: ALICE,
  clientId: 'researcher' as ClientId,
  act: actor('researcher', 'orchestrator'),
  session: SESSION,
  path: [ROOT, CHILD],
}

describe('whom a token names', () => {
  test('the holder and every actor down to the innermost, each once', () => {
    expect(agentsOf(token, ISSUER)).toEqual(['researcher', 'orchestrator'])
  })

  test('the agent itself where it works for itself, without an act', () => {
    const own = { subject: 'agent:orchestrator' as PrincipalId, clientId: 'orchestrator' as ClientId, act: undefined }
    expect(agentsOf(own, ISSUER)).toEqual(['orchestrator'])
  })

  test('an actor of another issuer is not taken for the agent of ours of the same name', () => {
    const act = { ...actor('researcher'), act: { iss: 'https://other.example', sub: 'agent:orchestrator' } }
    expect(agentsOf({ ...token, act }, ISSUER)).toEqual(['researcher'])
  })

  test('services and users among the actors are no agents', () => {
    const act = { iss: ISSUER, sub: 'service:gateway', act: { iss: ISSUER, sub: 'user:corp:bob' } }
    expect(agentsOf({ ...token, act }, ISSUER)).toEqual(['researcher'])
  })

  test('an agent is named by its whole id, colons included', () => {
    expect(agentsOf({ ...token, act: actor('team:worker') }, ISSUER)).toContain('team:worker')
  })

  test('a user only where the subject is one', () => {
    expect(userIn(token)).toBe(ALICE)
    expect(userIn({ subject: 'agent:user:corp:alice' as PrincipalId })).toBeUndefined()
    expect(userIn({ subject: 'service:user' as PrincipalId })).toBeUndefined()
  })
})

describe('cut-offs', () => {
  let cutoffs: LiveCutoffs
  beforeEach(() => {
    cutoffs = new LiveCutoffs(new HandClock())
  })

  function kills(dimension: Dimension, id: string, seq: number, options: Partial<OwnToken & { access: boolean }> = {}) {
    const fresh = new LiveCutoffs(new HandClock())
    fresh.written(seq, [{ entry: 'cutoff', dimension, id, seq, atMs: NOW * 1000, expiresAtMs: (NOW + 9999) * 1000 }])
    const { access = true, ...over } = options
    return cutoffKilling({ ...token, ...over }, fresh, { issuer: ISSUER, accessToken: access })?.dimension
  }

  test('none: the token lives', () => {
    expect(cutoffKilling(token, cutoffs, { issuer: ISSUER, accessToken: true })).toBeUndefined()
  })

  test.each([
    ['node', ROOT],
    ['node', CHILD],
    ['node', 'jti_access'],
    ['session', SESSION],
    ['key', 'key-1'],
  ] as const)('%s %s: presence kills, whatever its number', (dimension, id) => {
    expect(kills(dimension, id, RV - 500)).toBe(dimension)
    expect(kills(dimension, id, RV + 500)).toBe(dimension)
    expect(kills(dimension, `${id}-other`, RV + 500)).toBeUndefined()
  })

  test.each([
    ['agent', 'researcher'],
    ['agent', 'orchestrator'],
    ['user', ALICE],
    ['user_agent', pairKey(ALICE, 'researcher')],
    ['user_agent', pairKey(ALICE, 'orchestrator')],
    ['session_access', SESSION],
  ] as const)('%s %s: kills what was decided before it, only', (dimension, id) => {
    expect(kills(dimension, id, RV + 1)).toBe(dimension)
    expect(kills(dimension, id, RV)).toBeUndefined()
    expect(kills(dimension, `${id}-other`, RV + 1)).toBeUndefined()
  })

  test('session-access concerns access tokens only: handles of a contracted session live on', () => {
    expect(kills('session_access', SESSION, RV + 1, { access: false })).toBeUndefined()
  })

  test('a token without a session is no member of any', () => {
    expect(kills('session', SESSION, RV + 1, { session: undefined, path: [] })).toBeUndefined()
  })

  test('an agent working for itself is under no user’s cut-off', () => {
    const subject = 'agent:researcher' as PrincipalId
    expect(kills('user', 'agent:researcher', RV + 1, { subject })).toBeUndefined()
    expect(kills('agent', 'researcher', RV + 1, { subject, act: undefined })).toBe('agent')
  })
})

describe('blocks', () => {
  function blocked(kind: BlockKind, id: string, over: Partial<OwnToken> = {}, expiresAtMs: number | null = null) {
    const cutoffs = new LiveCutoffs(new HandClock())
    cutoffs.written(5, [{ entry: 'block', kind, id, seq: 5, atMs: NOW * 1000, expiresAtMs }])
    return isBlocked({ ...token, ...over }, cutoffs, ISSUER, NOW * 1000)
  }

  test('of the user, the holder or any actor above reach the token', () => {
    expect(blocked('user', ALICE)).toBe(true)
    expect(blocked('agent', 'researcher')).toBe(true)
    expect(blocked('agent', 'orchestrator')).toBe(true)
  })

  test('of anybody else do not, nor those of another kind under the same name', () => {
    expect(blocked('user', 'user:corp:bob')).toBe(false)
    expect(blocked('agent', 'scribe')).toBe(false)
    expect(blocked('agent', ALICE)).toBe(false)
    expect(blocked('user', 'researcher')).toBe(false)
  })

  test('end when their time is up, exclusively', () => {
    expect(blocked('agent', 'researcher', {}, NOW * 1000 + 1)).toBe(true)
    expect(blocked('agent', 'researcher', {}, NOW * 1000)).toBe(false)
  })
})

describe('the session’s own word', () => {
  let held: TestStore
  let sessions: SessionRepository
  beforeEach(async () => {
    held = await testStore(new HandClock())
    sessions = new SessionRepository(held.store)
    const facts = sessionFacts()
    await sessions.commit(openSession(facts, nodeFacts(), false), 'one', undefined)
    await sessions.commit(offerDelegation(facts, [ROOT], child(), NOW), 'two', undefined)
    await sessions.commit(acceptDelegation(facts, [ROOT], child(), { withLeaf: true, now: NOW }), 'three', undefined)
  })
  afterEach(() => held.close())

  test('allows what lives in an issuing session, and not for one second after its end', async () => {
    expect(await sessionAllows(token, sessions, NOW)).toBe(true)
    expect(await sessionAllows(token, sessions, END - 1)).toBe(true)
    expect(await sessionAllows(token, sessions, END)).toBe(false)
  })

  test('a revocation of a node above, of its own node, or of the token itself is final', async () => {
    for (const id of ['jti_access', CHILD, ROOT]) {
      expect(await sessionAllows({ ...token, jti: 'jti_fresh', path: [ROOT, CHILD] }, sessions, NOW)).toBe(true)
      await sessions.commit(revokeNodes(SESSION, [id], END), `revoke-${id}`, undefined)
      expect(await sessionAllows(token, sessions, NOW), id).toBe(false)
      if (id !== 'jti_access') break
    }
    expect(await sessionAllows({ ...token, jti: 'jti_root', path: [ROOT] }, sessions, NOW)).toBe(true)
    await sessions.commit(revokeNodes(SESSION, [ROOT], END), 'revoke-root', undefined)
    expect(await sessionAllows({ ...token, jti: 'jti_root', path: [ROOT] }, sessions, NOW)).toBe(false)
  })

  test('an ended or absent session allows nothing', async () => {
    await sessions.commit(enterState(SESSION, 'halted', END), 'halt', undefined)
    expect(await sessionAllows(token, sessions, NOW)).toBe(false)
    const elsewhere = { ...token, session: 'ses_elsewhere' as typeof SESSION }
    expect(await sessionAllows(elsewhere, sessions, NOW)).toBe(false)
  })

  test('a token without a session has none to ask', async () => {
    expect(await sessionAllows({ ...token, session: undefined }, sessions, NOW)).toBe(true)
  })
})
