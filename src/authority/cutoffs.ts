/**
 * Cut-offs and blocks (DESIGN §7): the entries of the control feed, and the set of them that brokers and verifiers hold.
 *
 * Applying entries in any order, any number of times, gives the same set; more entries never revive anything, except that a
 * lift ends the blocks written before it. Whatever cannot be compared (a missing number, an unknown dimension) kills or throws.
 */
import { FOREIGN_EVIDENCE_MARGIN_S } from '../kernel/limits.ts'
import { shardName } from '../kernel/shard.ts'
import {
  type Concern,
  concerning,
  concerningEvidence,
  DIMENSIONS,
  type Dimension,
  EVERYTHING,
  isAbsolute,
  pairKey,
} from './dimensions.ts'
import type { PolicyEntry } from './policy-entry.ts'
import { covers, isExpired, stricter, wellFormed } from './strictness.ts'
import type { EvidenceFacts, TokenFacts } from './token-facts.ts'

/** Everything in this dimension decided before `seq` is dead. */
export interface Cutoff {
  readonly entry: 'cutoff'
  readonly dimension: Dimension
  /** Node, session or key id, client id, user principal, resource URL, issuer slug, or a `pairKey`. */
  readonly id: string
  readonly seq: number
  /** Time of the store when it was written: what foreign evidence is compared with. */
  readonly atMs: number
  /** After this, nothing it could concern is alive. */
  readonly expiresAtMs: number
}

/** `halt`: an agent for a subject, or evidence, until a reviewer has looked: a kind of its own, so that lifting one lifts no other. */
export type BlockKind = 'agent' | 'agent_version' | 'user' | 'issuer' | 'resource' | 'evidence' | 'pair' | 'halt'

/** A standing refusal, until lifted or expired. */
export interface Block {
  readonly entry: 'block'
  readonly kind: BlockKind
  /** Client id, user principal, issuer slug, resource URL, evidence digest (`evidence`, `halt`), `pairKey(subject, agent)` (`pair`, `halt`) or `pairKey(agent, version)`. */
  readonly id: string
  readonly seq: number
  readonly atMs: number
  /** `null`: until lifted. */
  readonly expiresAtMs: number | null
  /** For `pair`: evidence whose `auth_time` (`iat` where there is none) is later than this passes. Epoch seconds. */
  readonly newerThanS?: number
}

export interface Lift {
  readonly entry: 'lift'
  readonly kind: BlockKind
  readonly id: string
  readonly seq: number
  readonly atMs: number
}

export type ControlEntry = Cutoff | Block | Lift | PolicyEntry

const BLOCK_KINDS: readonly BlockKind[] = [
  'agent',
  'agent_version',
  'user',
  'issuer',
  'resource',
  'evidence',
  'pair',
  'halt',
]

/** The in-memory revocation set that both ends share. */
export class CutoffSet {
  readonly #cutoffs = new Map<Dimension, Map<string, Cutoff>>(DIMENSIONS.map((dimension) => [dimension, new Map()]))
  /**
   * Every block that no other covers. Merging two into one would lose which of them a lift between them had ended, and the
   * order of arrival would show.
   */
  readonly #blocks = new Map<BlockKind, Map<string, readonly Block[]>>(BLOCK_KINDS.map((kind) => [kind, new Map()]))
  readonly #lifts = new Map<BlockKind, Map<string, Lift>>(BLOCK_KINDS.map((kind) => [kind, new Map()]))
  #policy: PolicyEntry | undefined
  #appliedSeq = 0

  /** Up to here every write of the control slot has been applied: the `rv` of what is decided now. */
  get appliedSeq(): number {
    return this.#appliedSeq
  }

  /** Says that everything up to `seq` has been applied. Never moves backwards. */
  advance(seq: number): void {
    this.#appliedSeq = Math.max(this.#appliedSeq, wellFormed(seq, 'seq'))
  }

  /** @throws Error for an entry it cannot hold things to: to pass one over would let what it kills live. */
  apply(entry: ControlEntry): void {
    wellFormed(entry.seq, 'seq')
    wellFormed(entry.atMs, 'atMs')
    if (typeof entry.id !== 'string') throw new Error('control entry without an id')
    if (entry.entry === 'cutoff') this.#applyCutoff(entry)
    else if (entry.entry === 'block') this.#applyBlock(entry)
    else if (entry.entry === 'lift') this.#applyLift(entry)
    else if (entry.entry === 'policy') this.#applyPolicy(entry)
    else throw new Error('control entry of an unknown kind')
  }

  #applyCutoff(entry: Cutoff): void {
    wellFormed(entry.expiresAtMs, 'expiresAtMs')
    const known = mapOf(this.#cutoffs, entry.dimension)
    const held = known.get(entry.id)
    known.set(entry.id, held === undefined ? entry : stricter(held, entry))
  }

  #applyBlock(entry: Block): void {
    if (entry.expiresAtMs !== null) wellFormed(entry.expiresAtMs, 'expiresAtMs')
    if (entry.newerThanS !== undefined) wellFormed(entry.newerThanS, 'newerThanS')
    const blocks = mapOf(this.#blocks, entry.kind)
    const lift = mapOf(this.#lifts, entry.kind).get(entry.id)
    if (lift !== undefined && lift.seq > entry.seq) return
    const held = blocks.get(entry.id) ?? []
    if (held.some((block) => covers(block, entry))) return
    blocks.set(entry.id, [...held.filter((block) => !covers(entry, block)), entry])
  }

  #applyLift(entry: Lift): void {
    const lifts = mapOf(this.#lifts, entry.kind)
    const held = lifts.get(entry.id)
    if (held !== undefined && held.seq >= entry.seq) return
    lifts.set(entry.id, entry)
    this.#keepBlocks(entry.kind, entry.id, (block) => block.seq >= entry.seq)
  }

  #applyPolicy(entry: PolicyEntry): void {
    if (typeof entry.version !== 'string' || entry.version === '') throw new Error('policy entry without a version')
    const held = this.#policy
    // One number is one write, so two of one number are never seen; were they, the order of arrival must not decide.
    const isNewer =
      held === undefined || entry.seq > held.seq || (entry.seq === held.seq && entry.version > held.version)
    if (isNewer) this.#policy = entry
  }

