/**
 * The operator's one kill endpoint: a cut-off in any dimension, with a block where the operator wants one to stand, and the
 * lifting of blocks. One write each, whatever the number of tokens.
 */
import { changeRecord } from '../audit/change-record.ts'
import type { BlockKind } from '../authority/cutoffs.ts'
import { EVERYTHING, pairKey } from '../authority/dimensions.ts'
import type { SessionId } from '../kernel/ids.ts'
import { CLOCK_SKEW_S, CUTOFF_LIFETIME_S, SESSION_LIFETIME_S_MAX } from '../kernel/limits.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { SessionView } from '../sessions/session-record.ts'
import { type ControlWrite, StoreUnavailable } from '../store/ports.ts'
import { type Answered, type CallerRequest, callAsCaller } from './caller-request.ts'
import type { RevocationParts } from './client-call.ts'
import { type KillReport, killNode, report } from './kill.ts'
import { killKey } from './kill-key.ts'
import { assertKnown, type KillOrder, type LiftOrder } from './kill-order.ts'
import { markListed, revokeSession } from './revoke-for-good.ts'

export function killByOrder(
  request: CallerRequest,
  read: () => KillOrder,
  parts: RevocationParts,
): Promise<Answered<KillReport>> {
  return callAsCaller(request, parts, {
    event: 'control.write',
    mayDefer: true,
    work: async (_caller, draft) => {
      const order = read()
      draft.add({ detail: JSON.stringify(order) })
      const before = standing(order, parts)
      const report = await perform(order, parts)
      draft.addChange(changeRecord(objectOf(order), before, standing(order, parts, report.seq)))
      return report
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
      // Ending needs no certainty. Bringing back does: whoever asks may have been cut off, and the block be a later one.
      parts.cutoffs.assertFresh()
      // A typing error must not look like a block lifted.
      if (parts.cutoffs.set.blocked(order.kind, order.id, parts.clock.nowMs()) === undefined) {
        throw new Rejection('not_found', 'there is no such block')
      }
      draft.add({ detail: `lift ${JSON.stringify(order)}` })
      draft.addChange(changeRecord(`${order.kind} ${order.id}`, blockText(order.kind, order.id, parts), undefined))
      const { seq } = await parts.cutoffs.write(parts.store.control, [
        { entry: 'lift', kind: order.kind, id: order.id },
      ])
      return { seq }
    },
  })
}

/** What the order is about, as the record of the change names it. */
function objectOf(order: KillOrder): string {
  if ('block' in order) return `${BLOCK_OF[order.dimension]} ${concernedId(order)}`
  return Object.values(order).join(' ')
}

/** What stands against it: a block, and, once it is written, the cut-off. */
function standing(order: KillOrder, parts: RevocationParts, seq?: number): string | undefined {
  const block = 'block' in order ? blockText(BLOCK_OF[order.dimension], concernedId(order), parts) : undefined
  return seq === undefined ? block : JSON.stringify({ cut_off: seq, ...(block && { block: JSON.parse(block) }) })
}

function blockText(kind: BlockKind, id: string, { cutoffs, clock }: RevocationParts): string | undefined {
  const block = cutoffs.set.blocked(kind, id, clock.nowMs())
  return block && JSON.stringify({ seq: block.seq, since: new Date(block.atMs).toISOString() })
}

async function perform(order: KillOrder, parts: RevocationParts): Promise<KillReport> {
  const nowMs = parts.clock.nowMs()
  switch (order.dimension) {
    case 'session':
      return killNamed(order.session, parts)
    case 'node':
      return killNodeOf(await existing(order.session, parts), order.node, parts)
    case 'session_access': {
      const view = await existing(order.session, parts)
      const expiresAtMs = (view.facts.notAfter + CLOCK_SKEW_S) * 1000
      const { seq } = await write(
        [{ entry: 'cutoff', dimension: 'session_access', id: order.session, expiresAtMs }],
        parts,
      )
      const { hops } = report(seq, view, { dead: view.nodes, whole: false, marked: true })
      return { seq, sessions: [], hops: hops.map((hop) => ({ ...hop, only: 'tokens' })), unreached: [] }
    }
    case 'key':
      return killKey(order.kid, parts)
    case 'everything': {
      const expiresAtMs = nowMs + CUTOFF_LIFETIME_S * 1000
      const { seq } = await write([{ entry: 'cutoff', dimension: 'everything', id: EVERYTHING, expiresAtMs }], parts)
      return markListed(seq, 'sessions:all', parts, {})
    }
    case 'agent':
    case 'user':
    case 'user_agent':
      assertKnown(order, parts.registries.current)
      return killEverywhere(order, nowMs, parts)
  }
}

function write(entries: readonly ControlWrite[], parts: RevocationParts) {
  return parts.cutoffs.write(parts.store.control, entries)
}

type PrincipalOrder = Extract<KillOrder, { readonly block: boolean }>
const BLOCK_OF = { agent: 'agent', user: 'user', user_agent: 'pair' } as const

async function killEverywhere(order: PrincipalOrder, nowMs: number, parts: RevocationParts): Promise<KillReport> {
  const { dimension } = order
  const id = concernedId(order)
  const cutoff: ControlWrite = { entry: 'cutoff', dimension, id, expiresAtMs: nowMs + CUTOFF_LIFETIME_S * 1000 }
  const block: ControlWrite = { entry: 'block', kind: BLOCK_OF[dimension], id, expiresAtMs: null }
  const { seq } = await write(order.block ? [cutoff, block] : [cutoff], parts)
  const principal = order.dimension === 'agent' ? `agent:${order.agent}` : order.user
  return markListed(seq, `sessions:${principal}`, parts, 'agent' in order ? { agent: order.agent } : {})
}

function concernedId(order: PrincipalOrder): string {
  if (order.dimension === 'user_agent') return pairKey(order.user, order.agent)
  return order.dimension === 'agent' ? order.agent : order.user
}

/** A session by its id. Where its own record cannot be read the control slot still kills it, for as long as one may live. */
async function killNamed(id: string, parts: RevocationParts): Promise<KillReport> {
  try {
    return await revokeSession(await existing(id, parts), parts)
  } catch (error) {
    if (!(error instanceof StoreUnavailable)) throw error
    const expiresAtMs = parts.clock.nowMs() + SESSION_LIFETIME_S_MAX * 1000
    const { seq } = await write([{ entry: 'cutoff', dimension: 'session', id, expiresAtMs }], parts)
    return { seq, sessions: [], hops: [], unreached: [id as SessionId] }
  }
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
  return node.facts.parent === undefined ? revokeSession(view, parts) : killNode(view, id, parts)
}
