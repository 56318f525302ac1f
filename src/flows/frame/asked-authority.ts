/** From what a request asks for to an authority the policy can be asked about. Everything here only ever narrows. */
import type { Authority, ResourceAuthority } from '../../authority/authority.ts'
import type { ParsedDetails } from '../../authority/details.ts'
import { isEmpty, restrictToResources, restrictToScopes, widening } from '../../authority/narrowing.ts'
import type { ResourceUrl } from '../../kernel/ids.ts'
import { MISSING_LINES_MAX } from '../../kernel/limits.ts'
import { Rejection } from '../../kernel/rejection.ts'
import type { Intent, IntentTools } from '../../model/intent.ts'
import type { Registry } from '../../model/registry.ts'
import type { Resource } from '../../model/resource.ts'
import { askedAuthority, type Here } from '../../policy/asked.ts'
import type { ScopeSet } from '../../protocol/scope.ts'

/** The intent of a session that is being opened: as the request declares it, else the standing one it falls under. */
export function openingIntent(
  details: ParsedDetails | undefined,
  standing: Intent | undefined,
  registry: Registry,
): { readonly intent: Intent; readonly explicit: boolean } {
  if (details === undefined) {
    if (standing !== undefined) return { intent: standing, explicit: false }
    throw new Rejection(
      'standing_intent_missing',
      'declare what the session is for: authorization_details with one agent_intent and mcp_tools (there is no standing intent for this)',
    )
  }
  const declared = requireIntent(details)
  if (details.tools.size === 0) {
    throw new Rejection('details_empty', 'authorization_details names no tools: add an mcp_tools object')
  }
  return { intent: { ...declared, tools: toolsByResource(details, registry) }, explicit: true }
}

/** @throws Rejection `intent_missing` */
export function requireIntent(details: ParsedDetails | undefined): NonNullable<ParsedDetails['intent']> {
  if (details?.intent !== undefined) return details.intent
  throw new Rejection('intent_missing', 'authorization_details must carry exactly one agent_intent with a purpose')
}

/** Locations as registered. @throws Rejection `resource_unknown` */
export function toolsByResource(details: ParsedDetails, registry: Registry): ReadonlyMap<ResourceUrl, IntentTools> {
  const tools = new Map<ResourceUrl, IntentTools>()
  for (const [location, asked] of details.tools) {
    const resource = registry.resource(location)
    if (resource === undefined) {
      throw new Rejection('resource_unknown', 'a location in authorization_details is not a registered resource')
    }
    tools.set(resource.url, asked)
  }
  return tools
}

/**
 * What a later hop asks for out of the authority it has: its details where it sends any, else all of it. Asking for more
 * than there is, is an error, never silently less: the caller believes it holds what it does not.
 * @throws Rejection `details_widening`, `resource_not_in_session`
 */
export function askedFrom(
  held: Authority,
  details: ParsedDetails | undefined,
  here: Here,
  life: { readonly notAfter: number; readonly maxDepth: number },
): { readonly asked: Authority; readonly explicit: boolean } {
  if (details === undefined || details.tools.size === 0) return { asked: { ...held, ...life }, explicit: false }
  const tools = toolsByResource(details, here.registry)
  for (const url of tools.keys()) {
    if (!held.resources.has(url)) throw notInSession(held)
  }
  const asked = askedAuthority(here, tools, life.notAfter, life.maxDepth)
  const widened = widening(asked, held)
  if (widened !== undefined) {
    throw new Rejection('details_widening', 'authorization_details asks for more than is held', { missing: [widened] })
  }
  return { asked, explicit: true }
}

/** @param held what there is: whoever asks for more is told of what it could ask for, which its own token says anyway */
function notInSession(held: Authority): Rejection {
  return new Rejection('resource_not_in_session', 'this resource is not part of what the session was opened for', {
    missing: available(held).slice(0, MISSING_LINES_MAX),
  })
}

/** Cuts to the resources and scopes the request names. @throws Rejection `resource_not_in_session`, `nothing_granted` */
export function narrowTo(
  asked: Authority,
  limits: { readonly resources: readonly Resource[]; readonly scopes: readonly (ScopeSet | undefined)[] },
  registry: Registry,
): Authority {
  for (const resource of limits.resources) {
    if (!asked.resources.has(resource.url)) throw notInSession(asked)
  }
  const there =
    limits.resources.length === 0
      ? asked
      : restrictToResources(
          asked,
          limits.resources.map((resource) => resource.url),
        )
  let narrowed = there
  for (const scopes of limits.scopes) {
    if (scopes === undefined) continue
    narrowed = restrictToScopes(narrowed, scopes, (url, tool) => registry.resource(url)?.tools.get(tool)?.scope)
  }
  if (isEmpty(narrowed)) {
    throw new Rejection(
      'nothing_granted',
      'nothing is left of the requested scope: none of it opens a tool asked for',
      {
        missing: available(there),
      },
    )
  }
  return narrowed
}

/** What could have been asked for, by resource: the scopes that open something. */
function available(asked: Authority): readonly string[] {
  return [...asked.resources].map(([url, resource]: [ResourceUrl, ResourceAuthority]) => {
    return `${url} would be opened by: ${resource.scopes.join(' ')}`
  })
}
