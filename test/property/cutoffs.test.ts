/** The laws of the cut-off set: order and repetition never show, more entries never revive, pruning forgets only the expired. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Block, type ControlEntry, type Cutoff, CutoffSet } from '../../src/authority/cutoffs.ts'
import { concerningCall, type Dimension, EVERYTHING, pairKey } from '../../src/authority/dimensions.ts'
import { CURRENT_POLICY } from '../../src/authority/policy-entry.ts'
import type { EvidenceFacts, TokenFacts } from '../../src/authority/token-facts.ts'
import { FOREIGN_EVIDENCE_MARGIN_S } from '../../src/kernel/limits.ts'
import { shardName } from '../../src/kernel/shard.ts'

const AGENTS = ['a1', 'a2']
const USERS = ['user:i1:u1', 'user:i2:u2']
const VERSIONS = [pairKey('a1', 'v1'), pairKey('a1', 'v2')]
const NODES = ['n1', 'n2', 'n3']
const PAIRS = USERS.flatMap((user) => AGENTS.map((agent) => pairKey(user, agent)))
const IDS: Readonly<Record<Dimension, readonly string[]>> = {
  node: NODES,
  session: ['s1', 's2'],
  key: ['k1'],
  session_access: ['s1', 's2'],
  agent: AGENTS,
  user: USERS,
  user_agent: PAIRS,
  everything: [EVERYTHING],
  shard: [shardName('s1')],
  agent_access: AGENTS,
  user_access: USERS,
  pair_access: PAIRS,
  resource: ['r1', 'r2', EVERYTHING],
  issuer: ['i1', 'i2'],
  issuer_sign_ins: ['i1', 'i2'],
  agent_version: VERSIONS,
  tool: [pairKey('r1', 't1'), pairKey('r2', 't1')],
}
const BLOCK_IDS: Readonly<Record<Block['kind'], readonly string[]>> = {
  agent: AGENTS,
  agent_version: VERSIONS,
  user: USERS,
  issuer: ['i1'],
  resource: ['r1'],
  evidence: ['d1'],
  pair: PAIRS.slice(0, 2),
  halt: PAIRS.slice(0, 2),
}

const seq = fc.integer({ min: 0, max: 6 })
const atMs = fc.constantFrom(0, 999, 1000, 1001, 60_000)
const timeMs = fc.integer({ min: 0, max: 8 })

const cutoff: fc.Arbitrary<Cutoff> = fc.constantFrom(...(Object.keys(IDS) as Dimension[])).chain((dimension) =>
  fc.record({
    entry: fc.constant('cutoff' as const),
    dimension: fc.constant(dimension),
    id: fc.constantFrom(...IDS[dimension]),
    seq,
    atMs,
    expiresAtMs: timeMs,
  }),
)

const blockKind = fc.constantFrom(...(Object.keys(BLOCK_IDS) as Block['kind'][]))

const block: fc.Arbitrary<Block> = blockKind.chain((kind) =>
  fc.record(
    {
      entry: fc.constant('block' as const),
      kind: fc.constant(kind),
      id: fc.constantFrom(...BLOCK_IDS[kind]),
      seq,
      atMs,
      expiresAtMs: fc.option(timeMs),
      newerThanS: fc.integer({ min: 58, max: 62 }),
    },
    { requiredKeys: ['entry', 'kind', 'id', 'seq', 'atMs', 'expiresAtMs'] },
  ),
)

const lift = blockKind.chain((kind) =>
  fc.record({
    entry: fc.constant('lift' as const),
    kind: fc.constant(kind),
    id: fc.constantFrom(...BLOCK_IDS[kind]),
    seq,
    atMs,
  }),
)

const policy = fc.record({
  entry: fc.constant('policy' as const),
  id: fc.constant(CURRENT_POLICY),
  version: fc.constantFrom('v1', 'v2'),
  seq,
  atMs,
})

const entry: fc.Arbitrary<ControlEntry> = fc.oneof(
  { arbitrary: cutoff, weight: 2 },
  { arbitrary: block, weight: 2 },
  { arbitrary: lift, weight: 2 },
  { arbitrary: policy, weight: 1 },
)

const entries = fc.array(entry, { maxLength: 14, size: 'max' })

const facts: fc.Arbitrary<TokenFacts> = fc.record(
  {
    rv: seq,
    session: fc.constantFrom(...IDS.session),
    nodes: fc.subarray(NODES),
    agents: fc.subarray(AGENTS),
    versions: fc.subarray(VERSIONS),
    user: fc.constantFrom(...USERS),
    kid: fc.constant('k1'),
    accessToken: fc.boolean(),
    audience: fc.constantFrom('r1', 'r2', 'r3'),
  },
  { requiredKeys: ['rv', 'nodes', 'agents', 'versions', 'accessToken'] },
)

const evidence: fc.Arbitrary<EvidenceFacts> = fc.record(
  {
    digest: fc.constantFrom('d1', 'd2'),
    subject: fc.constantFrom(...USERS, undefined),
    agent: fc.constantFrom(...AGENTS),
    user: fc.constantFrom(...USERS),
    version: fc.constantFrom('v1', 'v2'),
    issuer: fc.constantFrom('i1', 'i2'),
    signedInAt: fc.constantFrom(58, 59, 60, 61, 62, 119, 120, 121),
  },
  { requiredKeys: ['digest', 'subject', 'agent', 'signedInAt'] },
)

function setOf(list: readonly ControlEntry[]): CutoffSet {
  const set = new CutoffSet()
  for (const each of list) set.apply(each)
  return set
}

/** The same questions answered from a plain list, with no merging, no maps and no order. */
class NaiveSet {
  list: ControlEntry[] = []

