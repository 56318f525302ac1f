import { beforeEach, describe, expect, test } from 'vitest'
import type { BlockKind } from '../../../src/authority/cutoffs.ts'
import type { Dimension } from '../../../src/authority/dimensions.ts'
import { pairKey } from '../../../src/authority/dimensions.ts'
import { agentsOf, userIn } from '../../../src/authority/named.ts'
import type { ClientId, PrincipalId } from '../../../src/kernel/ids.ts'
import { LiveCutoffs } from '../../../src/sessions/live-cutoffs.ts'
import { blockOn, cutoffKilling, type Named, type OwnToken } from '../../../src/sessions/liveness.ts'
import { ALICE, actor, CHILD, HandClock, ISSUER, NOW, ROOT, SESSION } from './fixtures.ts'

const RV = 1000
const token: OwnToken = {
  jti: 'jti_access',
  kid: 'key-1',
  rv: RV,
  subject: ALICE,
  clientId: 'researcher' as ClientId,
  act: actor('researcher', 'orchestrator'),
  versions: [pairKey('researcher', '1')],
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

  test('the agent whose own work was delegated, though it neither holds nor acts', () => {
    const delegated = {
      subject: 'agent:planner' as PrincipalId,
      clientId: 'researcher' as ClientId,
      act: actor('researcher'),
    }
    expect(agentsOf(delegated, ISSUER)).toEqual(['researcher', 'planner'])
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
    ['agent_version', pairKey('researcher', '1')],
    ['issuer', 'corp'],
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
  const named: Named = {
    subject: ALICE,
    agents: ['researcher', 'orchestrator'],
    versions: [],
    resource: undefined,
    signedInAt: NOW - 100,
  }

  function blockedBy(
    kind: BlockKind,
    id: string,
    over: Partial<Named> = {},
    rest: { expiresAtMs?: number | null; newerThanS?: number } = {},
  ) {
    const cutoffs = new LiveCutoffs(new HandClock())
    const block = { entry: 'block', kind, id, seq: 5, atMs: NOW * 1000, expiresAtMs: null, ...rest } as const
    cutoffs.written(5, [block])
    return blockOn({ ...named, ...over }, cutoffs, NOW * 1000)?.kind
  }

  test('none: nobody is held up', () => {
    expect(blockOn(named, new LiveCutoffs(new HandClock()), NOW * 1000)).toBeUndefined()
  })

  test('of the user, or of any agent named, reach it', () => {
    expect(blockedBy('user', ALICE)).toBe('user')
    expect(blockedBy('agent', 'researcher')).toBe('agent')
    expect(blockedBy('agent', 'orchestrator')).toBe('agent')
  })

  test('of a version, of the issuer of the user, and of the resource reach it', () => {
    const versions = [pairKey('researcher', '1')]
    expect(blockedBy('agent_version', pairKey('researcher', '1'), { versions })).toBe('agent_version')
    expect(blockedBy('agent_version', pairKey('researcher', '2'), { versions })).toBeUndefined()
    expect(blockedBy('issuer', 'corp')).toBe('issuer')
    expect(blockedBy('issuer', 'partner')).toBeUndefined()
    expect(blockedBy('resource', 'https://w.example', { resource: 'https://w.example' })).toBe('resource')
    expect(blockedBy('resource', 'https://w.example')).toBeUndefined()
  })

  test('of anybody else do not, nor those of another kind under the same name', () => {
    expect(blockedBy('user', 'user:corp:bob')).toBeUndefined()
    expect(blockedBy('agent', 'scribe')).toBeUndefined()
    expect(blockedBy('agent', ALICE)).toBeUndefined()
    expect(blockedBy('user', 'researcher')).toBeUndefined()
    expect(blockedBy('pair', pairKey('user:corp:bob', 'researcher'))).toBeUndefined()
    expect(blockedBy('pair', pairKey(ALICE, 'scribe'))).toBeUndefined()
  })

  test('a block of a user is none of an agent that works for itself under the same name', () => {
    expect(blockedBy('user', 'agent:researcher', { subject: 'agent:researcher' as PrincipalId })).toBeUndefined()
  })

  test('of an agent for this user reach every agent of the chain, not the holder alone', () => {
    expect(blockedBy('pair', pairKey(ALICE, 'researcher'))).toBe('pair')
    expect(blockedBy('pair', pairKey(ALICE, 'orchestrator'))).toBe('pair')
  })

  test('of a pair pass for a sign-in that is newer than they ask for, and for no other', () => {
    const pair = pairKey(ALICE, 'orchestrator')
    const withSignIn = (signedInAt: number | undefined) => blockedBy('pair', pair, { signedInAt }, { newerThanS: NOW })
    expect(withSignIn(NOW + 1)).toBeUndefined()
    expect(withSignIn(NOW)).toBe('pair')
    expect(withSignIn(undefined)).toBe('pair')
  })

  test('of a pair that ask for no time let no sign-in pass', () => {
    expect(blockedBy('pair', pairKey(ALICE, 'orchestrator'), { signedInAt: NOW + 9999 })).toBe('pair')
  })

  test('a newer sign-in lifts neither a block of the user nor one of an agent', () => {
    expect(blockedBy('user', ALICE, { signedInAt: NOW + 9999 }, { newerThanS: NOW })).toBe('user')
    expect(blockedBy('agent', 'researcher', { signedInAt: NOW + 9999 }, { newerThanS: NOW })).toBe('agent')
  })

  test('end when their time is up, exclusively', () => {
    expect(blockedBy('agent', 'researcher', {}, { expiresAtMs: NOW * 1000 + 1 })).toBe('agent')
    expect(blockedBy('agent', 'researcher', {}, { expiresAtMs: NOW * 1000 })).toBeUndefined()
  })
})
