/**
 * The operator's one kill endpoint: a cut-off in any dimension, with a block where the operator wants one to stand, and the
 * lifting of blocks. One write each, whatever the number of tokens. A dry run is the same order with nothing that can write.
 */
import { changeRecord } from '../audit/change-record.ts'
import type { BlockKind } from '../authority/cutoffs.ts'
import { pairKey } from '../authority/dimensions.ts'
import type { SessionId } from '../kernel/ids.ts'
import { CLOCK_SKEW_S, SESSION_LIFETIME_S_MAX } from '../kernel/limits.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { Caller } from '../model/caller.ts'
import { answersFor } from '../model/owner.ts'
import type { Registry } from '../model/registry.ts'
import type { SessionView } from '../sessions/session-record.ts'
import { MalformedSession } from '../sessions/stored-values.ts'
import { CONTROL_ENTRIES_MAX } from '../store/bounds.ts'
import { type ControlWrite, StoreUnavailable } from '../store/ports.ts'
import { type Answered, type CallerRequest, callAsCaller } from './caller-request.ts'
import type { RevocationParts } from './client-call.ts'
import { killNode, latestMs } from './kill.ts'
import { killKey } from './kill-key.ts'
import type { KillOrder, LiftOrder } from './kill-order.ts'
import { planOf } from './kill-plan.ts'
import { type KillReport, nothingDied, report, type ToldReport, told } from './kill-report.ts'
import { markListed } from './mark-listed.ts'
import { type OrderParts, rehearsal } from './rehearsal.ts'
import { revokeSession } from './revoke-for-good.ts'

/** What died; or, of a dry run, what would. */
export type KillAnswer = { readonly revoked: ToldReport } | { readonly would_revoke: Omit<ToldReport, 'seq'> }

