/**
 * What kills, and in which order: the control slot first, because writing there *is* the revocation and every broker hears
 * it; then the sessions' own slots, so that the next commit there fails by itself. Both are idempotent: a caller that got no
 * answer repeats the call (DESIGN §7).
 */
import { pairKey } from '../authority/cutoffs.ts'
import { newJti, type SessionId } from '../kernel/ids.ts'
import { CLOCK_SKEW_S, CUTOFF_LIFETIME_S, FOREIGN_EVIDENCE_MARGIN_S } from '../kernel/limits.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { SessionState } from '../model/session.ts'
import { enterState, revokeNodes } from '../sessions/session-commits.ts'
import { type NodeView, type SessionView, subtree } from '../sessions/session-record.ts'
import type { ControlWrite } from '../store/ports.ts'
import type { RevocationParts } from './client-call.ts'

/** One hop of what died: its node, who held it, and how many access tokens had been issued from it. */
export interface DeadHop {
  readonly session: SessionId
  readonly node: string
  readonly agent: string
  readonly depth: number
  readonly tokens: number
  /** A delegation that nobody had accepted yet. */
  readonly pending?: true
}

export interface KillReport {
  readonly seq: number
  readonly sessions: readonly SessionId[]
  readonly hops: readonly DeadHop[]
}

type Parts = Pick<RevocationParts, 'store' | 'sessions' | 'cutoffs' | 'clock'>

/** Ends a session: every node and token of it. `closed` by its own agent, `revoked` by anybody else. */
export async function killSession(
  view: SessionView,
  to: 'closed' | 'revoked',
  parts: Parts,
  more: readonly ControlWrite[] = [],
) {
  const { facts } = view
  const entry: ControlWrite = {
    entry: 'cutoff',
    dimension: 'session',
    id: facts.id,
    expiresAtMs: (facts.notAfter + CLOCK_SKEW_S) * 1000,
  }
  const { seq } = await parts.cutoffs.write(parts.store.control, [entry, ...more])
  await settle(view, to, parts)
  return report(seq, view, view.nodes)
}

/** Moves the session's own record to an end state; already being in one is fine. */
export async function settle(view: SessionView, to: SessionState, parts: Pick<Parts, 'sessions'>): Promise<void> {
  try {
    await parts.sessions.commit(enterState(view.facts.id, to, view.facts.notAfter), newJti(), undefined)
  } catch (error) {
    if (!(error instanceof Rejection && error.reason === 'session_not_issuing')) throw error
  }
}

/** Kills a node and all below it, or a single access token by its `jti`. Siblings are unaffected. */
export async function killNode(view: SessionView, id: string, parts: Parts): Promise<KillReport> {
  const { facts } = view
  const entry: ControlWrite = {
    entry: 'cutoff',
    dimension: 'node',
    id,
    expiresAtMs: (facts.notAfter + CLOCK_SKEW_S) * 1000,
  }
  const { seq } = await parts.cutoffs.write(parts.store.control, [entry])
  await parts.sessions.commit(revokeNodes(facts.id, [id], facts.notAfter), newJti(), undefined)
  return report(seq, view, subtree(view, id))
}

/**
 * A user's or reviewer's revoke leaves no way round: beside the session, this agent's access for this user is cut off, and
 * neither the evidence that opened it nor any older one opens another (DESIGN §7).
 */
export function noWayRound(view: SessionView, nowMs: number): readonly ControlWrite[] {
  const { facts } = view
  if (facts.subject.user === undefined) return []
  const pair = pairKey(facts.subject.principal, facts.rootAgent)
  return [
    { entry: 'cutoff', dimension: 'user_agent', id: pair, expiresAtMs: nowMs + CUTOFF_LIFETIME_S * 1000 },
    {
      entry: 'block',
      kind: 'pair',
      id: pair,
      expiresAtMs: null,
      newerThanS: Math.floor(nowMs / 1000) + FOREIGN_EVIDENCE_MARGIN_S,
    },
    ...(facts.evidence === undefined ? [] : [evidenceBlock(facts.evidence.digest, facts.evidence.expiresAt)]),
  ]
}

function evidenceBlock(digest: string, expiresAt: number): ControlWrite {
  return { entry: 'block', kind: 'evidence', id: digest, expiresAtMs: (expiresAt + CLOCK_SKEW_S) * 1000 }
}

/** The sessions of a principal that lists know of: for reports and to settle their slots; never what the kill rests on. */
export async function listedSessions(index: string, parts: Parts, limit: number): Promise<readonly SessionView[]> {
  const nowMs = parts.clock.nowMs()
  const ids = await parts.store.indexes.list(index, nowMs, limit)
  const views = await Promise.all(ids.map((id) => parts.sessions.view(id as SessionId, Math.floor(nowMs / 1000))))
  return views.filter((view) => view !== undefined)
}

export function isHeldBy(node: NodeView, agent: string): boolean {
  return node.facts.holder === agent
}

export function report(seq: number, view: SessionView, dead: readonly NodeView[]): KillReport {
  const whole = dead.length === view.nodes.length
  return { seq, sessions: whole ? [view.facts.id] : [], hops: dead.map((node) => deadHop(view, node)) }
}

function deadHop(view: SessionView, node: NodeView): DeadHop {
  return {
    session: view.facts.id,
    node: node.facts.id,
    agent: node.facts.holder,
    depth: depthOf(view, node),
    tokens: node.leaves,
    ...(node.accepted ? {} : { pending: true as const }),
  }
}

function depthOf(view: SessionView, node: NodeView): number {
  const parent = view.nodes.find((other) => other.facts.id === node.facts.parent)
  return parent === undefined ? 0 : depthOf(view, parent) + 1
}
