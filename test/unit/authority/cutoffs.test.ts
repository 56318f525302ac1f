import { describe, expect, test } from 'vitest'
import { type Block, type ControlEntry, type Cutoff, CutoffSet } from '../../../src/authority/cutoffs.ts'
import { type Dimension, EVERYTHING, pairKey } from '../../../src/authority/dimensions.ts'
import type { TokenFacts } from '../../../src/authority/token-facts.ts'
import { FOREIGN_EVIDENCE_MARGIN_S } from '../../../src/kernel/limits.ts'

const cutoff = (dimension: Dimension, id: string, change: Partial<Cutoff> = {}): Cutoff => ({
  entry: 'cutoff',
  dimension,
  id,
  seq: 100,
  atMs: 1_000_000,
  expiresAtMs: 2_000_000,
  ...change,
})
const block = (kind: Block['kind'], id: string, change: Partial<Block> = {}): Block => ({
  entry: 'block',
  kind,
  id,
  seq: 100,
  atMs: 1_000_000,
  expiresAtMs: null,
  ...change,
})
const lift = (kind: Block['kind'], id: string, seq: number): ControlEntry => ({ entry: 'lift', kind, id, seq, atMs: 0 })

function setOf(...entries: readonly ControlEntry[]): CutoffSet {
  const set = new CutoffSet()
  for (const entry of entries) set.apply(entry)
  return set
}

const TOKEN: TokenFacts = {
  rv: 99,
  session: 'ses_1',
  nodes: ['nod_root', 'nod_child', 'jti_1'],
  agents: ['sub-agent', 'orchestrator'],
  versions: [pairKey('sub-agent', '2'), pairKey('orchestrator', '1.4')],
  user: 'user:idp:alice',
  kid: 'key-1',
  accessToken: true,
  audience: 'https://wiki.example/mcp',
}
const PAIR = pairKey('user:idp:alice', 'orchestrator')

describe('killing (DESIGN §7)', () => {
  test('an empty set kills nothing', () => {
    expect(new CutoffSet().killing(TOKEN)).toBeUndefined()
  })

  const concerning: readonly [Dimension, string][] = [
    ['node', 'nod_root'],
    ['node', 'jti_1'],
    ['session', 'ses_1'],
    ['key', 'key-1'],
    ['session_access', 'ses_1'],
    ['agent', 'sub-agent'],
    ['agent', 'orchestrator'],
    ['user', 'user:idp:alice'],
    ['user_agent', PAIR],
    ['agent_access', 'sub-agent'],
    ['agent_access', 'orchestrator'],
    ['user_access', 'user:idp:alice'],
    ['pair_access', PAIR],
    ['resource', 'https://wiki.example/mcp'],
    ['issuer', 'idp'],
    ['agent_version', pairKey('sub-agent', '2')],
    ['agent_version', pairKey('orchestrator', '1.4')],
    ['everything', EVERYTHING],
  ]
  test.each(concerning)('a later cut-off of %s %s kills, and one of another id does not', (dimension, id) => {
    const entry = cutoff(dimension, id)
    expect(setOf(entry).killing(TOKEN)).toEqual(entry)
    expect(setOf(cutoff(dimension, `${id}x`)).killing(TOKEN)).toBeUndefined()
  })

  test.each(['node', 'session', 'key'] as const)('%s is absolute: presence kills whatever rv says', (dimension) => {
    const id = { node: 'nod_child', session: 'ses_1', key: 'key-1' }[dimension]
    expect(setOf(cutoff(dimension, id)).killing({ ...TOKEN, rv: Number.MAX_SAFE_INTEGER })).toBeDefined()
  })

  test.each([
    'session_access',
    'agent',
    'user',
    'user_agent',
  ] as const)('%s goes by sequence: what was decided with the cut-off known lives, what was decided before is dead', (dimension) => {
    const id = { session_access: 'ses_1', agent: 'orchestrator', user: 'user:idp:alice', user_agent: PAIR }[dimension]
    const set = setOf(cutoff(dimension, id, { seq: 100 }))
    expect(set.killing({ ...TOKEN, rv: 99 })).toBeDefined()
    expect(set.killing({ ...TOKEN, rv: 100 })).toBeUndefined()
    expect(set.killing({ ...TOKEN, rv: 101 })).toBeUndefined()
    expect(set.killing({ ...TOKEN, rv: Number.NaN })).toBeDefined()
  })

  test('session_access spares the handles of the session: only access tokens die when it is contracted', () => {
    const set = setOf(cutoff('session_access', 'ses_1'))
    expect(set.killing({ ...TOKEN, accessToken: false })).toBeUndefined()
    expect(set.killing(TOKEN)).toBeDefined()
  })

  test('pair_access is of one agent for one subject, and spares the handles', () => {
    const set = setOf(cutoff('pair_access', PAIR))
    expect(set.killing({ ...TOKEN, user: 'user:idp:bob' })).toBeUndefined()
    expect(set.killing({ ...TOKEN, accessToken: false })).toBeUndefined()
    expect(set.killing({ ...TOKEN, agents: ['sub-agent'] })).toBeUndefined()
  })

  test('user_agent does not reach another user of the agent, nor autonomous work', () => {
    const set = setOf(cutoff('user_agent', PAIR))
    expect(set.killing({ ...TOKEN, user: 'user:idp:bob' })).toBeUndefined()
    const { user: _user, ...autonomous } = TOKEN
    expect(set.killing(autonomous)).toBeUndefined()
  })

  test('merging keeps the higher sequence and the later expiry, each from where it came', () => {
    const old = cutoff('agent', 'orchestrator', { seq: 50, expiresAtMs: 9_000_000 })
    const recent = cutoff('agent', 'orchestrator', { seq: 150, expiresAtMs: 1_500_000 })
    for (const set of [setOf(old, recent), setOf(recent, old)]) {
      set.prune(2_000_000)
      expect(set.killing({ ...TOKEN, rv: 149 })?.seq).toBe(150)
      set.prune(9_000_000)
      expect(set.size).toBe(0)
    }
  })
})

