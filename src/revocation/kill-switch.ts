/**
 * The operator's one kill endpoint: a cut-off in any dimension, with a block where the operator wants one to stand, and the
 * lifting of blocks. One write each, whatever the number of tokens.
 */
import { pairKey } from '../authority/cutoffs.ts'
import type { SessionId } from '../kernel/ids.ts'
import { CLOCK_SKEW_S, CUTOFF_LIFETIME_S, LIST_ENTRIES_MAX } from '../kernel/limits.ts'
import { Rejection } from '../kernel/rejection.ts'
import { TERMINAL_STATES } from '../model/session.ts'
import { enterState, revokeNodes } from '../sessions/session-commits.ts'
import { type SessionView, subtree } from '../sessions/session-record.ts'
import type { ControlWrite } from '../store/ports.ts'
import { type Answered, type CallerRequest, callAsCaller } from './caller-request.ts'
import type { RevocationParts } from './client-call.ts'
import { type KillReport, killNode, killSession, listedSessions, mark, noWayRound, report } from './kill.ts'
import { assertKnown, type KillOrder, type LiftOrder } from './kill-order.ts'

export function killByOrder(
  request: CallerRequest,
  read: () => KillOrder,
  parts: RevocationParts,
): Promise<Answered<KillReport>> {
  return callAsCaller(request, parts, {
    event: 'control.write',
    mayDefer: true,
    work: (_caller, draft) => {
      const order = read()
      draft.add({ detail: JSON.stringify(order) })
      return perform(order, parts)
    },
  })
}

/** Lifting a block brings no token back: what was cut off stays dead, only new sessions become possible. */
export function liftByOrder(
  request: CallerRequest,
  read: () => LiftOrder,
  parts: RevocationParts,
): Promise<Answered<{ seq: number }>> {
  return callAsCaller(request, parts, {
    event: 'control.write',
    mayDefer: false,
    work: async (_caller, draft) => {
      const order = read()
      // A typing error must not look like a block lifted.
      if (parts.cutoffs.set.blocked(order.kind, order.id, parts.clock.nowMs()) === undefined) {
        throw new Rejection('not_found', 'there is no such block')
      }
      draft.add({ detail: `lift ${JSON.stringify(order)}` })
      const { seq } = await parts.cutoffs.write(parts.store.control, [
        { entry: 'lift', kind: order.kind, id: order.id },
      ])
      return { seq }
    },
  })
}

async function perform(order: KillOrder, parts: RevocationParts): Promise<KillReport> {
  const nowMs = parts.clock.nowMs()
  switch (order.dimension) {
    case 'session': {
      const view = await existing(order.session, parts)
      return killSession(view, 'revoked', parts, noWayRound(view, nowMs))
    }
    case 'node':
      return killNodeOf(await existing(order.session, parts), order.node, parts)
    case 'session_access': {
      const view = await existing(order.session, parts)
      const expiresAtMs = (view.facts.notAfter + CLOCK_SKEW_S) * 1000
      const { seq } = await write(
        [{ entry: 'cutoff', dimension: 'session_access', id: order.session, expiresAtMs }],
        parts,
      )
      return report(seq, view, { dead: view.nodes, whole: false, marked: true })
    }
    case 'agent':
      assertKnown(order, parts.registry)
      return killEverywhere(`agent:${order.agent}`, principalWrites(order, order.agent, nowMs), parts, order.agent)
    case 'user':
      assertKnown(order, parts.registry)
      return killEverywhere(order.user, principalWrites(order, order.user, nowMs), parts)
    case 'user_agent':
      assertKnown(order, parts.registry)
      return killEverywhere(
        order.user,
        principalWrites(order, pairKey(order.user, order.agent), nowMs),
        parts,
        order.agent,
      )
  }
}

function write(entries: readonly ControlWrite[], parts: RevocationParts) {
  return parts.cutoffs.write(parts.store.control, entries)
}

type PrincipalOrder = Extract<KillOrder, { readonly block: boolean }>
const BLOCK_OF = { agent: 'agent', user: 'user', user_agent: 'pair' } as const

function principalWrites(order: PrincipalOrder, id: string, nowMs: number): readonly ControlWrite[] {
  const { dimension } = order
  const cutoff: ControlWrite = { entry: 'cutoff', dimension, id, expiresAtMs: nowMs + CUTOFF_LIFETIME_S * 1000 }
  if (!order.block) return [cutoff]
  return [cutoff, { entry: 'block', kind: BLOCK_OF[dimension], id, expiresAtMs: null }]
}

async function existing(id: string, parts: RevocationParts): Promise<SessionView> {
  const view = await parts.sessions.view(id as SessionId, Math.floor(parts.clock.nowMs() / 1000))
  if (view === undefined) throw new Rejection('not_found', 'no such session')
  return view
}

/** The root node is the session. Below it exactly this dies: an operator who means the agent says so, by `user_agent`. */
function killNodeOf(view: SessionView, id: string, parts: RevocationParts): Promise<KillReport> {
  const node = view.nodes.find(({ facts }) => facts.id === id)
  if (node === undefined) throw new Rejection('not_found', 'no such node in this session')
  if (node.facts.parent !== undefined) return killNode(view, id, parts)
  return killSession(view, 'revoked', parts, noWayRound(view, parts.clock.nowMs()))
}

/**
 * The one write kills every token of the dimension. What follows only marks and reports the sessions that lists know of:
 * whole where no agent is meant or it opened them, else the nodes it holds and what is below them.
 */
async function killEverywhere(
  index: string,
  writes: readonly ControlWrite[],
  parts: RevocationParts,
  agent?: string,
): Promise<KillReport> {
  const { seq } = await write(writes, parts)
  const views = await listedSessions(`sessions:${index}`, parts)
  const live = views.filter(({ state }) => !TERMINAL_STATES.includes(state))
  const reports = await Promise.all(live.map((view) => markHeld(seq, view, parts, agent)))
  return {
    seq,
    sessions: reports.flatMap((one) => one.sessions),
    hops: reports.flatMap((one) => one.hops),
    unreached: reports.flatMap((one) => one.unreached),
    ...(views.length >= LIST_ENTRIES_MAX ? { truncated: true as const } : {}),
  }
}

async function markHeld(
  seq: number,
  view: SessionView,
  parts: RevocationParts,
  agent: string | undefined,
): Promise<KillReport> {
  const { id, rootAgent, notAfter } = view.facts
  if (agent === undefined || rootAgent === agent) {
    const marked = await mark(enterState(id, 'revoked', notAfter), parts)
    return report(seq, view, { dead: view.nodes, whole: true, marked })
  }
  const held = view.nodes.filter(({ facts }) => facts.holder === agent).map(({ facts }) => facts.id)
  if (held.length === 0) return { seq, sessions: [], hops: [], unreached: [] }
  const marked = await mark(revokeNodes(id, held, notAfter), parts)
  const below = new Set(held.flatMap((node) => subtree(view, node)))
  return report(seq, view, { dead: [...below], whole: false, marked })
}
