/** Two manifests side by side, tool by tool. What a resource itself has lost or gained is not looked at. */
import type { ToolConstraints } from '../../authority/authority.ts'
import { isUnconstrained, meetTool, narrowsTool } from '../../authority/constraints.ts'
import type { Registry } from '../../model/registry.ts'
import type { ManifestEntry, Resource, Tool } from '../../model/resource.ts'
import { selects } from '../../policy/selector.ts'
import { isSame } from './fingerprint.ts'

type Manifest = readonly ManifestEntry[]
type Resources = Pick<Registry, 'resources'>

/** More entries may narrow, too: all that reach a tool hold it together. */
export function narrowsManifest(before: Manifest, after: Manifest, registry: Resources): boolean {
  return narrowedTools(before, after, registry).next().done !== true
}

/** `insert at warehouse`: of what `after` allows, whatever `before` did not allow, or held to less. */
export function widenedTools(before: Manifest, after: Manifest, registry: Resources): readonly string[] {
  return [...narrowedTools(after, before, registry)].flatMap(({ resource, tool }) =>
    reaching(after, resource, tool).length === 0 ? [] : [`${tool.name} at ${resource.id}`],
  )
}

function* narrowedTools(
  before: Manifest,
  after: Manifest,
  { resources }: Resources,
): Generator<{ readonly resource: Resource; readonly tool: Tool }> {
  if (isSame(before, after)) return
  for (const resource of resources) {
    for (const tool of resource.tools.values()) {
      if (narrows(reaching(before, resource, tool), reaching(after, resource, tool))) yield { resource, tool }
    }
  }
}

function reaching(manifest: Manifest, resource: Resource, tool: Tool): Manifest {
  return manifest.filter(({ selector }) => selects(selector, resource, tool))
}

/** Of the entries that reach one tool. */
function narrows(before: Manifest, after: Manifest): boolean {
  const places = [...before, ...after].some(({ selector }) => selector.container !== undefined)
  // Where it depends on the place, only what is the same to the letter is known to be no less.
  if (places) return !isSame(before, after) && !holdsNothingBack(after)
  const had = allowedBy(before)
  const has = allowedBy(after)
  return had !== undefined && (has === undefined || narrowsTool(had, has) !== undefined)
}

function holdsNothingBack(entries: Manifest): boolean {
  const isFree = ({ selector, constraints }: ManifestEntry) =>
    selector.container === undefined && isUnconstrained(constraints)
  return entries.length > 0 && entries.every(isFree)
}

function allowedBy([first, ...others]: Manifest): ToolConstraints | undefined {
  let met = first?.constraints
  for (const { constraints } of others) met = met && meetTool(met, constraints)
  return met
}
