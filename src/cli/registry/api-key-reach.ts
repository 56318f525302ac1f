/** What of an API key is its agent's to use at all: a key that names more opens no more, and says what its maker believed. */
import type { Agent, Confinement } from '../../model/client.ts'
import type { Registry } from '../../model/registry.ts'
import { selects } from '../../policy/selector.ts'

/** One line for each server and each scope of the key that the agent's manifest leaves nothing of. */
export function beyondManifest(
  agent: Agent,
  { resources, scopes }: Confinement,
  registry: Registry,
): readonly string[] {
  const tools = [...resources].flatMap((url) => {
    const resource = registry.resource(url)
    if (resource === undefined) return []
    const isReached = (name: string) => {
      const tool = resource.tools.get(name)
      return tool !== undefined && agent.manifest.some(({ selector }) => selects(selector, resource, tool))
    }
    return [...resource.tools.values()]
      .filter(({ name, scope }) => scopes.includes(scope) && isReached(name))
      .map(({ scope }) => ({ url, scope }))
  })
  return [
    ...[...resources]
      .filter((url) => !tools.some((tool) => tool.url === url))
      .map((url) => `its scopes open nothing at ${url} that the manifest of ${agent.clientId} reaches`),
    ...scopes
      .filter((scope) => !tools.some((tool) => tool.scope === scope))
      .map((scope) => `${scope} opens nothing there that the manifest of ${agent.clientId} reaches`),
  ]
}
