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

/** A role that names users is somebody's, listed or not: their issuer may vouch for them. */
export function borneIn({ users, agents, roles }: Registry, { environment }: Pick<Surroundings, 'environment'>): Borne {
  const named = roles.filter((role) => role.users.length > 0).map(({ name }) => name)
  return {
    groups: new Set(users.flatMap(({ groups }) => groups)),
    roles: new Set([...users.flatMap((user) => user.roles), ...named]),
    environments: new Set([environment, ...agents.map((agent) => agent.environment)]),
  }
}

/** A finding without `part` is about the whole grant. */
export function neverMatching(grant: Grant, borne: Borne, reach: ToolReach, now: number): readonly Finding[] {
  const found = concerningNobody(grant, borne, now)
  if (found.some(({ part }) => part === undefined)) return found
  const resources = grant.resources.flatMap((selector, index): Finding[] => {
    if (reach.of(selector).length > 0) return []
    const part = { member: 'resources', index } as const
    const says = 'selects no tool of any resource'
    return [{ ...misnaming(grant), path: `${grant.at}.resources[${index}]`, says, part }]
  })
  return [...found, ...resources]
}

/** What a deny names wrongly it does not deny; an allow only fails to allow it. */
function misnaming(grant: Grant): Pick<Finding, 'kind' | 'severity' | 'grant' | 'by'> {
  return { kind: 'never_matches', severity: grant.effect === 'deny' ? 'error' : 'warning', grant, by: [] }
}

/** As `neverMatching`, without what it says of tools. */
export function concerningNobody(grant: Grant, borne: Borne, now: number): readonly Finding[] {
  const { when, at } = grant
  const { notAfter = Number.POSITIVE_INFINITY, environment } = when
  const misnamed = misnaming(grant)
  if (notAfter <= now) {
    // Meant to end, and ended.
    return [{ ...misnamed, severity: 'warning', path: `${at}.when.not_after`, says: 'its time is over' }]
  }
  if (environment !== undefined && !borne.environments.has(environment)) {
    const says = `no agent is in environment ${environment}, nor is this broker`
    return [{ ...misnamed, path: `${at}.when.environment`, says }]
  }
  return grant.principals.flatMap((principal, index): Finding[] => {
    const unknown = unborne(principal, borne)
    if (unknown === undefined) return []
    const part = { member: 'principals', index } as const
    const says = `no listed user has the ${unknown}, and nobody else has any`
    return [{ ...misnamed, path: `${at}.principals[${index}]`, says, part }]
  })
}

function unborne(principal: PrincipalSelector, { groups, roles }: Borne): string | undefined {
  if ('group' in principal && !groups.has(principal.group)) return `group ${principal.group}`
  if ('role' in principal && !roles.has(principal.role)) return `role ${principal.role}`
  return undefined
}
