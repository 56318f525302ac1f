/**
 * Sessions that a cut-off has killed, as far as lists name them: marked in their own slots, and reported. The one write in the
 * control slot has killed them all before anything here begins; what follows can no longer fail.
 */
import type { SessionId } from '../kernel/ids.ts'
import { LIST_ENTRIES_MAX, LISTED_COUNTED_MAX } from '../kernel/store-limits.ts'
import { TERMINAL_STATES } from '../model/session.ts'
import { enterState, revokeNodes } from '../sessions/session-commits.ts'
import { type SessionView, subtree } from '../sessions/session-record.ts'
import { MalformedSession } from '../sessions/stored-values.ts'
import { StoreUnavailable } from '../store/ports.ts'
import { type KillParts, mark } from './kill.ts'
import type { Dying, Plan } from './kill-plan.ts'
import { type KillReport, merged, nothingDied, report } from './kill-report.ts'

export interface Concerned extends Pick<Plan, 'lists' | 'dies'> {
  readonly except?: SessionId
}

export async function markListed(seq: number, concerned: Concerned, parts: KillParts): Promise<KillReport> {
  const ids = await listed(concerned.lists, parts)
  if (ids === undefined) return { ...nothingDied(seq), truncated: true }
  const others = ids.filter((id) => id !== concerned.except)
  const reports = await Promise.all(others.map((id) => markOne(seq, id, concerned, parts)))
  const all = merged(seq, reports)
  if (ids.length < LIST_ENTRIES_MAX) return all
  return { ...all, truncated: true, ...(await countedOf(concerned.lists, ids.length, parts)) }
}

/** `undefined`: a list cannot be read, so nobody can be named. */
async function listed(
  lists: readonly string[],
  { store, clock }: KillParts,
): Promise<readonly SessionId[] | undefined> {
  const ids = new Set<SessionId>()
  try {
    for (const list of lists) {
      const found = await store.indexes.list(list, clock.nowMs(), LIST_ENTRIES_MAX)
      for (const id of found) if (ids.size < LIST_ENTRIES_MAX) ids.add(id as SessionId)
      if (ids.size === LIST_ENTRIES_MAX) break
    }
    return [...ids]
  } catch (error) {
    if (error instanceof StoreUnavailable) return undefined
    throw error
  }
}

async function countedOf(
  lists: readonly string[],
  sessions: number,
  { store, clock }: KillParts,
): Promise<Pick<KillReport, 'looked_at'>> {
  try {
    const counts = await Promise.all(lists.map((list) => store.indexes.count(list, clock.nowMs(), LISTED_COUNTED_MAX)))
    const of = counts.reduce((sum, count) => sum + count, 0)
    return { looked_at: { sessions, of: Math.max(of, sessions) } }
  } catch (error) {
    if (error instanceof StoreUnavailable) return {}
    throw error
  }
}

async function markOne(seq: number, id: SessionId, { dies }: Concerned, parts: KillParts): Promise<KillReport> {
  try {
    const view = await parts.sessions.view(id, Math.floor(parts.clock.nowMs() / 1000))
    if (view === undefined || TERMINAL_STATES.includes(view.state)) return nothingDied(seq)
    return await markDying(seq, view, dies(view), parts)
  } catch (error) {
    const isAway = error instanceof StoreUnavailable || error instanceof MalformedSession
    if (isAway) return { ...nothingDied(seq), unreached: [id] }
    throw error
  }
}

async function markDying(seq: number, view: SessionView, dying: Dying, parts: KillParts): Promise<KillReport> {
  const { id, notAfter } = view.facts
  if (dying.what === 'whole') {
    const marked = await mark(enterState(id, 'revoked', notAfter), parts)
    return report(seq, view, { dead: view.nodes, whole: true, marked })
  }
  if (dying.nodes.length === 0) return nothingDied(seq)
  if (dying.what !== 'nodes') {
    return report(seq, view, { dead: dying.nodes, whole: false, marked: true, only: dying.what })
  }
  const ids = dying.nodes.map(({ facts }) => facts.id)
  const marked = await mark(revokeNodes(id, ids, notAfter), parts)
  const below = new Set(ids.flatMap((node) => subtree(view, node)))
  // What had died before is not said to have died now.
  return report(seq, view, { dead: [...below].filter(({ revoked }) => !revoked), whole: false, marked })
}
