/**
 * Agents that somebody has to answer for: where the configuration says so, one that nobody has certified for today is issued nothing,
 * because a review that is put off must cost somebody something; and one whose owner has left, nothing after a grace.
 */
import { Rejection } from '../kernel/rejection.ts'
import { timeText } from '../kernel/time-text.ts'
import type { Agent } from '../model/client.ts'
import type { Orphans } from '../model/owner.ts'
import type { BrokerSettings } from '../model/settings.ts'

export interface GovernanceParts {
  readonly settings: Pick<BrokerSettings, 'suspendOverdue' | 'orphanGraceSeconds'>
  readonly orphans: Orphans
}

/**
 * Of every agent of the chain: what one may no longer do, those it passed it on to may not do either.
 * @param now epoch seconds
 * @throws Rejection `certification_overdue`, `agent_orphaned`
 */
export function assertGoverned(
  agents: readonly Pick<Agent, 'clientId' | 'certifiedUntil'>[],
  { settings, orphans }: GovernanceParts,
  now: number,
): void {
  if (settings.suspendOverdue) assertCertified(agents, now)
  for (const { clientId } of agents) {
    const since = orphans.since(clientId)
    if (since === undefined || now < Math.floor(since / 1000) + settings.orphanGraceSeconds) continue
    const left = timeText(Math.floor(since / 1000))
    throw new Rejection('agent_orphaned', `nobody answers for agent ${clientId}: its owner has left by ${left}`, {
      missing: [`an owner of ${clientId} who has not left`],
    })
  }
}

/** One without a date is not certified for ever, but not at all. */
function assertCertified(agents: readonly Pick<Agent, 'clientId' | 'certifiedUntil'>[], now: number): void {
  const overdue = agents.find(({ certifiedUntil }) => certifiedUntil === undefined || !(now < certifiedUntil))
  if (overdue === undefined) return
  throw new Rejection('certification_overdue', `agent ${overdue.clientId} has to be reviewed and certified again`, {
    missing: [`certified_until of ${overdue.clientId}, later than now`],
  })
}