describe('prune', () => {
  test('is exclusive: an entry is gone at its expiry and held a millisecond before', () => {
    const set = setOf(cutoff('session', 'ses_1', { expiresAtMs: 5000 }), block('evidence', 'd', { expiresAtMs: 5000 }))
    set.prune(4999)
    expect(set.size).toBe(2)
    set.prune(5000)
    expect(set.size).toBe(0)
  })

  test('never forgets a block without an end', () => {
    const set = setOf(block('agent', 'a'))
    set.prune(Number.MAX_SAFE_INTEGER)
    expect(set.blocked('agent', 'a', Number.MAX_SAFE_INTEGER)).toBeDefined()
  })
})

describe('evidenceRefusal', () => {
  const EVIDENCE = {
    digest: 'd',
    subject: 'user:idp:alice',
    agent: 'orchestrator',
    user: 'user:idp:alice',
    signedInAt: 1000,
  }

  test('refuses the very evidence that is blocked, and no other', () => {
    const set = setOf(block('evidence', 'd', { expiresAtMs: 9_000_000 }))
    expect(set.evidenceRefusal(EVIDENCE)).toBe('evidence_blocked')
    expect(set.evidenceRefusal({ ...EVIDENCE, digest: 'e' })).toBeUndefined()
  })

  test('refuses a blocked pair until its user has authenticated later than the block says', () => {
    const set = setOf(block('pair', PAIR, { newerThanS: 1000 }))
    expect(set.evidenceRefusal(EVIDENCE)).toBe('principal_blocked')
    expect(set.evidenceRefusal({ ...EVIDENCE, signedInAt: 1001 })).toBeUndefined()
    expect(set.evidenceRefusal({ ...EVIDENCE, signedInAt: Number.NaN })).toBe('principal_blocked')
    expect(set.evidenceRefusal({ ...EVIDENCE, agent: 'another' })).toBeUndefined()
  })

  test('lets no newer evidence pass a pair that only a reviewer may free', () => {
    const set = setOf(block('pair', PAIR), block('pair', PAIR, { newerThanS: 1, seq: 101 }))
    expect(set.evidenceRefusal({ ...EVIDENCE, signedInAt: 999_999 })).toBe('principal_blocked')
  })

  test.each([
    ['agent', 'orchestrator'],
    ['user', 'user:idp:alice'],
    ['user_agent', PAIR],
  ] as const)('refuses evidence from before a cut-off of %s, with a margin for the issuer clock', (dimension, id) => {
    const set = setOf(cutoff(dimension, id, { atMs: 1_000_000 }))
    const last = 1000 + FOREIGN_EVIDENCE_MARGIN_S
    expect(set.evidenceRefusal({ ...EVIDENCE, signedInAt: last })).toBe('principal_blocked')
    expect(set.evidenceRefusal({ ...EVIDENCE, signedInAt: last + 1 })).toBeUndefined()
    expect(set.evidenceRefusal({ ...EVIDENCE, signedInAt: Number.NaN })).toBe('principal_blocked')
  })

  test('is not concerned with cut-offs of nodes and sessions', () => {
    expect(setOf(cutoff('session', 'd'), cutoff('node', 'orchestrator')).evidenceRefusal(EVIDENCE)).toBeUndefined()
  })
})

