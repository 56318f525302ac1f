/** Which tools a rule reaches. Every member given must match; `*` matches all; a selector without members matches nothing. */
import type { Resource, Tool, ToolSelector } from '../model/resource.ts'

export function selects({ project, server, tool, category }: ToolSelector, resource: Resource, target: Tool): boolean {
  if (project === undefined && server === undefined && tool === undefined && category === undefined) return false
  return (
    (project === undefined || project === '*' || project === resource.project) &&
    (server === undefined || server === '*' || server === resource.id) &&
    (tool === undefined || tool === '*' || tool === target.name) &&
    (category === undefined || category === target.category)
  )
}
