import { describe, expect, test } from 'vitest'
import type { BlockKind, ControlEntry } from '../../../src/authority/cutoffs.ts'
import type { Dimension } from '../../../src/authority/dimensions.ts'
import { pairKey } from '../../../src/authority/dimensions.ts'
import type { Asker } from '../../../src/flows/flow.ts'
import { assertNobodyBlocked, assertStanding } from '../../../src/flows/standing.ts'
import type { NodeId } from '../../../src/kernel/ids.ts'
import { FOREIGN_EVIDENCE_MARGIN_S } from '../../../src/kernel/limits.ts'
import type { Agent } from '../../../src/model/client.ts'
import type { Question } from '../../../src/model/decision.ts'
import type { SubjectEvidence } from '../../../src/model/evidence.ts'
import { LiveCutoffs } from '../../../src/sessions/live-cutoffs.ts'
import { refusalOf } from '../authority/refusal.ts'
import { ALICE, actor, CHILD, HandClock, ISSUER, NOW, ROOT, reasonOf, SESSION } from '../sessions/fixtures.ts'
import { agentOf, handleEvidence, type Raw, registry, registryWith, userEvidence } from './fixtures.ts'

const assertStands = (evidence: SubjectEvidence, agent: Agent, standing: Parameters<typeof assertStanding>[2]) =>
  assertStanding(evidence, { verified: { client: agent, version: '1' } } as unknown as Asker, standing)

const RV = 40

function standing(entries: readonly ControlEntry[] = [], from = registry) {
  const cutoffs = new LiveCutoffs(new HandClock())
  cutoffs.written(100, entries)
  return { cutoffs, registry: from, issuer: ISSUER, environment: 'development', nowMs: NOW * 1000, versions: [] }
}
const cutoff = (dimension: Dimension, id: string, over: object = {}): ControlEntry =>
  ({
    entry: 'cutoff',
    dimension,
    id,
    seq: RV + 1,
    atMs: NOW * 1000,
    expiresAtMs: (NOW + 9999) * 1000,
    ...over,
  }) as ControlEntry
const block = (kind: BlockKind, id: string, over: object = {}): ControlEntry =>
  ({ entry: 'block', kind, id, seq: 5, atMs: NOW * 1000, expiresAtMs: null, ...over }) as ControlEntry

describe('nobody a question names is blocked', () => {
  const question = {
    agent: agentOf('researcher'),
    chain: [agentOf('orchestrator')],
    services: [],
    subject: ALICE,
  } as unknown as Question
  const asking =
    (entry: ControlEntry, signedInAt: number | undefined = NOW - 10) =>
    () =>
      assertNobodyBlocked(question, signedInAt, standing([entry]))

  test('where no block stands, nobody is', () => {
    expect(() => assertNobodyBlocked(question, NOW, standing())).not.toThrow()
    expect(asking(block('agent', 'scribe'))).not.toThrow()
  })

  test.each([
    ['the user', block('user', ALICE), 'this user'],
    ['the agent that will hold the authority', block('agent', 'researcher'), 'an agent'],
    ['an agent of the chain', block('agent', 'orchestrator'), 'an agent'],
    ['the agent for this user', block('pair', pairKey(ALICE, 'researcher'), { newerThanS: NOW }), 'sign in again'],
    ['an agent of the chain for this user', block('pair', pairKey(ALICE, 'orchestrator')), 'until an operator lifts'],
  ])('%s', (_who, entry, said) => {
    const refusal = refusalOf(asking(entry))
    expect(refusal.reason).toBe('principal_blocked')
    expect(refusal.message).toContain(said)
  })

  test('a newer sign-in passes a pair’s block, an equal one does not', async () => {
    const entry = block('pair', pairKey(ALICE, 'orchestrator'), { newerThanS: NOW })
    expect(asking(entry, NOW + 1)).not.toThrow()
    expect(await reasonOf(asking(entry, NOW))).toBe('principal_blocked')
  })

  test('work that nobody signed in for passes no pair’s block', async () => {
    const entry = block('pair', pairKey(ALICE, 'orchestrator'), { newerThanS: NOW })
    const refusal = refusalOf(() => assertNobodyBlocked(question, undefined, standing([entry])))
    expect(refusal.reason).toBe('principal_blocked')
    // To sign in again is no advice where nobody signs in.
    expect(refusal.message).toContain('until an operator lifts')
  })
})

