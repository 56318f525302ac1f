/**
 * What kills, and in which order: the control slot first, because writing there *is* the revocation and every broker hears
 * it; then the sessions' own slots, so that the next commit there fails by itself. Both are idempotent: a caller that got no
 * answer repeats the call (DESIGN §7).
 */
import type { Cutoff } from '../authority/cutoffs.ts'
import { pairKey } from '../authority/dimensions.ts'
import { newJti } from '../kernel/ids.ts'
import { CLOCK_SKEW_S, CUTOFF_LIFETIME_S, FOREIGN_EVIDENCE_MARGIN_S } from '../kernel/limits.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { LiveCutoffs } from '../sessions/live-cutoffs.ts'
import { enterState, revokeLeaf, revokeNodes, type SessionChange } from '../sessions/session-commits.ts'
import { type SessionView, subtree } from '../sessions/session-record.ts'
import type { SessionRepository } from '../sessions/session-repository.ts'
import { type ControlWrite, type Store, StoreUnavailable } from '../store/ports.ts'
import type { RevocationParts } from './client-call.ts'
import { deadHop, type KillReport, report } from './kill-report.ts'

export interface KillParts extends Pick<RevocationParts, 'clock'> {
  readonly store: Pick<Store, 'control' | 'indexes'>
  readonly sessions: Pick<SessionRepository, 'view' | 'commit'>
  readonly cutoffs: Pick<LiveCutoffs, 'set' | 'write' | 'storeNowMs' | 'standsUpTo'>
}

/** By the store's clock where the broker's is behind it: what is written with it must not end too early. Epoch ms. */
export function latestMs({ clock, cutoffs }: Pick<KillParts, 'clock' | 'cutoffs'>): number {
  return Math.max(clock.nowMs(), cutoffs.storeNowMs)
}

/** Ends a session: every node and token of it. `closed` by its own agent, `revoked` by anybody else. */
export async function killSession(
  view: SessionView,
  to: 'closed' | 'revoked',
  parts: KillParts,
  more: readonly ControlWrite[] = [],
): Promise<KillReport> {
  const { facts } = view
  const { seq } = await write([cutoff('session', facts.id, facts.notAfter), ...more], parts)
  const marked = await mark(enterState(facts.id, to, facts.notAfter), parts)
  return report(seq, view, { dead: view.nodes, whole: true, marked })
}

/** Kills a node and all below it; killing the root is ending the session. Siblings are unaffected. */
export function killNode(
  view: SessionView,
  id: string,
  parts: KillParts,
  more: readonly ControlWrite[] = [],
): Promise<KillReport> {
  return killNodes(view, [id], parts, more)
}

/** The same of several, in one write. */
export async function killNodes(
  view: SessionView,
  ids: readonly string[],
  parts: KillParts,
  more: readonly ControlWrite[] = [],
): Promise<KillReport> {
  const { facts } = view
  const cutoffs = ids.map((id) => cutoff('node', id, facts.notAfter))
  const { seq } = await write([...cutoffs, ...more], parts)
  const marked = await mark(revokeNodes(facts.id, ids, facts.notAfter), parts)
  const dead = new Set(ids.flatMap((id) => subtree(view, id)))
  return report(seq, view, { dead: [...dead], whole: false, marked })
}

/** Kills one access token by its `jti`, with what its server has gone on to by it. Repeating it writes no second cut-off where the first stands. */
export async function killToken(view: SessionView, token: DeadToken, parts: KillParts): Promise<KillReport> {
  const { facts } = view
  const hop = view.nodes.find((node) => node.facts.id === token.node)
  const own = hop === undefined ? [] : [{ ...deadHop(view, hop, 'tokens'), tokens: 1 }]
  const known = standing(parts.cutoffs.set.killing({ ...NOBODY, nodes: [token.jti] }), parts)
  const { seq } = known ?? (await write([cutoff('node', token.jti, token.expiresAt)], parts))
  const marked = await mark(revokeLeaf(facts.id, token.jti, facts.notAfter), parts)
  const below = report(seq, view, { dead: subtree(view, token.jti), whole: false, marked })
  const resources = token.resource === undefined ? [] : [token.resource]
  return { ...below, hops: [...own, ...below.hops], resources: [...new Set([...resources, ...below.resources])] }
}

export interface DeadToken {
  readonly jti: string
  /** The node it was issued from. */
  readonly node: string
  readonly expiresAt: number
  readonly resource?: string | undefined
}

const NOBODY = { rv: Number.MAX_SAFE_INTEGER, agents: [], versions: [], accessToken: false } as const

/** One that may not be on every replica is written again: its first order was refused for that. */
export function standing(known: Cutoff | undefined, { cutoffs }: Pick<KillParts, 'cutoffs'>): Cutoff | undefined {
  return known !== undefined && known.seq <= cutoffs.standsUpTo ? known : undefined
}

function cutoff(dimension: 'session' | 'node', id: string, until: number): ControlWrite {
  return { entry: 'cutoff', dimension, id, expiresAtMs: (until + CLOCK_SKEW_S) * 1000 }
}

function write(entries: readonly ControlWrite[], parts: KillParts) {
  return parts.cutoffs.write(parts.store.control, entries)
}

/**
 * Marks the session's own record, after the control slot has been written: from here on the revocation is a fact, and nothing
 * that fails may say otherwise. Already being in an end state is fine. `false`: the record could not be reached.
 */
export async function mark(change: SessionChange, parts: Pick<KillParts, 'sessions'>): Promise<boolean> {
  try {
    await parts.sessions.commit(change, newJti(), undefined)
    return true
  } catch (error) {
    if (error instanceof Rejection) return true
    if (error instanceof StoreUnavailable) return false
    throw error
  }
}

/**
 * A user's or reviewer's revoke leaves no way round: beside the session, this agent's access for this user is cut off, and
 * neither the evidence that opened it nor any older one opens another (DESIGN §7).
 */
export function noWayRound(
  view: SessionView,
  nowMs: number,
  holder: string = view.facts.rootAgent,
): readonly ControlWrite[] {
  const { facts } = view
  const pair = pairKey(facts.subject.principal, holder)
  const cut: ControlWrite = {
    entry: 'cutoff',
    dimension: 'user_agent',
    id: pair,
    expiresAtMs: nowMs + CUTOFF_LIFETIME_S * 1000,
  }
  // Nobody signs in for autonomous work: it stays refused until a reviewer lifts the block, and then begins anew.
  if (facts.subject.user === undefined) return [cut, { entry: 'block', kind: 'pair', id: pair, expiresAtMs: null }]
  const isRoot = holder === facts.rootAgent
  return [
    cut,
    {
      entry: 'block',
      kind: 'pair',
      id: pair,
      expiresAtMs: null,
      newerThanS: Math.floor(nowMs / 1000) + FOREIGN_EVIDENCE_MARGIN_S,
    },
    ...(isRoot && facts.evidence !== undefined ? [evidenceBlock(facts.evidence.digest, facts.evidence.expiresAt)] : []),
  ]
}

function evidenceBlock(digest: string, expiresAt: number): ControlWrite {
  return { entry: 'block', kind: 'evidence', id: digest, expiresAtMs: (expiresAt + CLOCK_SKEW_S) * 1000 }
}
