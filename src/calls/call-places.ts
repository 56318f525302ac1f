/**
 * What a call takes beside its session's own counters: a place in the budget that its tool has for an agent and a subject, which
 * no new session and no other token escapes; and, where a token was issued for fewer calls than its hop may make, one of that
 * token's. An agent that passes work on spends its own budget with it: every agent of the chain has to have a place.
 *
 * A place is taken before the call is counted in its session, and given back where it was not permitted after all. Where nobody
 * knows, it stays taken: a budget may give fewer calls than it could, and never more.
 */
import { BUDGET_CALLS_MAX } from '../kernel/call-limits.ts'
import { ACCESS_TOKEN_LIFETIME_S_MAX, CLOCK_SKEW_S } from '../kernel/limits.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { WindowLimit, WindowStore } from '../store/call-ports.ts'
import type { Bearer } from './bearer.ts'

interface Places {
  readonly owner: string
  readonly windows: readonly WindowLimit[]
  readonly lengthMs: number
  /** @param waitMs until there is one again, at most */
  refusal(waitMs: number): Rejection
}

/** Longer than any token: a place of it is never free again. */
const TOKEN_MS = (ACCESS_TOKEN_LIFETIME_S_MAX + CLOCK_SKEW_S) * 1000

export function placesFor(bearer: Bearer, tool: string): readonly Places[] {
  return [...ofBudget(bearer, tool), ...ofToken(bearer, tool)]
}

function ofBudget({ resource, asks }: Bearer, tool: string): readonly Places[] {
  const budget = resource.tools.get(tool)?.budget
  if (budget === undefined) return []
  const agents = new Set([asks.agent, ...asks.chain].map(({ clientId }) => clientId))
  const windows = [...agents].map((agent) => {
    return { name: JSON.stringify([agent, resource.url, tool]), limit: budget.maxCalls }
  })
  return [
    {
      owner: `calls ${asks.subject}`,
      windows,
      lengthMs: budget.perSeconds * 1000,
      refusal: (waitMs) => {
        const again = Math.max(1, Math.ceil(waitMs / 1000))
        const says = `an agent may call this tool ${budget.maxCalls} times in ${budget.perSeconds} seconds for one subject: again within ${again} seconds`
        return new Rejection('budget_exhausted', says)
      },
    },
  ]
}

/** Tokens are not stored, and a session's record has no room for each: what one may call is counted for as long as it may live. */
function ofToken({ token, resource, asks, node }: Bearer, tool: string): readonly Places[] {
  const max = asks.parent?.resources.get(resource.url)?.limits.maxCalls
  const ofHop = node.authority.resources.get(resource.url)?.limits.maxCalls
  if (max === undefined || max === ofHop) return []
  const windows = [{ name: JSON.stringify([resource.url, tool]), limit: Math.min(max, BUDGET_CALLS_MAX) }]
  const says = 'all calls of this tool that the token was issued for are made: get another'
  return [
    { owner: `token ${token.jti}`, windows, lengthMs: TOKEN_MS, refusal: () => new Rejection('calls_exhausted', says) },
  ]
}

/** All of them, or none. @throws Rejection `budget_exhausted`, `calls_exhausted`; StoreUnavailable */
export async function takePlaces(all: readonly Places[], id: string, windows: WindowStore): Promise<void> {
  for (const [index, places] of all.entries()) {
    const full = await windows.take(places.owner, id, places.windows, places.lengthMs)
    if (full === undefined) continue
    await releasePlaces(all.slice(0, index), id, windows)
    throw places.refusal(full.waitMs)
  }
}

export async function releasePlaces(all: readonly Places[], id: string, windows: WindowStore): Promise<void> {
  for (const places of all) {
    const names = places.windows.map(({ name }) => name)
    await windows.release(places.owner, id, names)
  }
}

/** The fewest that are left of any, and what a call is refused with where none is. @throws StoreUnavailable */
export async function placesLeft(
  all: readonly Places[],
  windows: WindowStore,
): Promise<{ readonly left: number; readonly refusal: Rejection } | undefined> {
  let fewest: { left: number; refusal: Rejection } | undefined
  for (const { owner, windows: limits, lengthMs, refusal } of all) {
    const names = limits.map(({ name }) => name)
    const taken = await windows.count(owner, names, lengthMs)
    for (const [index, { limit }] of limits.entries()) {
      const left = Math.max(0, limit - (taken[index] ?? 0))
      if (fewest === undefined || left < fewest.left) fewest = { left, refusal: refusal(lengthMs) }
    }
  }
  return fewest
}
