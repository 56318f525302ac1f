/** Who reaches which server: agents by their manifests, people by the grants that allow them something there. */
import { getOrInsertComputed } from '../../kernel/maps.ts'
import type { PrincipalSelector, Registry } from '../../model/registry.ts'
import type { ToolSelector } from '../../model/resource.ts'
import { selectorKey, type ToolReach } from '../../policy/tool-reach.ts'
import { inSlices } from './in-slices.ts'

/** By resource id, sorted. */
export interface Reach {
  readonly agents: ReadonlyMap<string, readonly string[]>
  /** `group finance`; that a deny takes it away again is for the decision to say. */
  readonly people: ReadonlyMap<string, readonly string[]>
}

export async function reachOf(registry: Registry, tools: ToolReach): Promise<Reach> {
  const byKey = new Map<string, readonly string[]>()
  const serversOf = (selector: ToolSelector) =>
    getOrInsertComputed(byKey, selectorKey(selector), () => [
      ...new Set(tools.of(selector).flatMap(({ resource, tool }) => (tool.delegable ? [resource.id] : []))),
    ])
  const agents = new Gathered()
  await inSlices(registry.agents, ({ clientId, state, manifest }) => {
    if (state === 'retired') return
    for (const { selector } of manifest) agents.add(serversOf(selector), clientId)
  })
  const people = new Gathered()
  await inSlices(registry.grants, ({ effect, principals, resources }) => {
    if (effect === 'deny') return
    const named = principals.flatMap(personal)
    for (const selector of resources) for (const name of named) people.add(serversOf(selector), name)
  })
  return { agents: agents.sorted(), people: people.sorted() }
}

/** Allows of agents and owners give nothing, they only narrow. */
function personal(principal: PrincipalSelector): readonly string[] {
  if ('user' in principal) return [`user ${principal.user}`]
  if ('group' in principal) return [`group ${principal.group}`]
  return 'role' in principal ? [`role ${principal.role}`] : []
}

class Gathered {
  readonly #names = new Map<string, Set<string>>()

  add(servers: readonly string[], name: string): void {
    for (const server of servers) getOrInsertComputed(this.#names, server, () => new Set<string>()).add(name)
  }

  sorted(): ReadonlyMap<string, readonly string[]> {
    return new Map([...this.#names].map(([server, names]) => [server, [...names].sort()]))
  }
}
