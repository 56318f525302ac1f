/** Turns the tools an intent names into the authority they would need: the scopes come from the resources' manifests. */
import type { Authority } from '../authority/authority.ts'
import type { ResourceUrl } from '../kernel/ids.ts'
import type { IntentTools } from '../model/intent.ts'
import type { Registry } from '../model/registry.ts'

/** @throws Rejection `resource_unknown`, `resource_inactive`, `details_unknown` */
export function askedAuthority(
  registry: Registry,
  tools: ReadonlyMap<ResourceUrl, IntentTools>,
  notAfter: number,
  maxDepth: number,
): Authority {
  throw new Error(`not yet: ${registry.version} ${tools.size} ${notAfter} ${maxDepth}`)
}
