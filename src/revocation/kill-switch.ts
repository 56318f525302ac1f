/**
 * The operator's one kill endpoint: a cut-off in any dimension, with a block where the operator wants one to stand, and the
 * lifting of blocks. One write each, whatever the number of tokens.
 */
import { z } from 'zod'
import { type BlockKind, pairKey } from '../authority/cutoffs.ts'
import type { SessionId } from '../kernel/ids.ts'
import { newJti } from '../kernel/ids.ts'
import { CUTOFF_LIFETIME_S, LIST_ENTRIES_MAX, NAME_CHARS_MAX, SESSION_LIFETIME_S_MAX } from '../kernel/limits.ts'
import { Rejection } from '../kernel/rejection.ts'
import { revokeNodes } from '../sessions/session-commits.ts'
import type { SessionView } from '../sessions/session-record.ts'
import type { ControlWrite } from '../store/ports.ts'
import { type Answered, type CallerRequest, callAsCaller } from './caller-request.ts'
import type { RevocationParts } from './client-call.ts'
import { isHeldBy, type KillReport, killNode, killSession, listedSessions, noWayRound, report, settle } from './kill.ts'

const name = z.string().min(1).max(NAME_CHARS_MAX)
const block = z.boolean().default(false)

export const killOrder = z.discriminatedUnion('dimension', [
  z.strictObject({ dimension: z.literal('session'), session: name }),
  z.strictObject({ dimension: z.literal('session_access'), session: name }),
  z.strictObject({ dimension: z.literal('node'), session: name, node: name }),
  z.strictObject({ dimension: z.literal('agent'), agent: name, block }),
  z.strictObject({ dimension: z.literal('user'), user: name, block }),
  z.strictObject({ dimension: z.literal('user_agent'), user: name, agent: name, block }),
])
export type KillOrder = z.infer<typeof killOrder>

export const liftOrder = z.strictObject({
  kind: z.enum(['agent', 'user', 'evidence', 'pair']),
  id: z
    .string()
    .min(1)
    .max(2 * NAME_CHARS_MAX),
})
export type LiftOrder = z.infer<typeof liftOrder>

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
    case 'node': {
      const view = await existing(order.session, parts)
      // The root node is the session.
      if (order.node === view.facts.rootNode) return killSession(view, 'revoked', parts, noWayRound(view, nowMs))
      return killNodeOf(view, order.node, parts)
    }
    case 'session_access': {
      const view = await existing(order.session, parts)
      const expiresAtMs = nowMs + SESSION_LIFETIME_S_MAX * 1000
      const { seq } = await write(
        [{ entry: 'cutoff', dimension: 'session_access', id: order.session, expiresAtMs }],
        parts,
      )
      return { ...report(seq, view, view.nodes), sessions: [] }
    }
    case 'agent':
      assertAgent(order.agent, parts)
      return killEverywhere(
        `agent:${order.agent}`,
        principalWrites('agent', order.agent, order.block, nowMs),
        parts,
        order.agent,
      )
    case 'user':
      return killEverywhere(order.user, principalWrites('user', order.user, order.block, nowMs), parts, undefined)
    case 'user_agent': {
      assertAgent(order.agent, parts)
      const pair = pairKey(order.user, order.agent)
      const writes: ControlWrite[] = [
        { entry: 'cutoff', dimension: 'user_agent', id: pair, expiresAtMs: nowMs + CUTOFF_LIFETIME_S * 1000 },
        ...(order.block ? [standing('pair', pair)] : []),
      ]
      return killEverywhere(order.user, writes, parts, order.agent)
    }
  }
}

function write(entries: readonly ControlWrite[], parts: RevocationParts) {
  return parts.cutoffs.write(parts.store.control, entries)
}

function principalWrites(
  dimension: 'agent' | 'user',
  id: string,
  blocked: boolean,
  nowMs: number,
): readonly ControlWrite[] {
  const expiresAtMs = nowMs + CUTOFF_LIFETIME_S * 1000
  return [{ entry: 'cutoff', dimension, id, expiresAtMs }, ...(blocked ? [standing(dimension, id)] : [])]
}

function standing(kind: BlockKind, id: string): ControlWrite {
  return { entry: 'block', kind, id, expiresAtMs: null }
}

function assertAgent(id: string, parts: RevocationParts): void {
  if (parts.registry.client(id) !== undefined) return
  throw new Rejection('not_found', 'no such agent or service: name it by its client id')
}

async function existing(id: string, parts: RevocationParts): Promise<SessionView> {
  const view = await parts.sessions.view(id as SessionId, Math.floor(parts.clock.nowMs() / 1000))
  if (view === undefined) throw new Rejection('not_found', 'no such session')
  return view
}

function killNodeOf(view: SessionView, id: string, parts: RevocationParts): Promise<KillReport> {
  if (view.nodes.some((node) => node.facts.id === id)) return killNode(view, id, parts)
  throw new Rejection('not_found', 'no such node in this session')
}

/**
 * The one write kills every token of the dimension. What follows only tidies: the sessions that lists know of are settled
 * (whole where their root is meant, else the nodes the agent holds) and reported.
 */
async function killEverywhere(
  index: string,
  writes: readonly ControlWrite[],
  parts: RevocationParts,
  agent: string | undefined,
): Promise<KillReport> {
  const { seq } = await write(writes, parts)
  const reports: KillReport[] = []
  for (const view of await listedSessions(`sessions:${index}`, parts, LIST_ENTRIES_MAX)) {
    if (agent === undefined || view.facts.rootAgent === agent) {
      await settle(view, 'revoked', parts)
      reports.push(report(seq, view, view.nodes))
      continue
    }
    const held = view.nodes.filter((node) => isHeldBy(node, agent))
    const ids = held.map((node) => node.facts.id)
    if (ids.length === 0) continue
    await parts.sessions.commit(revokeNodes(view.facts.id, ids, view.facts.notAfter), newJti(), undefined)
    reports.push({ ...report(seq, view, held), sessions: [] })
  }
  return { seq, sessions: reports.flatMap((one) => one.sessions), hops: reports.flatMap((one) => one.hops) }
}
