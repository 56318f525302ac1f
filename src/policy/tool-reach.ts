/** Which registered tools a selector reaches, looked up by the narrowest thing it names; each distinct selector once. */
import { getOrInsertComputed } from '../kernel/maps.ts'
import type { Resource, Tool, ToolSelector } from '../model/resource.ts'
import { namesOf, narrowest, selects } from './selector.ts'

export interface ReachedTool {
  readonly resource: Resource
  readonly tool: Tool
}

export class ToolReach {
  readonly #byName = new Map<string, ReachedTool[]>()
  readonly #found = new Map<string, readonly ReachedTool[]>()

  constructor(resources: readonly Resource[]) {
    for (const resource of resources) {
      for (const tool of resource.tools.values()) {
        for (const name of namesOf(resource, tool)) {
          getOrInsertComputed(this.#byName, name, () => []).push({ resource, tool })
        }
      }
    }
  }

  /** In any state, delegable or not: those change without the rule. With a container, those that may be used within it. */
  of(selector: ToolSelector): readonly ReachedTool[] {
    return getOrInsertComputed(this.#found, selectorKey(selector), () => {
      const named = this.#byName.get(narrowest(selector)) ?? []
      return named.filter(({ resource, tool }) => selects(selector, resource, tool))
    })
  }
}

/** Equal for selectors of the same members. */
export function selectorKey({ project, server, tool, category, container }: ToolSelector): string {
  return JSON.stringify([project, server, tool, category, container])
}
