/**
 * Where the configuration says so, an agent that nobody has certified for today is issued nothing: a review that is put off
 * must cost somebody something. One without a date is not certified for ever, but not at all.
 */
import { Rejection } from '../kernel/rejection.ts'
import type { Agent } from '../model/client.ts'
import type { BrokerSettings } from '../model/settings.ts'

/**
 * Of every agent of the chain: what one may no longer do, those it passed it on to may not do either.
 * @param now epoch seconds
 * @throws Rejection `certification_overdue`
 */
export function assertCertified(
  agents: readonly Pick<Agent, 'clientId' | 'certifiedUntil'>[],
  { suspendOverdue }: Pick<BrokerSettings, 'suspendOverdue'>,
  now: number,
): void {
  if (!suspendOverdue) return
  const overdue = agents.find(({ certifiedUntil }) => certifiedUntil === undefined || !(now < certifiedUntil))
  if (overdue === undefined) return
  throw new Rejection('certification_overdue', `agent ${overdue.clientId} has to be reviewed and certified again`, {
    missing: [`certified_until of ${overdue.clientId}, later than now`],
  })
}