  #cutoffs(): Cutoff[] {
    return this.list.filter((each) => each.entry === 'cutoff')
  }

  #blocks(): Block[] {
    const lifts = this.list.filter((each) => each.entry === 'lift')
    const isLifted = (held: Block) =>
      lifts.some((each) => each.kind === held.kind && each.id === held.id && each.seq > held.seq)
    return this.list.filter((each) => each.entry === 'block').filter((held) => !isLifted(held))
  }

  prune(nowMs: number): void {
    const isLive = (held: Cutoff) =>
      this.#cutoffs().some((c) => c.dimension === held.dimension && c.id === held.id && c.expiresAtMs > nowMs)
    this.list = this.list.filter((each) => {
      if (each.entry === 'cutoff') return isLive(each)
      if (each.entry !== 'block') return true
      return each.expiresAtMs === null || each.expiresAtMs > nowMs
    })
  }

  kills(token: TokenFacts): boolean {
    const concerns = ({ dimension, id }: Cutoff): boolean => {
      if (dimension === 'node') return token.nodes.includes(id)
      if (dimension === 'session') return token.session === id
      if (dimension === 'key') return token.kid === id
      if (dimension === 'session_access') return token.accessToken && token.session === id
      if (dimension === 'agent') return token.agents.includes(id)
      if (dimension === 'user') return token.user === id
      if (dimension === 'shard') return token.session !== undefined && shardName(token.session) === id
      if (dimension === 'everything') return true
      if (dimension === 'agent_access') return token.accessToken && token.agents.includes(id)
      if (dimension === 'user_access') return token.accessToken && token.user === id
      if (dimension === 'resource') return token.accessToken && (id === EVERYTHING || token.audience === id)
      if (dimension === 'issuer') return token.user?.startsWith(`user:${id}:`) === true
      if (dimension === 'agent_version') return token.versions.includes(id)
      if (dimension === 'tool' || dimension === 'issuer_sign_ins') return false
      if (dimension === 'pair_access' && !token.accessToken) return false
      return token.agents.some((agent) => token.user !== undefined && pairKey(token.user, agent) === id)
    }
    const absolute = ['node', 'session', 'key']
    return this.#cutoffs().some((c) => concerns(c) && (absolute.includes(c.dimension) || c.seq > token.rv))
  }

  killsCall(rv: number, resource: string, tool: string): boolean {
    return this.#cutoffs().some((c) => c.dimension === 'tool' && c.id === pairKey(resource, tool) && c.seq > rv)
  }

  refuses(offered: EvidenceFacts): string | undefined {
    const blocks = this.#blocks()
    if (blocks.some((b) => b.kind === 'evidence' && b.id === offered.digest)) return 'evidence_blocked'
    const isPairBlocked = blocks.some(
      (b) =>
        (b.kind === 'pair' || b.kind === 'halt') &&
        offered.subject !== undefined &&
        b.id === pairKey(offered.subject, offered.agent) &&
        !(b.kind === 'pair' && b.newerThanS !== undefined && offered.signedInAt > b.newerThanS),
    )
    const isCut = this.#cutoffs().some(
      (c) =>
        (c.dimension === 'everything' ||
          (c.dimension === 'agent' && c.id === offered.agent) ||
          (c.dimension === 'agent_version' &&
            offered.version !== undefined &&
            c.id === pairKey(offered.agent, offered.version)) ||
          (c.dimension === 'issuer' && c.id === offered.issuer) ||
          (c.dimension === 'issuer_sign_ins' && offered.user?.startsWith(`user:${c.id}:`)) ||
          (c.dimension === 'user' && c.id === offered.user) ||
          (c.dimension === 'user_agent' &&
            offered.user !== undefined &&
            c.id === pairKey(offered.user, offered.agent))) &&
        offered.signedInAt * 1000 <= c.atMs + FOREIGN_EVIDENCE_MARGIN_S * 1000,
    )
    return isPairBlocked || isCut ? 'principal_blocked' : undefined
  }

  blocked(kind: Block['kind'], id: string, nowMs: number): Partial<Block> | undefined {
    const live = this.#blocks().filter(
      (b) => b.kind === kind && b.id === id && (b.expiresAtMs === null || b.expiresAtMs > nowMs),
    )
    if (live.length === 0) return undefined
    const newer = live.map((b) => b.newerThanS ?? Number.POSITIVE_INFINITY)
    const strictest = Math.max(...newer)
    return {
      entry: 'block',
      kind,
      id,
      seq: Math.max(...live.map((b) => b.seq)),
      atMs: Math.max(...live.map((b) => b.atMs)),
      expiresAtMs: live.some((b) => b.expiresAtMs === null) ? null : Math.max(...live.map((b) => b.expiresAtMs ?? 0)),
      ...(Number.isFinite(strictest) ? { newerThanS: strictest } : {}),
    }
  }
}

