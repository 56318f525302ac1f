/**
 * Grants by whom and what they name, so that those that cannot match a question cost it nothing: first by principal, then by
 * the narrowest thing each of their selectors names. What was found for a tool and a principal is kept as long as its registry
 * version, for most questions are about tools and people that were asked about before.
 */
import { userPrincipal } from '../kernel/ids.ts'
import { getOrInsertComputed } from '../kernel/maps.ts'
import { atOnce, each, type Sliced } from '../kernel/slices.ts'
import type { Question } from '../model/decision.ts'
import type { Grant, GrantConditions, PrincipalSelector, Registry } from '../model/registry.ts'
import type { Container, Resource, Tool, ToolSelector } from '../model/resource.ts'
import { riskFits } from '../model/risk.ts'
import { holdsIn, namesOf, narrowest, selects } from './selector.ts'

/** Findings kept at a time: about 20 MB. Beyond it all are forgotten, and found again when they are asked for. */
const KEPT_MAX = 200_000
const NONE: readonly Grant[] = []

const indexes = new WeakMap<Registry, GrantIndex>()

/** A tool, and the container it is to be used in; `undefined`: it is not known which. */
export interface Use {
  readonly resource: Resource
  readonly tool: Tool
  readonly place: Container | undefined
}

/**
 * Grants that name this tool and one of these principals, each once; whether they are in force is not looked at. Of those
 * about one container: allows where the use is certainly within it, denies where it may be.
 */
export function grantsFor(registry: Registry, use: Use, principals: readonly string[]): readonly Grant[] {
  return getOrInsertComputed(indexes, registry, () => atOnce(indexOf(registry))).find(use, principals)
}

/**
 * Before a version decides: else its first decision would wait until all its grants are in the index.
 * @param before a version with an index: whatever names principals of whom no grant has changed is found where it was found
 */
export function* prepareGrants(registry: Registry, before?: Registry): Sliced<undefined> {
  if (indexes.has(registry)) return
  const last = before && indexes.get(before)
  const index = last && (yield* indexBeside(before, last, registry))
  indexes.set(registry, index ?? (yield* indexOf(registry)))
}

function* indexOf({ grants }: Registry): Sliced<GrantIndex> {
  const index = new GrantIndex()
  for (const grant of grants) {
    index.add(grant)
    yield
  }
  return index
}

/** Finds the same as `indexOf`; in which order never matters. */
function* indexBeside(before: Registry, last: GrantIndex, { grants }: Registry): Sliced<GrantIndex> {
  const [had, has] = [yield* setOf(before.grants), yield* setOf(grants)]
  const concerned = new Set<string>()
  for (const [some, others] of [
    [had, has],
    [has, had],
  ] as const) {
    yield* each(some, (grant) => {
      if (!others.has(grant)) for (const principal of grant.principals) concerned.add(principalKey(principal))
    })
  }
  if (concerned.size === 0) return last
  const index = yield* last.without(concerned)
  yield* each(grants, (grant) => index.add(grant, concerned))
  return index
}

function* setOf(grants: readonly Grant[]): Sliced<ReadonlySet<Grant>> {
  const set = new Set<Grant>()
  yield* each(grants, (grant) => set.add(grant))
  return set
}

class GrantIndex {
  readonly #byPrincipal = new Map<string, Map<string, Grant[]>>()
  /** By tool, place and principal. */
  readonly #kept = new Map<Tool, Map<Container | undefined, Map<string, readonly Grant[]>>>()
  #keptCount = 0

  find(use: Use, principals: readonly string[]): readonly Grant[] {
    const kept = this.#kept.get(use.tool)?.get(use.place) ?? this.#keep(use)
    let found = NONE
    for (const principal of principals) {
      const named = this.#byPrincipal.get(principal)
      if (named === undefined) continue
      let grants = kept.get(principal)
      if (grants === undefined) {
        grants = this.#look(named, use)
        kept.set(principal, grants)
      }
      // Stryker disable next-line ConditionalExpression,EqualityOperator: most find nothing, or all that there is; it saves time.
      if (grants.length > 0) found = found.length === 0 ? grants : [...new Set([...found, ...grants])]
    }
    return found
  }