  /** What is published now; `undefined`: nothing has been. */
  get policy(): PolicyEntry | undefined {
    return this.#policy
  }

  #keepBlocks(kind: BlockKind, id: string, isKept: (block: Block) => boolean): void {
    const blocks = mapOf(this.#blocks, kind)
    const kept = (blocks.get(id) ?? []).filter(isKept)
    if (kept.length === 0) blocks.delete(id)
    else blocks.set(id, kept)
  }

  /** A cut-off that this token is dead by; `undefined`: none. */
  killing(facts: TokenFacts): Cutoff | undefined {
    return this.killingAny(concerning(facts), facts.rv)
  }

  /**
   * The first of these that there is, and that the token's `rv` does not know.
   * @param names where this set calls ids otherwise: of each of them, in their order
   */
  killingAny(concerns: readonly Concern[], rv: number, names?: readonly string[]): Cutoff | undefined {
    let at = 0
    for (const [dimension, id] of concerns) {
      const name = names === undefined ? id : names[at++]
      if (name === undefined) throw new Error('a place without a name')
      const cutoff = this.#killingById(dimension, name, rv)
      if (cutoff !== undefined) return cutoff
    }
    return undefined
  }

  /** Not `seq > rv`: an `rv` that is no number must not outlive every cut-off. */
  #killingById(dimension: Dimension, id: string, rv: number): Cutoff | undefined {
    const cutoff = this.#cutoffs.get(dimension)?.get(id)
    if (cutoff === undefined || isAbsolute(dimension)) return cutoff
    return cutoff.seq <= rv ? undefined : cutoff
  }

  /** Why a foreign credential may not be used now; `undefined`: not for its time. Blocks of an agent or user: `blocked`. */
  evidenceRefusal(evidence: EvidenceFacts): 'evidence_blocked' | 'principal_blocked' | undefined {
    const { digest, subject, agent, signedInAt } = evidence
    if (this.#blocks.get('evidence')?.has(digest)) return 'evidence_blocked'
    if (this.#blocks.get('halt')?.has(digest)) return 'evidence_blocked'
    if (subject !== undefined && this.#blocks.get('halt')?.has(pairKey(subject, agent))) return 'principal_blocked'
    const pairBlocks = (subject === undefined ? [] : this.#blocks.get('pair')?.get(pairKey(subject, agent))) ?? []
    const passes = ({ newerThanS }: Block) => newerThanS !== undefined && signedInAt > newerThanS
    if (!pairBlocks.every(passes)) return 'principal_blocked'
    const cutoffs = concerningEvidence(evidence).map(([dimension, id]) => this.#cutoffs.get(dimension)?.get(id))
    const outlives = (cutoff: Cutoff) => (signedInAt - FOREIGN_EVIDENCE_MARGIN_S) * 1000 > cutoff.atMs
    return cutoffs.every((cutoff) => cutoff === undefined || outlives(cutoff)) ? undefined : 'principal_blocked'
  }

  /** When everything, or the shard of this key, was last cut off: what it was claimed by before, nobody knows. 0: never. */
  forgottenAtMs(key: string): number {
    const everything = this.#cutoffs.get('everything')?.get(EVERYTHING)?.atMs ?? 0
    return Math.max(everything, this.#cutoffs.get('shard')?.get(shardName(key))?.atMs ?? 0)
  }

  /** When blocks of this id were last lifted; 0: never. */
  liftedSeq(kind: BlockKind, id: string): number {
    return this.#lifts.get(kind)?.get(id)?.seq ?? 0
  }

  /** All unexpired blocks of this id as one, each member the strictest. */
  blocked(kind: BlockKind, id: string, nowMs: number): Block | undefined {
    const live = (this.#blocks.get(kind)?.get(id) ?? []).filter((block) => !isExpired(block, nowMs))
    return live.length === 0 ? undefined : live.reduce((a, b) => stricter(a, b))
  }

  /** Forgets what has expired (exclusive: at `expiresAtMs` it is gone). Lifts are kept: without them, a late block returns. */
  prune(nowMs: number): void {
    for (const cutoffs of this.#cutoffs.values()) {
      for (const [id, cutoff] of cutoffs) if (isExpired(cutoff, nowMs)) cutoffs.delete(id)
    }
    for (const [kind, blocks] of this.#blocks) {
      for (const id of blocks.keys()) this.#keepBlocks(kind, id, (block) => !isExpired(block, nowMs))
    }
  }

  get size(): number {
    return this.entries().length
  }

  /** Applied to an empty set, these give this set: what is asserted again to a store that may have lost writes. */
  entries(): readonly ControlEntry[] {
    return [
      ...[...this.#cutoffs.values()].flatMap((cutoffs) => [...cutoffs.values()]),
      ...[...this.#blocks.values()].flatMap((blocks) => [...blocks.values()].flat()),
      ...[...this.#lifts.values()].flatMap((lifts) => [...lifts.values()]),
      ...(this.#policy === undefined ? [] : [this.#policy]),
    ]
  }
}

function mapOf<K, V>(maps: ReadonlyMap<K, V>, key: K): V {
  const map = maps.get(key)
  if (map === undefined) throw new Error('control entry of an unknown dimension or kind')
  return map
}
