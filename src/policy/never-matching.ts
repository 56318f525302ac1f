/** Grants that can match no question, and parts of them: their time is over, or they name who or what there is nobody and nothing of. */
import type { Grant, PrincipalSelector, Registry } from '../model/registry.ts'
import type { Finding } from './finding.ts'
import type { ToolReach } from './tool-reach.ts'

export interface Surroundings {
  /** The broker's own. */
  readonly environment: string
  /** Epoch seconds. */
  readonly now: number
}

/** Names a grant may use that cross-checks do not hold to the registry, as somebody bears them. */
export interface Borne {
  readonly groups: ReadonlySet<string>
  readonly roles: ReadonlySet<string>
  readonly environments: ReadonlySet<string>
}

export function borneIn({ users, agents }: Registry, { environment }: Surroundings): Borne {
  return {
    groups: new Set(users.flatMap(({ groups }) => groups)),
    roles: new Set(users.flatMap(({ roles }) => roles)),
    environments: new Set([environment, ...agents.map((agent) => agent.environment)]),
  }
}

/** A finding without `part` is about the whole grant. */
export function neverMatching(grant: Grant, borne: Borne, reach: ToolReach, now: number): readonly Finding[] {
  const { effect, when, at } = grant
  const { notAfter = Number.POSITIVE_INFINITY, environment } = when
  // What a deny names wrongly it does not deny; an allow only fails to allow it.
  const misnamed = { kind: 'never_matches', severity: effect === 'deny' ? 'error' : 'warning', grant, by: [] } as const
  if (notAfter <= now) {
    // Meant to end, and ended.
    return [{ ...misnamed, severity: 'warning', path: `${at}.when.not_after`, says: 'its time is over' }]
  }
  if (environment !== undefined && !borne.environments.has(environment)) {
    const says = `no agent is in environment ${environment}, nor is this broker`
    return [{ ...misnamed, path: `${at}.when.environment`, says }]
  }
  const principals = grant.principals.flatMap((principal, index): Finding[] => {
    const unknown = unborne(principal, borne)
    if (unknown === undefined) return []
    const part = { member: 'principals', index } as const
    const says = `no listed user has the ${unknown}, and nobody else has any`
    return [{ ...misnamed, path: `${at}.principals[${index}]`, says, part }]
  })
  const resources = grant.resources.flatMap((selector, index): Finding[] => {
    if (reach.of(selector).length > 0) return []
    const part = { member: 'resources', index } as const
    return [{ ...misnamed, path: `${at}.resources[${index}]`, says: 'selects no tool of any resource', part }]
  })
  return [...principals, ...resources]
}

function unborne(principal: PrincipalSelector, { groups, roles }: Borne): string | undefined {
  if ('group' in principal && !groups.has(principal.group)) return `group ${principal.group}`
  if ('role' in principal && !roles.has(principal.role)) return `role ${principal.role}`
  return undefined
}