  #keep(use: Use): Map<string, readonly Grant[]> {
    const ofTool = getOrInsertComputed(
      this.#kept,
      use.tool,
      () => new Map<Container | undefined, Map<string, Grant[]>>(),
    )
    return getOrInsertComputed(ofTool, use.place, () => new Map<string, readonly Grant[]>())
  }

  #look(named: ReadonlyMap<string, readonly Grant[]>, use: Use): readonly Grant[] {
    this.#keptCount += 1
    if (this.#keptCount > KEPT_MAX) {
      this.#kept.clear()
      this.#keptCount = 0
    }
    const there = new Set(placesFor(use).flatMap((place) => named.get(place) ?? NONE))
    return [...there].filter((grant) => names(grant, use))
  }

  /** @param only of these principals */
  add(grant: Grant, only?: ReadonlySet<string>): void {
    const principals = [...new Set(grant.principals.map(principalKey))].filter((one) => only?.has(one) !== false)
    if (principals.length === 0) return
    const places = new Set(grant.resources.flatMap(placesOf))
    for (const principal of principals) {
      const named = getOrInsertComputed(this.#byPrincipal, principal, () => new Map<string, Grant[]>())
      for (const place of places) getOrInsertComputed(named, place, () => []).push(grant)
    }
  }

  /** All but what names these principals. What both have is never changed again. */
  *without(principals: ReadonlySet<string>): Sliced<GrantIndex> {
    const index = new GrantIndex()
    yield* each(this.#byPrincipal, ([principal, named]) => {
      if (!principals.has(principal)) index.#byPrincipal.set(principal, named)
    })
    return index
  }
}

function names({ effect, resources }: Grant, { resource, tool, place }: Use): boolean {
  return resources.some((selector) => {
    if (!selects(selector, resource, tool)) return false
    const holds = holdsIn(selector, place)
    return effect === 'deny' ? holds !== false : holds === true
  })
}

/** Where a selector is found again. One about a container: where it is known, and where it is not known where the use will be. */
function placesOf(selector: ToolSelector): readonly string[] {
  const place = narrowest(selector)
  return selector.container === undefined ? [place] : [`container ${selector.container}`, `within ${place}`]
}

function placesFor({ resource, tool, place }: Use): readonly string[] {
  const wide = namesOf(resource, tool)
  const narrow = place?.lineage.map((container) => `container ${container}`) ?? wide.map((name) => `within ${name}`)
  return [...wide, ...narrow]
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
          userPrincipal(user.issuerSlug, user.sub),
          ...user.groups.map((group) => `group:${group}`),
          ...user.roles.map((role) => `role:${role}`),
        ]
  const agents = [agent, ...chain].flatMap(({ clientId, owner }) => [`agent:${clientId}`, `owner:${owner}`])
  return { user: ofUser, agents, all: [...ofUser, ...agents, subject] }
}

const CONDITIONS: readonly string[] = [
  'notBefore',
  'notAfter',
  'environment',
  'risk',
] satisfies (keyof GrantConditions)[]

/** Whether the conditions hold; `undefined`: cannot be told, which a deny takes as yes and an allow as no. */
export function isInForce(
  when: GrantConditions,
  { now, environment, risk }: Pick<Question, 'now' | 'environment' | 'risk'>,
): boolean | undefined {
  // A condition this version does not know may be the one that does not hold.
  if (!Object.keys(when).every((name) => CONDITIONS.includes(name))) return undefined
  const { notBefore, notAfter, environment: wanted } = when
  const riskFit = when.risk === undefined ? true : riskFits(when.risk, risk)
  if ((notBefore !== undefined || notAfter !== undefined) && !Number.isFinite(now)) return undefined
  if (Number.isNaN(notBefore) || Number.isNaN(notAfter)) return undefined
  if (wanted !== undefined && environment === '') return undefined
  const holds =
    (notBefore === undefined || now >= notBefore) &&
    (notAfter === undefined || now < notAfter) &&
    (wanted === undefined || environment === wanted)
  // What is certain not to hold needs no answer about the risk.
  return holds ? riskFit : false
}
