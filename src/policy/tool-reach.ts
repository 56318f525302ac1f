/** Which registered tools a selector reaches, looked up by the narrowest thing it names; each distinct selector once. */
import { getOrInsertComputed } from '../kernel/maps.ts'
import type { Resource, Tool, ToolSelector } from '../model/resource.ts'
import { selects } from './selector.ts'

export interface ReachedTool {
  readonly resource: Resource
  readonly tool: Tool
}

const NONE: readonly ReachedTool[] = []

export class ToolReach {
  readonly #all: readonly ReachedTool[]
  readonly #byServer: ReadonlyMap<string, readonly ReachedTool[]>
  readonly #byTool: ReadonlyMap<string, readonly ReachedTool[]>
  readonly #byProject: ReadonlyMap<string, readonly ReachedTool[]>
  readonly #found = new Map<string, readonly ReachedTool[]>()

  constructor(resources: readonly Resource[]) {
    this.#all = resources.flatMap((resource) => [...resource.tools.values()].map((tool) => ({ resource, tool })))
    this.#byServer = Map.groupBy(this.#all, ({ resource }) => resource.id)
    this.#byTool = Map.groupBy(this.#all, ({ tool }) => tool.name)
    const byProject = new Map<string, ReachedTool[]>()
    for (const reached of this.#all) {
      for (const project of reached.resource.projects) getOrInsertComputed(byProject, project, () => []).push(reached)
    }
    this.#byProject = byProject
  }

  /** In any state, delegable or not: those change without the rule. With a container, those that may be used within it. */
  of(selector: ToolSelector): readonly ReachedTool[] {
    const key = selectorKey(selector)
    let found = this.#found.get(key)
    if (found === undefined) {
      found = this.#candidates(selector).filter(({ resource, tool }) => selects(selector, resource, tool))
      this.#found.set(key, found)
    }
    return found
  }

  #candidates({ server, tool, project }: ToolSelector): readonly ReachedTool[] {
    if (server !== undefined && server !== '*') return this.#byServer.get(server) ?? NONE
    if (tool !== undefined && tool !== '*') return this.#byTool.get(tool) ?? NONE
    if (project !== undefined && project !== '*') return this.#byProject.get(project) ?? NONE
    return this.#all
  }
}

/** Equal for selectors of the same members. */
export function selectorKey({ project, server, tool, category, container }: ToolSelector): string {
  return JSON.stringify([project, server, tool, category, container])
}