export async function killByOrder(
  request: CallerRequest,
  read: () => KillOrder,
  parts: RevocationParts,
): Promise<Answered<KillAnswer>> {
  let isDryRun = false
  return callAsCaller<KillAnswer>(request, parts, {
    event: 'control.write',
    // Whoever only looks is not in a hurry.
    mayDefer: () => !isDryRun,
    work: async (_caller, draft) => {
      const order = read()
      const { dry_run, ...ordered } = order
      isDryRun = dry_run
      if (dry_run) {
        draft.add({ event: 'admin.read', detail: `dry run ${JSON.stringify(ordered)}` })
        const { seq: _none, ...foreseen } = told(await perform(order, rehearsal(parts)), parts, 'operator')
        return { would_revoke: foreseen }
      }
      draft.add({ detail: JSON.stringify(ordered) })
      const before = standing(order, parts)
      const revoked = told(await perform(order, parts), parts, 'operator')
      draft.addChange(
        changeRecord(objectOf(order, parts.registries.current), before, standing(order, parts, revoked.seq)),
      )
      return { revoked }
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
    work: async (caller, draft) => {
      const order = read()
      // Ending needs no certainty. Bringing back does: whoever asks may have been cut off, and the block be a later one.
      parts.cutoffs.assertFresh()
      // A typing error must not look like a block lifted.
      const stands = ({ kind, id }: LiftOrder) => parts.cutoffs.set.blocked(kind, id, parts.clock.nowMs()) !== undefined
      if (!liftsOf(order).some(stands)) {
        throw new Rejection('not_found', 'there is no such block')
      }
      assertMayLift(caller, order, parts)
      draft.add({ detail: `lift ${JSON.stringify(order)}` })
      draft.addChange(changeRecord(`${order.kind} ${order.id}`, blockText(order.kind, order.id, parts), undefined))
      const { seq } = await parts.cutoffs.write(parts.store.control, liftsOf(order))
      return { seq }
    },
  })
}

/** As in a review: a halt is not ended under another name by whoever answers for the agent. @throws Rejection `review_same_person` */
function assertMayLift({ principal }: Caller, { kind, id }: LiftOrder, parts: RevocationParts): void {
  if (kind !== 'halt' && kind !== 'pair') return
  if (parts.cutoffs.set.blocked('halt', id, parts.clock.nowMs()) === undefined) return
  const registry = parts.registries.current
  const client = registry.client(id.slice(id.lastIndexOf('|') + 1))
  if (client?.kind !== 'agent' || !answersFor(registry, client.owner, principal)) return
  throw new Rejection('review_same_person', 'another reviewer has to let go on an agent that you answer for yourself')
}

/** Of a pair both: whoever says that it may go on does not mean that it stays halted. */
function liftsOf({ kind, id }: LiftOrder): readonly (ControlWrite & LiftOrder)[] {
  const kinds = kind === 'pair' ? (['pair', 'halt'] as const) : [kind]
  return kinds.map((one) => ({ entry: 'lift', kind: one, id }))
}

/** What the order is about, as the record of the change names it. */
function objectOf(order: KillOrder, registry: Registry): string {
  const block = blockMeant(order, registry)
  if (block !== undefined) return block.join(' ')
  const { dry_run: _never, ...about } = order
  return Object.values(about).join(' ')
}

/** The block that stands against it, or may come to. */
function blockMeant(order: KillOrder, registry: Registry): readonly [BlockKind, string] | undefined {
  switch (order.dimension) {
    case 'agent':
      return ['agent', order.agent]
    case 'agent_version':
      return ['agent_version', pairKey(order.agent, order.version)]
    case 'user':
      return ['user', order.user]
    case 'user_agent':
      return ['pair', pairKey(order.user, order.agent)]
    case 'issuer':
      return ['issuer', order.issuer]
    case 'resource':
      return ['resource', registry.resourceByName(order.resource)?.url ?? order.resource]
    default:
      return undefined
  }
}

/** What stands against it: a block, and, once it is written, the cut-off. */
function standing(order: KillOrder, parts: RevocationParts, seq?: number): string | undefined {
  const meant = blockMeant(order, parts.registries.current)
  const block = meant === undefined ? undefined : blockText(...meant, parts)
  return seq === undefined ? block : JSON.stringify({ cut_off: seq, ...(block && { block: JSON.parse(block) }) })
}

function blockText(kind: BlockKind, id: string, { cutoffs, clock }: RevocationParts): string | undefined {
  const block = cutoffs.set.blocked(kind, id, clock.nowMs())
  return block && JSON.stringify({ seq: block.seq, since: new Date(block.atMs).toISOString() })
}

async function perform(order: KillOrder, parts: OrderParts): Promise<KillReport> {
  switch (order.dimension) {
    case 'session':
      return killNamed(order.session, parts)
    case 'node':
      return killNodeOf(await existing(order.session, parts), order.node, parts)
    case 'session_access': {
      const view = await existing(order.session, parts)
      const expiresAtMs = (view.facts.notAfter + CLOCK_SKEW_S) * 1000
      const seq = await write([{ entry: 'cutoff', dimension: 'session_access', id: order.session, expiresAtMs }], parts)
      return report(seq, view, { dead: view.nodes, whole: false, marked: true, only: 'tokens' })
    }
    case 'key':
      return killKey(order.kid, parts)
    default: {
      const plan = planOf(order, parts.registries.current, latestMs(parts))
      return markListed(await write([...plan.cutoffs, ...plan.blocks], parts), plan, parts)
    }
  }
}

/** In one write, but where an owner has more agents than one takes. */
async function write(entries: readonly ControlWrite[], { cutoffs, store }: OrderParts): Promise<number> {
  let last = 0
  for (let at = 0; at < entries.length; at += CONTROL_ENTRIES_MAX) {
    const { seq } = await cutoffs.write(store.control, entries.slice(at, at + CONTROL_ENTRIES_MAX))
    last = seq
  }
  return last
}

/** A session by its id. Where its own record cannot be read the control slot still kills it, for as long as one may live. */
async function killNamed(id: string, parts: OrderParts): Promise<KillReport> {
  try {
    return await revokeSession(await existing(id, parts), parts)
  } catch (error) {
    if (!(error instanceof StoreUnavailable || error instanceof MalformedSession)) throw error
    const expiresAtMs = latestMs(parts) + SESSION_LIFETIME_S_MAX * 1000
    const seq = await write([{ entry: 'cutoff', dimension: 'session', id, expiresAtMs }], parts)
    return { ...nothingDied(seq), unreached: [id as SessionId] }
  }
}

async function existing(id: string, parts: OrderParts): Promise<SessionView> {
  const view = await parts.sessions.view(id as SessionId, Math.floor(parts.clock.nowMs() / 1000))
  if (view === undefined) throw new Rejection('not_found', 'no such session')
  return view
}

/** The root node is the session. Below it exactly this dies: an operator who means the agent says so, by `user_agent`. */
function killNodeOf(view: SessionView, id: string, parts: OrderParts): Promise<KillReport> {
  const node = view.nodes.find(({ facts }) => facts.id === id)
  if (node === undefined) throw new Rejection('not_found', 'no such node in this session')
  return node.facts.parent === undefined ? revokeSession(view, parts) : killNode(view, id, parts)
}