/** Every answer a set gives to a fixed list of questions. */
function answers(
  set: CutoffSet | NaiveSet,
  tokens: readonly TokenFacts[],
  offered: readonly EvidenceFacts[],
  nowMs: number,
) {
  const isNaive = set instanceof NaiveSet
  return {
    killed: tokens.map((token) => (isNaive ? set.kills(token) : set.killing(token) !== undefined)),
    calls: tokens.map(({ rv, audience = '' }) =>
      isNaive ? set.killsCall(rv, audience, 't1') : set.killingAny([concerningCall(audience, 't1')], rv) !== undefined,
    ),
    refused: offered.map((each) => (isNaive ? set.refuses(each) : set.evidenceRefusal(each))),
    blocked: Object.entries(BLOCK_IDS).flatMap(([kind, ids]) =>
      ids.map((id) => set.blocked(kind as Block['kind'], id, nowMs)),
    ),
  }
}

const questions = fc.tuple(
  fc.array(facts, { minLength: 4, maxLength: 8 }),
  fc.array(evidence, { minLength: 3, maxLength: 6 }),
  timeMs,
)

describe('CutoffSet', () => {
  test('answers as a plain list of everything ever applied would, with prunes in between', () => {
    const step = fc.oneof({ weight: 6, arbitrary: entry }, { weight: 1, arbitrary: timeMs })
    const seen = { killed: 0, alive: 0, evidence_blocked: 0, principal_blocked: 0, accepted: 0, blocked: 0 }
    fc.assert(
      fc.property(fc.array(step, { maxLength: 16, size: 'max' }), questions, (steps, [tokens, offered, nowMs]) => {
        const set = new CutoffSet()
        const naive = new NaiveSet()
        for (const each of steps) {
          if (typeof each === 'number') {
            set.prune(each)
            naive.prune(each)
          } else {
            set.apply(each)
            naive.list.push(each)
          }
        }
        const given = answers(set, tokens, offered, nowMs)
        expect(given).toEqual(answers(naive, tokens, offered, nowMs))
        for (const dead of given.killed) seen[dead ? 'killed' : 'alive']++
        for (const why of given.refused) seen[(why ?? 'accepted') as keyof typeof seen]++
        for (const each of given.blocked) if (each !== undefined) seen.blocked++
      }),
      { numRuns: 1500 },
    )
    expect(Math.min(...Object.values(seen))).toBeGreaterThan(200)
  })

  test('gives the same answers whatever the order and repetition of its entries', () => {
    const shuffled = entries.chain((list) =>
      fc.tuple(fc.constant(list), fc.shuffledSubarray([...list, ...list], { minLength: list.length * 2 })),
    )
    fc.assert(
      fc.property(shuffled, questions, ([list, other], [tokens, offered, nowMs]) => {
        expect(answers(setOf(list), tokens, offered, nowMs)).toEqual(answers(setOf(other), tokens, offered, nowMs))
        expect(setOf(other).size).toBe(setOf(list).size)
      }),
      { numRuns: 1500 },
    )
  })

  test('is what its own entries make it: they can be asserted again to an empty store', () => {
    fc.assert(
      fc.property(entries, questions, (list, [tokens, offered, nowMs]) => {
        const set = setOf(list)
        const again = setOf(set.entries())
        expect(answers(again, tokens, offered, nowMs)).toEqual(answers(set, tokens, offered, nowMs))
        expect(again.entries()).toEqual(set.entries())
      }),
      { numRuns: 800 },
    )
  })

  test('never revives anything by a cut-off or a block more', () => {
    let dead = 0
    fc.assert(
      fc.property(entries, fc.array(fc.oneof(cutoff, block)), questions, (list, more, [tokens, offered, nowMs]) => {
        const before = answers(setOf(list), tokens, offered, nowMs)
        const after = answers(setOf([...list, ...more]), tokens, offered, nowMs)
        for (const [index, killed] of before.killed.entries()) {
          if (!killed) continue
          dead++
          expect(after.killed[index]).toBe(true)
        }
        for (const [index, why] of before.refused.entries())
          if (why !== undefined) expect(after.refused[index]).toBeDefined()
        for (const [index, held] of before.blocked.entries())
          if (held !== undefined) expect(after.blocked[index]).toBeDefined()
      }),
      { numRuns: 800 },
    )
    expect(dead).toBeGreaterThan(300)
  })

  test('never lets a lift touch a cut-off', () => {
    fc.assert(
      fc.property(entries, fc.array(lift), questions, (list, lifts, [tokens]) => {
        const killed = (held: readonly ControlEntry[]) => answers(setOf(held), tokens, [], 0).killed
        expect(killed([...list, ...lifts])).toEqual(killed(list))
      }),
      { numRuns: 400 },
    )
  })

  test('prunes only what has expired: what lives on answers as before', () => {
    const seen = { kept: 0, gone: 0 }
    fc.assert(
      fc.property(entries, timeMs, questions, (list, nowMs, [tokens, offered]) => {
        const set = setOf(list)
        const held = set.size
        const unexpired = list.filter(
          (each) => !('expiresAtMs' in each) || each.expiresAtMs === null || each.expiresAtMs > nowMs,
        )
        const least = answers(setOf(unexpired), tokens, offered, nowMs)
        set.prune(nowMs)
        const after = answers(set, tokens, offered, nowMs)
        for (const [index, killed] of least.killed.entries()) if (killed) expect(after.killed[index]).toBe(true)
        for (const [index, why] of least.refused.entries())
          if (why !== undefined) expect(after.refused[index]).toBeDefined()
        expect(after.blocked).toEqual(least.blocked)
        for (const each of set.entries()) {
          if ('expiresAtMs' in each && each.expiresAtMs !== null) expect(each.expiresAtMs).toBeGreaterThan(nowMs)
        }
        seen[set.size < held ? 'gone' : 'kept']++
      }),
      { numRuns: 1000 },
    )
    expect(Math.min(seen.kept, seen.gone)).toBeGreaterThan(50)
  })
})
