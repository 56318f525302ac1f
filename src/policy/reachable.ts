/** What of an authority a server could go on to at all: an upper bound, for the hop that is written of it. */
import type { Authority, ResourceAuthority } from '../authority/authority.ts'
import type { ResourceUrl } from '../kernel/ids.ts'
import type { Service } from '../model/client.ts'
import type { Registry } from '../model/registry.ts'
import { selects } from './selector.ts'

/** Tools that some entry of its manifest names, wherever in their resource, and their scopes; constraints are left as they are. */
export function reachable(
  authority: Authority,
  { manifest }: Pick<Service, 'manifest'>,
  registry: Pick<Registry, 'resource'>,
): Authority {
  const resources = new Map<ResourceUrl, ResourceAuthority>()
  for (const [url, held] of authority.resources) {
    const resource = registry.resource(url)
    const named = [...held.tools].filter(([name]) => {
      const tool = resource?.tools.get(name)
      return (
        resource !== undefined &&
        tool !== undefined &&
        manifest.some(({ selector }) => selects(selector, resource, tool))
      )
    })
    const opened = new Set(named.map(([name]) => resource?.tools.get(name)?.scope))
    const scopes = held.scopes.filter((scope) => opened.has(scope))
    if (named.length > 0 && scopes.length > 0) resources.set(url, { ...held, scopes, tools: new Map(named) })
  }
  return { ...authority, resources }
}
