/**
 * Grants by whom and what they name, so that those that cannot match a question cost it nothing: first by principal, then by
 * the narrowest thing each of their selectors names. What was found for a tool and a principal is kept as long as its registry
 * version, for most questions are about tools and people that were asked about before.
 */
import { getOrInsertComputed } from '../kernel/maps.ts'
import type { Question } from '../model/decision.ts'
import type { Grant, GrantConditions, PrincipalSelector, Registry } from '../model/registry.ts'
import type { Resource, Tool, ToolSelector } from '../model/resource.ts'
import { selects } from './selector.ts'

/** Findings kept at a time: about 20 MB. Beyond it all are forgotten, and found again when they are asked for. */
const KEPT_MAX = 200_000
const NONE: readonly Grant[] = []

const indexes = new WeakMap<Registry, GrantIndex>()

/** Grants that name this tool and one of these principals, each once; whether they are in force is not looked at. */
export function grantsFor(
  registry: Registry,
  resource: Resource,
  tool: Tool,
  principals: readonly string[],
): readonly Grant[] {
  const index = indexOf(registry)
  let found = NONE
  for (const principal of principals) {
    const grants = index.find(principal, resource, tool)
    if (grants.length > 0) found = found.length === 0 ? grants : [...new Set([...found, ...grants])]
  }
  return found
}

function indexOf(registry: Registry): GrantIndex {
  const known = indexes.get(registry)
  if (known !== undefined) return known
  const made = new GrantIndex(registry.grants)
  indexes.set(registry, made)
  return made
}

class GrantIndex {
  readonly #byPrincipal = new Map<string, Map<string, Grant[]>>()
  #kept = new Map<Resource, Map<string, readonly Grant[]>>()
  #keptCount = 0

  constructor(grants: readonly Grant[]) {
    for (const grant of grants) {
      for (const principal of grant.principals) {
        const named = getOrInsertComputed(this.#byPrincipal, principalKey(principal), () => new Map<string, Grant[]>())
        for (const selector of grant.resources) {
          const there = getOrInsertComputed(named, narrowest(selector), () => [])
          if (there.at(-1) !== grant) there.push(grant)
        }
      }
    }
  }

  find(principal: string, resource: Resource, tool: Tool): readonly Grant[] {
    const named = this.#byPrincipal.get(principal)
    if (named === undefined) return NONE
    const ofResource = getOrInsertComputed(this.#kept, resource, () => new Map<string, readonly Grant[]>())
    const key = `${tool.name} ${principal}`
    const kept = ofResource.get(key)
    if (kept !== undefined) return kept
    const found = matching(named, resource, tool)
    this.#keptCount += 1
    if (this.#keptCount > KEPT_MAX) {
      this.#kept = new Map()
      this.#keptCount = 0
    } else ofResource.set(key, found)
    return found
  }
}

function matching(named: ReadonlyMap<string, readonly Grant[]>, resource: Resource, tool: Tool): readonly Grant[] {
  const found = new Set<Grant>()
  for (const place of placesOf(resource, tool)) {
    for (const grant of named.get(place) ?? NONE) {
      if (grant.resources.some((selector) => selects(selector, resource, tool))) found.add(grant)
    }
  }
  return found.size === 0 ? NONE : [...found]
}

/** Where a selector is found again: by one thing it names, by which each tool that it can reach is looked for. */
function narrowest({ server, tool, project, category }: ToolSelector): string {
  if (server !== undefined && server !== '*') return `server ${server}`
  if (tool !== undefined && tool !== '*') return `tool ${tool}`
  if (project !== undefined && project !== '*') return `project ${project}`
  return category === undefined ? '*' : `category ${category}`
}

function placesOf(resource: Resource, { name, category }: Tool): readonly string[] {
  return [`server ${resource.id}`, `tool ${name}`, `project ${resource.project}`, `category ${category}`, '*']
}

/** Keys of different kinds differ before the first colon: a group called `x` is never the role `x`. */
export function principalKey(principal: PrincipalSelector): string {
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
export function isInForce(
  when: GrantConditions,
  { now, environment }: Pick<Question, 'now' | 'environment'>,
): boolean | undefined {
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
