/**
 * The tools an intent names, as the authority they would need: the scopes come from the resources' manifests, the URLs are
 * written as registered. Nothing is granted here; a name that leads nowhere is refused before anything is decided.
 */
import type { Authority, ResourceAuthority } from '../authority/authority.ts'
import { shown } from '../authority/strict-object.ts'
import type { ResourceUrl } from '../kernel/ids.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { IntentTools } from '../model/intent.ts'
import type { Registry } from '../model/registry.ts'
import { type Resource, whyNotIssuedFor } from '../model/resource.ts'
import { scopeSet } from '../protocol/scope.ts'

/** What is registered, and for which environment something is issued. */
export interface Here {
  readonly registry: Registry
  readonly environment: string
}

/**
 * @param tools by any spelling of the resource's URL
 * @throws Rejection `resource_malformed`, `resource_unknown`, `resource_inactive`, `details_unknown`, `details_malformed`
 */
export function askedAuthority(
  here: Here,
  tools: ReadonlyMap<ResourceUrl, IntentTools>,
  notAfter: number,
  maxDepth: number,
): Authority {
  const resources = new Map<ResourceUrl, ResourceAuthority>()
  for (const [spelling, wanted] of tools) {
    const resource = issuedResource(here, spelling)
    // Two spellings of one URL: to unite them would grant what neither says, to keep the last would drop the other.
    if (resources.has(resource.url)) {
      throw new Rejection('details_malformed', `${shown(resource.url)} is named twice`)
    }
    resources.set(resource.url, { ...wanted, scopes: scopesOf(resource, wanted.tools.keys()) })
  }
  return { resources, notAfter, maxDepth }
}

/** The refusal names what was asked for and nothing else: other servers' names are not the caller's to learn. */
function issuedResource({ registry, environment }: Here, spelling: string): Resource {
  const resource = registry.resource(spelling)
  if (resource === undefined) throw new Rejection('resource_unknown', `${shown(spelling)} is not a registered resource`)
  assertIssuedFor(resource, environment)
  return resource
}

/** @throws Rejection `resource_inactive` */
export function assertIssuedFor(resource: Resource, environment: string): void {
  const why = whyNotIssuedFor(resource, environment)
  if (why !== undefined) throw new Rejection(why.reason, `resource ${shown(resource.url)} is ${why.says}`)
}

function scopesOf(resource: Resource, names: Iterable<string>) {
  const scopes: string[] = []
  for (const name of names) {
    const tool = resource.tools.get(name)
    if (tool === undefined) {
      throw new Rejection('details_unknown', `tool ${shown(name)} is not registered at ${shown(resource.url)}`)
    }
    scopes.push(tool.scope)
  }
  return scopeSet(scopes)
}
