/**
 * The tree that resources lie in: every parent is there, nothing lies below itself, and no branch is deeper than its bound. A
 * server in a project that nobody registered would lie beside the tree, out of reach of what is denied higher up.
 */
import { CONTAINER_DEPTH_MAX, PROJECT_DEPTH_MAX } from '../../kernel/limits.ts'
import { getOrInsertComputed } from '../../kernel/maps.ts'
import type { Sliced } from '../../kernel/slices.ts'
import type { ProjectEntry } from '../entries/project-entry.ts'
import { DEFAULT_PROJECT, type ResourceEntry } from '../entries/resource-entry.ts'
import { lineages, type TreeNode } from '../tree.ts'

interface Placed<T> {
  readonly at: string
  readonly entry: T
}

interface Tree {
  readonly projects: readonly Placed<ProjectEntry>[]
  readonly resources: readonly Placed<ResourceEntry>[]
}

type Refer = (known: ReadonlySet<string> | ReadonlyMap<string, unknown>, name: string, at: string, noun: string) => void

/** What selectors may name of the tree. */
export interface TreeNames {
  readonly projects: ReadonlySet<string>
  /** Of the project and all below it. */
  readonly toolsByProject: ReadonlyMap<string, ReadonlySet<string>>
  readonly containersByServer: ReadonlyMap<string, ReadonlySet<string>>
}

export function* treeNames({ projects, resources }: Tree): Sliced<TreeNames> {
  const lines = lineages(
    projects.map(({ entry }) => entry),
    PROJECT_DEPTH_MAX,
  )
  const ids = [DEFAULT_PROJECT, ...projects.map(({ entry }) => entry.id)]
  const toolsByProject = new Map(ids.map((id) => [id, new Set<string>()]))
  for (const { entry } of resources) {
    for (const project of lines.get(entry.project) ?? [entry.project]) {
      const tools = getOrInsertComputed(toolsByProject, project, () => new Set<string>())
      for (const tool of Object.keys(entry.tools)) tools.add(tool)
    }
    yield
  }
  return {
    projects: new Set(toolsByProject.keys()),
    toolsByProject,
    containersByServer: new Map(
      resources.map(({ entry }) => [entry.id, new Set(entry.containers.map(({ id }) => id))]),
    ),
  }
}

export function* checkTree({ projects, resources }: Tree, problems: string[], refer: Refer): Sliced<undefined> {
  const nodes = projects.map(({ at, entry }) => ({ at, ...entry }))
  checkNodes(nodes, { depthMax: PROJECT_DEPTH_MAX, noun: 'project' }, problems, refer)
  const known = new Set([DEFAULT_PROJECT, ...nodes.map(({ id }) => id)])
  for (const resource of resources) {
    if (projects.length > 0) refer(known, resource.entry.project, `${resource.at}.project`, 'project')
    checkContainers(resource, problems, refer)
    yield
  }
}

function checkContainers({ at, entry }: Placed<ResourceEntry>, problems: string[], refer: Refer): void {
  const nodes = entry.containers.map((container, index) => ({ at: `${at}.containers[${index}]`, ...container }))
  const first = new Map<string, string>()
  for (const node of nodes) {
    const before = first.get(node.id)
    if (before === undefined) first.set(node.id, node.at)
    else problems.push(`${node.at}.id: already used by ${before}`)
  }
  checkNodes(nodes, { depthMax: CONTAINER_DEPTH_MAX, noun: `container of ${entry.id}` }, problems, refer)
}

interface TreeKind {
  readonly depthMax: number
  readonly noun: string
}

function checkNodes(
  nodes: readonly (TreeNode & { readonly at: string })[],
  { depthMax, noun }: TreeKind,
  problems: string[],
  refer: Refer,
): void {
  const lines = lineages(nodes, depthMax)
  for (const { at, id, parent } of nodes) {
    if (parent === undefined) continue
    refer(lines, parent, `${at}.parent`, noun)
    const line = lines.get(id) ?? []
    if (lines.get(parent)?.includes(id)) problems.push(`${at}.parent: ${id} would lie below itself`)
    else if (line.length > depthMax) problems.push(`${at}.parent: more than ${depthMax} levels deep`)
  }
}
