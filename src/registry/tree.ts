/** Nodes that name the one above them, as lines from each to the root. */

export interface TreeNode {
  readonly id: string
  readonly parent?: string | undefined
}

/**
 * Of each node: its own id, then those above it, as far as they are registered and no further than `depthMax + 1`. A circle
 * ends where it would begin again.
 */
export function lineages(nodes: readonly TreeNode[], depthMax: number): ReadonlyMap<string, readonly string[]> {
  const parents = new Map(nodes.map(({ id, parent }) => [id, parent]))
  return new Map(nodes.map(({ id }) => [id, lineage(id, parents, depthMax)]))
}

function lineage(id: string, parents: ReadonlyMap<string, string | undefined>, depthMax: number): readonly string[] {
  const line = new Set<string>()
  let next: string | undefined = id
  while (next !== undefined && parents.has(next) && !line.has(next) && line.size <= depthMax) {
    line.add(next)
    next = parents.get(next)
  }
  return [...line]
}