describe('blocks and lifts', () => {
  test('a lift ends the blocks written before it, in whatever order they arrive', () => {
    const before = block('agent', 'a', { seq: 5 })
    for (const set of [setOf(before, lift('agent', 'a', 7)), setOf(lift('agent', 'a', 7), before)]) {
      expect(set.blocked('agent', 'a', 0)).toBeUndefined()
    }
  })

  test('a later block holds against an earlier lift, and one of the same write too', () => {
    for (const seq of [7, 8]) {
      const later = block('agent', 'a', { seq })
      for (const set of [setOf(later, lift('agent', 'a', 7)), setOf(lift('agent', 'a', 7), later)]) {
        expect(set.blocked('agent', 'a', 0)).toEqual(later)
      }
    }
  })

  test('a lift that arrives between two blocks ends the first only: its lasting end does not leak into the second', () => {
    const forever = block('agent', 'a', { seq: 5, expiresAtMs: null })
    const short = block('agent', 'a', { seq: 9, expiresAtMs: 3000 })
    const ended = lift('agent', 'a', 7)
    for (const set of [setOf(forever, ended, short), setOf(short, forever, ended), setOf(ended, short, forever)]) {
      expect(set.blocked('agent', 'a', 2999)?.expiresAtMs).toBe(3000)
      expect(set.blocked('agent', 'a', 3000)).toBeUndefined()
    }
  })

  test('several blocks answer as one with the strictest of each member', () => {
    const set = setOf(
      block('pair', 'p', { seq: 5, expiresAtMs: 9000, newerThanS: 10 }),
      block('pair', 'p', { seq: 6, expiresAtMs: 4000, newerThanS: 20 }),
    )
    expect(set.blocked('pair', 'p', 3999)).toMatchObject({ seq: 6, expiresAtMs: 9000, newerThanS: 20 })
    expect(set.blocked('pair', 'p', 4000)).toMatchObject({ seq: 5, expiresAtMs: 9000, newerThanS: 10 })
    expect(set.blocked('pair', 'p', 9000)).toBeUndefined()
  })

  test('a lift of one kind leaves the others', () => {
    const set = setOf(block('agent', 'a'), lift('user', 'a', 999))
    expect(set.blocked('agent', 'a', 0)).toBeDefined()
    expect(set.blocked('user', 'a', 0)).toBeUndefined()
  })
})

describe('what is held', () => {
  test('appliedSeq advances only as told, and never backwards', () => {
    const set = setOf(cutoff('session', 's', { seq: 500 }))
    expect(set.appliedSeq).toBe(0)
    set.advance(7)
    set.advance(3)
    expect(set.appliedSeq).toBe(7)
    expect(() => set.advance(Number.NaN)).toThrow('malformed seq')
    expect(set.appliedSeq).toBe(7)
  })

  const unusable: readonly [string, unknown][] = [
    ['an unknown kind of entry', { ...block('agent', 'a'), entry: 'note' }],
    ['an unknown dimension, which it could not apply', cutoff('galaxy' as Dimension, 'x')],
    ['an inherited name as a dimension', cutoff('constructor' as Dimension, 'x')],
    ['an unknown kind of block', block('galaxy' as Block['kind'], 'x')],
    ['an unknown kind of lift', lift('galaxy' as Block['kind'], 'x', 1)],
    ['a cut-off without a sequence number', { ...cutoff('user', 'u'), seq: undefined }],
    ['a cut-off whose number is text', { ...cutoff('user', 'u'), seq: '5' }],
    ['a cut-off without an end', { ...cutoff('user', 'u'), expiresAtMs: undefined }],
    ['a cut-off without an id', { ...cutoff('user', 'u'), id: undefined }],
    ['a cut-off without a time', { ...cutoff('user', 'u'), atMs: Number.NaN }],
    ['a block whose end is no number', { ...block('agent', 'a'), expiresAtMs: Number.NaN }],
    ['a block that lets undefined times pass', { ...block('pair', 'p'), newerThanS: Number.NaN }],
  ]
  test.each(unusable)('refuses %s: what cannot be applied must stop its reader', (_title, entry) => {
    const set = new CutoffSet()
    expect(() => set.apply(entry as ControlEntry)).toThrow('control entry')
    expect(set.size).toBe(0)
  })
})
