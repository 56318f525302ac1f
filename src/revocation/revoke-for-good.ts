/**
 * Revokes that reach beyond what they name: a user's or operator's word on one session cuts the agent off for that user, and
 * a cut-off of an agent, user or pair concerns every session it is in. The one write in the control slot has killed them all
 * before anything here begins; what follows marks and reports the sessions that lists know of, and can no longer fail.
 */
import type { SessionView } from '../sessions/session-record.ts'
import { type KillParts, killNodes, killSession, latestMs, noWayRound } from './kill.ts'
import { held } from './kill-plan.ts'
import { type KillReport, merged } from './kill-report.ts'
import { markListed } from './mark-listed.ts'

/** Ends a session with no way round, and what else its agent had for its subject. */
export async function revokeSession(view: SessionView, parts: KillParts): Promise<KillReport> {
  const own = await killSession(view, 'revoked', parts, noWayRound(view, latestMs(parts)))
  return withOthers(own, view, view.facts.rootAgent, parts)
}

/** Ends a node and cuts its holder off for the session's subject. */
export function revokeHolder(view: SessionView, node: string, holder: string, parts: KillParts): Promise<KillReport> {
  return revokeHops(view, [node], holder, parts)
}

/** The same of several hops of one holder. */
export async function revokeHops(
  view: SessionView,
  nodes: readonly string[],
  holder: string,
  parts: KillParts,
): Promise<KillReport> {
  const own = await killNodes(view, nodes, parts, noWayRound(view, latestMs(parts), holder))
  return withOthers(own, view, holder, parts)
}

async function withOthers(own: KillReport, view: SessionView, agent: string, parts: KillParts): Promise<KillReport> {
  const lists = [`sessions:${view.facts.subject.principal}`]
  const concerned = { lists, dies: (other: SessionView) => held(other, [agent]), except: view.facts.id }
  return merged(own.seq, [own, await markListed(own.seq, concerned, parts)])
}