describe('a user’s token as evidence', () => {
  const offering =
    (entry: ControlEntry, over: object = {}) =>
    () =>
      assertStands(userEvidence({ ...over }), agentOf('orchestrator'), standing([entry]))

  test('stands where nothing concerns it', () => {
    expect(() => assertStands(userEvidence(), agentOf('orchestrator'), standing())).not.toThrow()
    for (const entry of [
      block('evidence', 'another-digest'),
      block('pair', pairKey(ALICE, 'researcher')),
      block('pair', pairKey('user:corp:bob', 'orchestrator')),
      cutoff('user_agent', pairKey(ALICE, 'researcher')),
      cutoff('user', 'user:corp:bob'),
      cutoff('agent', 'researcher'),
    ]) {
      expect(offering(entry)).not.toThrow()
    }
  })

  test('that opened a revoked session does not open another', async () => {
    expect(await reasonOf(offering(block('evidence', 'digest-of-evidence')))).toBe('evidence_blocked')
  })

  test('of a pair that was revoked passes only with a sign-in later than the block asks for', async () => {
    const entry = block('pair', pairKey(ALICE, 'orchestrator'), { newerThanS: NOW })
    expect(await reasonOf(offering(entry, { signedInAt: NOW }))).toBe('principal_blocked')
    expect(offering(entry, { signedInAt: NOW + 1 })).not.toThrow()
  })

  test.each([
    ['user', ALICE],
    ['agent', 'orchestrator'],
    ['user_agent', pairKey(ALICE, 'orchestrator')],
    ['agent_version', pairKey('orchestrator', '1')],
    ['issuer_sign_ins', 'corp'],
  ] as const)('older than a cut-off of %s, with a margin for clocks, does not stand', async (dimension, id) => {
    const entry = cutoff(dimension, id)
    expect(await reasonOf(offering(entry, { signedInAt: NOW - 1 }))).toBe('principal_blocked')
    expect(await reasonOf(offering(entry, { signedInAt: NOW + FOREIGN_EVIDENCE_MARGIN_S }))).toBe('principal_blocked')
    expect(offering(entry, { signedInAt: NOW + FOREIGN_EVIDENCE_MARGIN_S + 1 })).not.toThrow()
  })

  test('is judged by the user’s sign-in, not by when a fresh token was issued', async () => {
    const entry = cutoff('user', ALICE)
    expect(await reasonOf(offering(entry, { signedInAt: NOW - 3600, issuedAt: NOW + 3600 }))).toBe('principal_blocked')
  })
})

describe('a handle of ours', () => {
  const evidence = handleEvidence({
    rv: RV,
    path: [ROOT, CHILD],
    clientId: 'researcher' as never,
    act: actor('researcher', 'orchestrator'),
    versions: [pairKey('researcher', '1'), pairKey('orchestrator', '9')],
  })
  const presenting =
    (entries: readonly ControlEntry[], from = registry, by = 'researcher') =>
    () =>
      assertStands(evidence, agentOf(by), standing(entries, from))

  test('stands where nothing concerns it', () => {
    expect(presenting([])).not.toThrow()
    expect(
      presenting([cutoff('session_access', SESSION), cutoff('agent', 'scribe'), cutoff('node', 'nod_x')]),
    ).not.toThrow()
    expect(presenting([cutoff('agent', 'researcher', { seq: RV }), cutoff('user', ALICE, { seq: RV })])).not.toThrow()
  })

  test.each([
    ['its session', cutoff('session', SESSION)],
    ['a node above', cutoff('node', ROOT)],
    ['its own node', cutoff('node', CHILD)],
    ['its own id', cutoff('node', 'jti_handle')],
    ['its key', cutoff('key', 'key-1')],
    ['its holder', cutoff('agent', 'researcher')],
    ['an agent further up the chain', cutoff('agent', 'orchestrator')],
    ['its user', cutoff('user', ALICE)],
    ['its version', cutoff('agent_version', pairKey('researcher', '1'))],
    ['a version further up the chain', cutoff('agent_version', pairKey('orchestrator', '9'))],
    ['the issuer of its user', cutoff('issuer', 'corp')],
    ['its user for an agent of the chain', cutoff('user_agent', pairKey(ALICE, 'orchestrator'))],
  ])('is dead by a cut-off of %s', (_what, entry) => {
    const refusal = refusalOf(presenting([entry]))
    expect(refusal.reason).toBe('subject_token_revoked')
    expect(refusal.message).not.toContain('_')
  })

  test('is dead by a cut-off of its presenter too, whom a delegation names as audience only', async () => {
    const offered = handleEvidence({ kind: 'delegation', rv: RV, jti: CHILD as never, path: [ROOT as NodeId] })
    const accepting = (entry: ControlEntry) => () => assertStands(offered, agentOf('researcher'), standing([entry]))
    expect(await reasonOf(accepting(cutoff('agent', 'researcher')))).toBe('subject_token_revoked')
    expect(await reasonOf(accepting(cutoff('agent_version', pairKey('researcher', '1'))))).toBe('subject_token_revoked')
    expect(await reasonOf(accepting(cutoff('user_agent', pairKey(ALICE, 'researcher'))))).toBe('subject_token_revoked')
    expect(accepting(cutoff('agent', 'scribe'))).not.toThrow()
  })

  test.each(['suspended', 'retired'])('passes nothing on while an agent of its chain is %s', async (state) => {
    for (const id of ['orchestrator', 'researcher']) {
      const changed = registryWith((document: Raw) => {
        document.agents.find((agent: Raw) => agent.client_id === id).state = state
      })
      expect(await reasonOf(presenting([], changed)), id).toBe('agent_inactive')
    }
  })

  test('passes nothing on once an agent of its chain is no longer registered, or is no agent any more', async () => {
    const stranger = handleEvidence({ act: actor('researcher', 'nobody') })
    expect(await reasonOf(() => assertStands(stranger, agentOf('researcher'), standing()))).toBe('agent_inactive')
    const service = handleEvidence({ act: actor('researcher', 'warehouse-server') })
    expect(await reasonOf(() => assertStands(service, agentOf('researcher'), standing()))).toBe('agent_inactive')
  })
})
