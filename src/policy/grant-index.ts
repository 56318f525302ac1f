/**
 * Grants by the tool and the principal they name, so that those that cannot match a question cost it nothing. Built tool by
 * tool, when a tool is first asked for, and kept as long as its registry version.
 */
import type { ResourceUrl } from '../kernel/ids.ts'
import type { Question } from '../model/decision.ts'
import type { Grant, GrantConditions, PrincipalSelector, Registry } from '../model/registry.ts'
import type { Resource, Tool } from '../model/resource.ts'
import { selects } from './selector.ts'

type ByPrincipal = ReadonlyMap<string, readonly Grant[]>

const indexes = new WeakMap<Registry, Map<ResourceUrl, Map<string, ByPrincipal>>>()

/** Grants that name this tool and one of these principals, each once; whether they are in force is not looked at. */
export function grantsFor(
  registry: Registry,
  resource: Resource,
  tool: Tool,
  principals: readonly string[],
): readonly Grant[] {
  const byPrincipal = grantsOfTool(registry, resource, tool)
  let found: readonly Grant[] = []
  for (const principal of principals) {
    const grants = byPrincipal.get(principal)
    if (grants === undefined) continue
    found = found.length === 0 ? grants : [...new Set([...found, ...grants])]
  }
  return found
}

function grantsOfTool(registry: Registry, resource: Resource, tool: Tool): ByPrincipal {
  const index = indexes.get(registry) ?? new Map<ResourceUrl, Map<string, ByPrincipal>>()
  const ofResource = index.get(resource.url) ?? new Map<string, ByPrincipal>()
  const known = ofResource.get(tool.name)
  if (known !== undefined) return known
  const made = byPrincipalOf(registry.grants, resource, tool)
  indexes.set(registry, index.set(resource.url, ofResource.set(tool.name, made)))
  return made
}

function byPrincipalOf(grants: readonly Grant[], resource: Resource, tool: Tool): ByPrincipal {
  const byPrincipal = new Map<string, Grant[]>()
  for (const grant of grants) {
    if (!grant.resources.some((selector) => selects(selector, resource, tool))) continue
    for (const principal of grant.principals) {
      const key = principalKey(principal)
      const present = byPrincipal.get(key)
      if (present === undefined) byPrincipal.set(key, [grant])
      else present.push(grant)
    }
  }
  return byPrincipal
}

/** Keys of different kinds differ before the first colon: a group called `x` is never the role `x`. */
function principalKey(principal: PrincipalSelector): string {
  if ('user' in principal) return `user:${principal.user}`
  if ('group' in principal) return `group:${principal.group}`
  if ('role' in principal) return `role:${principal.role}`
  if ('agent' in principal) return `agent:${principal.agent}`
  return `owner:${principal.owner}`
}

/** A question's people and agents as grants may name them. */
export interface Principals {
  /** Empty for autonomous work. */
  readonly user: readonly string[]
  /** Every agent of the chain, and their owners. */
  readonly agents: readonly string[]
  /** Both, and the subject: the agent that autonomous work began with stays answerable for it when it is delegated. */
  readonly all: readonly string[]
}

export function principalsOf({ user, agent, chain, subject }: Question): Principals {
  const ofUser =
    user === undefined
      ? []
      : [
          `user:${user.issuerSlug}:${user.sub}`,
          ...user.groups.map((group) => `group:${group}`),
          ...user.roles.map((role) => `role:${role}`),
        ]
  const agents = [agent, ...chain].flatMap(({ clientId, owner }) => [`agent:${clientId}`, `owner:${owner}`])
  return { user: ofUser, agents, all: [...ofUser, ...agents, subject] }
}

const CONDITIONS: readonly string[] = ['notBefore', 'notAfter', 'environment'] satisfies (keyof GrantConditions)[]

/** Whether the conditions hold; `undefined`: cannot be told, which a deny takes as yes and an allow as no. */
export function isInForce(when: GrantConditions, { now, environment }: Question): boolean | undefined {
  // A condition this version does not know may be the one that does not hold.
  if (!Object.keys(when).every((name) => CONDITIONS.includes(name))) return undefined
  const { notBefore, notAfter, environment: wanted } = when
  if ((notBefore !== undefined || notAfter !== undefined) && !Number.isFinite(now)) return undefined
  if (Number.isNaN(notBefore) || Number.isNaN(notAfter)) return undefined
  if (wanted !== undefined && environment === '') return undefined
  return (
    (notBefore === undefined || now >= notBefore) &&
    (notAfter === undefined || now < notAfter) &&
    (wanted === undefined || environment === wanted)
  )
}
