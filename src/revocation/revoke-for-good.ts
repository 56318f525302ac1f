/**
 * Revokes that reach beyond what they name: a user's or operator's word on one session cuts the agent off for that user, and
 * a cut-off of an agent, user or pair concerns every session it is in. The one write in the control slot has killed them all
 * before anything here begins; what follows marks and reports the sessions that lists know of, and can no longer fail.
 */
import type { SessionId } from '../kernel/ids.ts'
import { LIST_ENTRIES_MAX } from '../kernel/store-limits.ts'
import { TERMINAL_STATES } from '../model/session.ts'
import { enterState, revokeNodes } from '../sessions/session-commits.ts'
import { type SessionView, subtree } from '../sessions/session-record.ts'
import { StoreUnavailable } from '../store/ports.ts'
import { type KillParts, type KillReport, killNode, killSession, mark, noWayRound, report } from './kill.ts'

/** Ends a session with no way round, and what else its agent had for its subject. */
export async function revokeSession(view: SessionView, parts: KillParts): Promise<KillReport> {
  const own = await killSession(view, 'revoked', parts, noWayRound(view, parts.clock.nowMs()))
  return withOthers(own, view, view.facts.rootAgent, parts)
}

/** Ends a node and cuts its holder off for the session's subject. */
export async function revokeHolder(
  view: SessionView,
  node: string,
  holder: string,
  parts: KillParts,
): Promise<KillReport> {
  const own = await killNode(view, node, parts, noWayRound(view, parts.clock.nowMs(), holder))
  return withOthers(own, view, holder, parts)
}

async function withOthers(own: KillReport, view: SessionView, agent: string, parts: KillParts): Promise<KillReport> {
  const others = await markListed(own.seq, `sessions:${view.facts.subject.principal}`, parts, {
    agent,
    except: view.facts.id,
  })
  return merged(own.seq, [own, others])
}

/**
 * Marks the listed sessions that a cut-off has killed: whole where no agent is meant or it opened them, else the nodes it
 * holds and what is below them.
 */
export async function markListed(
  seq: number,
  index: string,
  parts: KillParts,
  concerned: { readonly agent?: string; readonly except?: SessionId } = {},
): Promise<KillReport> {
  const ids = await listed(index, parts)
  if (ids === undefined) return { seq, sessions: [], hops: [], unreached: [], truncated: true }
  const others = ids.filter((id) => id !== concerned.except)
  const reports = await Promise.all(others.map((id) => markOne(seq, id, parts, concerned.agent)))
  const all = merged(seq, reports)
  return ids.length >= LIST_ENTRIES_MAX ? { ...all, truncated: true } : all
}

/** `undefined`: the list cannot be read, so nobody can be named. */
async function listed(index: string, parts: KillParts): Promise<readonly SessionId[] | undefined> {
  try {
    return (await parts.store.indexes.list(index, parts.clock.nowMs(), LIST_ENTRIES_MAX)) as readonly SessionId[]
  } catch (error) {
    if (error instanceof StoreUnavailable) return undefined
    throw error
  }
}

async function markOne(seq: number, id: SessionId, parts: KillParts, agent: string | undefined): Promise<KillReport> {
  const nothing: KillReport = { seq, sessions: [], hops: [], unreached: [] }
  try {
    const view = await parts.sessions.view(id, Math.floor(parts.clock.nowMs() / 1000))
    if (view === undefined || TERMINAL_STATES.includes(view.state)) return nothing
    return await markHeld(seq, view, parts, agent)
  } catch (error) {
    if (error instanceof StoreUnavailable) return { ...nothing, unreached: [id] }
    throw error
  }
}

async function markHeld(
  seq: number,
  view: SessionView,
  parts: KillParts,
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

function merged(seq: number, reports: readonly KillReport[]): KillReport {
  return {
    seq,
    sessions: reports.flatMap((one) => one.sessions),
    hops: reports.flatMap((one) => one.hops),
    unreached: reports.flatMap((one) => one.unreached),
    ...(reports.some((one) => one.truncated === true) ? { truncated: true as const } : {}),
  }
}
