/**
 * How many access tokens with a scope an agent is issued per minute, as its registry entry says (`issuance`), by all brokers of
 * the store together: of three per minute there are never more than three within any sixty seconds. A place is taken before the
 * token is minted and given back where nothing came of it, so that what is refused does not count. One of unknown outcome counts.
 */
import { Rejection } from '../kernel/rejection.ts'
import type { Agent } from '../model/client.ts'
import type { WindowStore } from '../store/call-ports.ts'
import { OutboxFull, StoreUnavailable } from '../store/ports.ts'

const MINUTE_MS = 60_000

export interface Issuance {
  readonly agent: Pick<Agent, 'clientId' | 'issuance'>
  /** Of the token; a rule concerns it that names any of them. */
  readonly scopes: readonly string[]
  /** Of the request: asked again, it has its place already. */
  readonly id: string
}

/** `issue`, where there is a place for it. @throws Rejection `issuance_limited`, and whatever `issue` throws */
export async function issuedWithin<T>(
  windows: WindowStore,
  { agent, scopes, id }: Issuance,
  issue: () => Promise<T>,
): Promise<T> {
  const concerned = agent.issuance.filter(({ scope }) => scopes.includes(scope))
  if (concerned.length === 0) return issue()
  const limits = concerned.map(({ scope, perMinute }) => ({ name: scope, limit: perMinute }))
  const refused = await windows.take(agent.clientId, id, limits, MINUTE_MS)
  if (refused !== undefined) {
    const limit = limits.find(({ name }) => name === refused.full)?.limit
    throw new Rejection('issuance_limited', 'this agent has been issued as many tokens with this scope as it may be', {
      missing: [`fewer than ${limit} tokens with ${refused.full} within a minute`],
      retryAfterSeconds: Math.max(Math.ceil(refused.waitMs / 1000), 1),
    })
  }
  try {
    return await issue()
  } catch (error) {
    const names = limits.map(({ name }) => name)
    // A place that cannot be given back is given back by time.
    const isUnknown = error instanceof StoreUnavailable && !(error instanceof OutboxFull)
    if (!isUnknown) await windows.release(agent.clientId, id, names).catch(() => undefined)
    throw error
  }
}
