/**
 * Agents that may do what whoever answers for them could not be granted: nobody makes an agent stronger than they are. Only what
 * is certain is reported: any allow counts, whenever, wherever and however narrowly it holds, and only a deny that always holds.
 */

import { getOrInsertComputed } from '../kernel/maps.ts'
import { atOnce, each, type Sliced } from '../kernel/slices.ts'
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
export function beyondOwners(registry: Registry): OwnedAgents {
  return atOnce(findingBeyondOwners(registry, registry.agents))
}

/** As `beyondOwners`, in slices, of these agents. */
export function* findingBeyondOwners(registry: Registry, agents: readonly Agent[]): Sliced<OwnedAgents> {
  const unverified: Agent[] = []
  const owned: Agent[] = []
  const owners = new Set<string>()
  yield* each(agents, (agent) => {
    const standing = agent.state === 'retired' ? undefined : ownerStanding(registry, agent.owner)
    if (standing === 'unverified') unverified.push(agent)
    if (standing !== 'active') return
    owned.push(agent)
    owners.add(agent.owner)
  })
  if (owned.length === 0) return { beyond: [], unverified }
  const reach = new ToolReach(registry.resources)
  const grantable = yield* grantableTo(owners, registry, reach)
  const beyond: BeyondOwner[] = []
  yield* each(owned, (agent) => {
    const tools = agent.manifest.flatMap(({ selector }) =>
      reach
        .of(selector)
        .flatMap(({ resource, tool }) =>
          tool.delegable && grantable.get(agent.owner)?.has(tool) !== true ? [`${tool.name} at ${resource.id}`] : [],
        ),
    )
    if (tools.length > 0) beyond.push({ agent, tools: [...new Set(tools)] })
  })
  return { beyond, unverified }
}

/** In one pass over the grants, most of which name nobody who owns anything. */
function* grantableTo(
  owners: ReadonlySet<string>,
  registry: Registry,
  reach: ToolReach,
): Sliced<ReadonlyMap<string, ReadonlySet<Tool>>> {
  const naming = new Map<string, Grant[]>()
  const listsOf = (owner: string) =>
    principalsOfOwner(registry, owner).map((principal) => getOrInsertComputed(naming, principal, () => []))
  const lists = [...owners].map((owner) => [owner, listsOf(owner)] as const)
  yield* each(registry.grants, (grant) => {
    for (const principal of grant.principals) naming.get(principalKey(principal))?.push(grant)
  })
  const grantable = new Map<string, ReadonlySet<Tool>>()
  for (const [owner, grants] of lists) grantable.set(owner, yield* grantableBy(grants.flat(), reach))
  return grantable
}

function* grantableBy(grants: readonly Grant[], reach: ToolReach): Sliced<ReadonlySet<Tool>> {
  const allowed = new Set<Tool>()
  const denied = new Set<Tool>()
  yield* each(grants, ({ effect, when, resources }) => {
    if (effect === 'deny' && Object.keys(when).length > 0) return
    for (const selector of resources) {
      if (effect === 'deny' && selector.container !== undefined) continue
      for (const { tool } of reach.of(selector)) (effect === 'allow' ? allowed : denied).add(tool)
    }
  })
  for (const tool of denied) allowed.delete(tool)
  return allowed
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
