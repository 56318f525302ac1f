/**
 * Child ≤ parent, always: how authorities are compared and intersected. Nothing here unites, and an absent entry is nothing
 * granted.
 */
import type { ResourceUrl } from '../kernel/ids.ts'
import { intersectScopes, isScopeSubset, type ScopeSet, scopeSet } from '../protocol/scope.ts'
import type { Authority, ResourceAuthority, ToolConstraints, ToolLimits } from './authority.ts'
import { meetTool, narrowsTool } from './constraints.ts'
import { shown } from './strict-object.ts'

/** What `child` may that `parent` may not; `undefined` if there is nothing. */
export function widening(child: Authority, parent: Authority): string | undefined {
  if (!(child.notAfter <= parent.notAfter)) return 'lives longer than its parent'
  if (!(child.maxDepth <= parent.maxDepth)) return 'may be delegated further than its parent'
  return wideningOfContent(child, parent)
}

function wideningOfContent(child: Authority, parent: Authority): string | undefined {
  for (const [url, resource] of child.resources) {
    if (grantsNothing(resource)) continue
    const bound = parent.resources.get(url)
    if (bound === undefined) return `resource ${url} is not in the parent`
    const widened = wideningAt(resource, bound)
    if (widened !== undefined) return `${widened} at ${url}`
  }
  return undefined
}

function wideningAt(child: ResourceAuthority, parent: ResourceAuthority): string | undefined {
  if (!isScopeSubset(child.scopes, parent.scopes)) {
    const extra = child.scopes.filter((scope) => !parent.scopes.includes(scope))
    return `scope ${extra.map(shown).join(' ')} is not in the parent`
  }
  for (const [name, constraints] of child.tools) {
    const bound = parent.tools.get(name)
    if (bound === undefined) return `tool ${name} is not in the parent`
    const widened = narrowsTool(constraints, bound)
    if (widened !== undefined) return `tool ${name} ${widened}`
  }
  const { maxCalls = Number.POSITIVE_INFINITY } = parent.limits
  return (child.limits.maxCalls ?? Number.POSITIVE_INFINITY) <= maxCalls ? undefined : `maxCalls exceeds ${maxCalls}`
}

/**
 * Narrower in what may be done, not only in how long or how often it may be passed on: a delegate that could stand in for its
 * delegator in everything would make the hop meaningless.
 */
export function strictlyNarrower(child: Authority, parent: Authority): boolean {
  return widening(child, parent) === undefined && wideningOfContent(parent, child) !== undefined
}

/** What both grant. Resources and tools of which nothing is left are gone. */
export function meet(a: Authority, b: Authority): Authority {
  const resources = new Map<ResourceUrl, ResourceAuthority>()
  for (const [url, inA] of a.resources) {
    const inB = b.resources.get(url)
    if (inB === undefined) continue
    const both = meetAt(inA, inB)
    if (both !== undefined) resources.set(url, both)
  }
  return { resources, notAfter: Math.min(a.notAfter, b.notAfter), maxDepth: Math.min(a.maxDepth, b.maxDepth) }
}

function meetAt(a: ResourceAuthority, b: ResourceAuthority): ResourceAuthority | undefined {
  const tools = new Map<string, ToolConstraints>()
  for (const [name, inA] of a.tools) {
    const inB = b.tools.get(name)
    const both = inB === undefined ? undefined : meetTool(inA, inB)
    if (both !== undefined) tools.set(name, both)
  }
  const left = { scopes: intersectScopes(a.scopes, b.scopes), tools, limits: meetLimits(a.limits, b.limits) }
  return isSpent(left, a) || isSpent(left, b) ? undefined : left
}

/** The least of both. */
export function meetLimits(a: ToolLimits, b: ToolLimits): ToolLimits {
  if (a.maxCalls === undefined) return b
  return b.maxCalls === undefined ? a : { maxCalls: Math.min(a.maxCalls, b.maxCalls) }
}

function grantsNothing(resource: ResourceAuthority): boolean {
  return resource.scopes.length === 0 && resource.tools.size === 0
}

/**
 * A scope whose tools have all gone would still open them at a server that checks scope only, and a tool without its scope
 * opens nothing: if either is used up, so is the resource.
 */
function isSpent(left: ResourceAuthority, from: ResourceAuthority): boolean {
  return (
    grantsNothing(left) ||
    (left.scopes.length === 0 && from.scopes.length > 0) ||
    (left.tools.size === 0 && from.tools.size > 0)
  )
}

export function isEmpty(authority: Authority): boolean {
  return [...authority.resources.values()].every(grantsNothing)
}

export function restrictToResources(authority: Authority, urls: Iterable<ResourceUrl>): Authority {
  const kept = new Set(urls)
  return { ...authority, resources: new Map([...authority.resources].filter(([url]) => kept.has(url))) }
}

/** @param openedBy the scope that opens a tool; a tool that no known scope opens is dropped. */
export function restrictToScopes(
  authority: Authority,
  scopes: ScopeSet,
  openedBy: (url: ResourceUrl, tool: string) => string | undefined,
): Authority {
  const resources = new Map<ResourceUrl, ResourceAuthority>()
  for (const [url, resource] of authority.resources) {
    const kept = intersectScopes(resource.scopes, scopes)
    const isOpen = (tool: string) => kept.some((scope) => scope === openedBy(url, tool))
    const tools = new Map([...resource.tools].filter(([tool]) => isOpen(tool)))
    const left = { scopes: kept, tools, limits: resource.limits }
    if (!isSpent(left, resource)) resources.set(url, left)
  }
  return { ...authority, resources }
}

/** Every scope of every resource. */
export function authorityScopes(authority: Authority): ScopeSet {
  return scopeSet([...authority.resources.values()].flatMap((resource) => resource.scopes))
}
