/**
 * Which tools a rule reaches, and where in the tree. Every member given must match; `*` matches all; a selector without members
 * matches nothing. A project and a container reach what lies below them: never what is above, never what is beside.
 */
import type { Container, Resource, Tool, ToolSelector } from '../model/resource.ts'

/** A rule about one container selects the tool, too: `holdsIn` says where. */
export function selects({ project, server, tool, category }: ToolSelector, resource: Resource, target: Tool): boolean {
  if (project === undefined && server === undefined && tool === undefined && category === undefined) return false
  return (
    (project === undefined || project === '*' || resource.projects.includes(project)) &&
    (server === undefined || server === '*' || server === resource.id) &&
    (tool === undefined || tool === '*' || tool === target.name) &&
    (category === undefined || category === target.category)
  )
}

/** Whether it holds for a use within `place`; `undefined`: cannot be told, as it is not known where the use will be. */
export function holdsIn({ container }: ToolSelector, place: Container | undefined): boolean | undefined {
  if (container === undefined) return true
  return place?.lineage.includes(container)
}

/** One thing it names, under which to look for it: whatever tool it selects has that among its `namesOf`. */
export function narrowest({ server, tool, project, category }: ToolSelector): string {
  if (server !== undefined && server !== '*') return `server ${server}`
  if (tool !== undefined && tool !== '*') return `tool ${tool}`
  if (project !== undefined && project !== '*') return `project ${project}`
  return category === undefined ? '*' : `category ${category}`
}

export function namesOf({ id, projects }: Resource, { name, category }: Tool): readonly string[] {
  return [
    `server ${id}`,
    `tool ${name}`,
    ...projects.map((project) => `project ${project}`),
    `category ${category}`,
    '*',
  ]
}
