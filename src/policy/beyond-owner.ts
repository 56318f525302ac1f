/**
 * Agents that may do what whoever answers for them could not be granted: nobody makes an agent stronger than they are. Only what
 * is certain is reported: any allow counts, whenever, wherever and however narrowly it holds, and only a deny that always holds.
 */
import { getOrInsertComputed } from '../kernel/maps.ts'
import type { Agent } from '../model/client.ts'
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

/** Of agents whose owner stands; one who has left has left orphans, which are another matter. */
export function beyondOwners(registry: Registry): OwnedAgents {
  const reach = new ToolReach(registry.resources)
  const byPrincipal = new Map<string, Grant[]>()
  for (const grant of registry.grants) {
    for (const principal of grant.principals) {
      getOrInsertComputed(byPrincipal, principalKey(principal), () => []).push(grant)
    }
  }
  const grantable = new Map<string, ReadonlySet<Tool>>()
  const beyond: BeyondOwner[] = []
  const unverified: Agent[] = []
  for (const agent of registry.agents) {
    if (agent.state === 'retired') continue
    const standing = ownerStanding(registry, agent.owner)
    if (standing === 'unverified') unverified.push(agent)
    if (standing !== 'active') continue
    const owners = getOrInsertComputed(grantable, agent.owner, () => {
      const grants = principalsOfOwner(registry, agent.owner).flatMap((principal) => byPrincipal.get(principal) ?? [])
      return grantableBy(grants, reach)
    })
    const tools = agent.manifest.flatMap(({ selector }) =>
      reach
        .of(selector)
        .flatMap(({ resource, tool }) =>
          tool.delegable && !owners.has(tool) ? [`${tool.name} at ${resource.id}`] : [],
        ),
    )
    if (tools.length > 0) beyond.push({ agent, tools: [...new Set(tools)] })
  }
  return { beyond, unverified }
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
  const issuer = registry.issuerBySlug(parsed.slug)
  const user = issuer === undefined ? undefined : registry.user(issuer, parsed.sub)
  if (user === undefined) return []
  const groups = user.groups.map((group) => ({ group }))
  const roles = user.roles.map((role) => ({ role }))
  return [{ user: `${parsed.slug}:${parsed.sub}` }, ...groups, ...roles].map(principalKey)
}
