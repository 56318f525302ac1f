/**
 * Agents that may do what whoever answers for them could not be granted: nobody makes an agent stronger than they are. Only what
 * is certain is reported: any allow counts, whenever, wherever and however narrowly it holds, and only a deny that always holds.
 */

import { getOrInsertComputed } from '../kernel/maps.ts'
import { userName } from '../kernel/user-name.ts'
import type { Agent } from '../model/client.ts'
import { findUser } from '../model/find-user.ts'
import { ownerStanding, parseOwner } from '../model/owner.ts'
import type { Grant, Registry } from '../model/registry.ts'
import type { Tool } from '../model/resource.ts'
import { principalKey } from './grant-index.ts'
import { ToolReach } from './tool-reach.ts'

export interface BeyondOwner {
  readonly agent: Agent
  /** `drop_table at warehouse`, as many as its manifest has beyond its owner. */
  readonly tools: readonly string[]
}

export interface OwnedAgents {
  readonly beyond: readonly BeyondOwner[]
  /** Owned by a team, of which the registry does not know who it is; there is nothing to compare. */
  readonly unverified: readonly Agent[]
}

/** Of those of the agents whose owner stands; one who has left has left orphans, which are another matter. */
export function beyondOwners(registry: Registry, agents: readonly Agent[] = registry.agents): OwnedAgents {
  const living = agents.filter(({ state }) => state !== 'retired')
  const unverified = living.filter(({ owner }) => ownerStanding(registry, owner) === 'unverified')
  const owned = living.filter(({ owner }) => ownerStanding(registry, owner) === 'active')
  if (owned.length === 0) return { beyond: [], unverified }
  const reach = new ToolReach(registry.resources)
  const grantable = grantableTo(new Set(owned.map(({ owner }) => owner)), registry, reach)
  const beyond = owned.flatMap((agent): BeyondOwner[] => {
    const tools = agent.manifest.flatMap(({ selector }) =>
      reach
        .of(selector)
        .flatMap(({ resource, tool }) =>
          tool.delegable && grantable.get(agent.owner)?.has(tool) !== true ? [`${tool.name} at ${resource.id}`] : [],
        ),
    )
    return tools.length === 0 ? [] : [{ agent, tools: [...new Set(tools)] }]
  })
  return { beyond, unverified }
}

/** In one pass over the grants, most of which name nobody who owns anything. */
function grantableTo(
  owners: ReadonlySet<string>,
  registry: Registry,
  reach: ToolReach,
): ReadonlyMap<string, ReadonlySet<Tool>> {
  const naming = new Map<string, Grant[]>()
  const listsOf = (owner: string) =>
    principalsOfOwner(registry, owner).map((principal) => getOrInsertComputed(naming, principal, () => []))
  const lists = [...owners].map((owner) => [owner, listsOf(owner)] as const)
  for (const grant of registry.grants) {
    for (const principal of grant.principals) naming.get(principalKey(principal))?.push(grant)
  }
  return new Map(lists.map(([owner, grants]) => [owner, grantableBy(grants.flat(), reach)]))
}

function grantableBy(grants: readonly Grant[], reach: ToolReach): ReadonlySet<Tool> {
  const toolsOf = (effect: Grant['effect']) =>
    grants
      .filter((grant) => grant.effect === effect && (effect === 'allow' || Object.keys(grant.when).length === 0))
      .flatMap(({ resources }) => resources)
      .filter(({ container }) => effect === 'allow' || container === undefined)
      .flatMap((selector) => reach.of(selector).map(({ tool }) => tool))
  const denied = new Set(toolsOf('deny'))
  return new Set(toolsOf('allow').filter((tool) => !denied.has(tool)))
}

/** As grants name them. A group has the roles that are given to it; what its members have besides is theirs. */
function principalsOfOwner(registry: Registry, owner: string): readonly string[] {
  const parsed = parseOwner(owner)
  if (parsed.kind === 'group') {
    const roles = registry.roles
      .filter(({ groups }) => groups.includes(parsed.group))
      .map(({ name: role }) => ({ role }))
    return [{ group: parsed.group }, ...roles].map(principalKey)
  }
  if (parsed.kind === 'team') return []
  const user = findUser(registry, parsed.user)
  if (user === undefined) return []
  const groups = user.groups.map((group) => ({ group }))
  const roles = user.roles.map((role) => ({ role }))
  return [{ user: userName(parsed.user) }, ...groups, ...roles].map(principalKey)
}
