/**
 * What has become of a server's tools since somebody pinned them. The registry's digests say that a tool is another one; what of
 * it is another is told from the list that was kept beside, as far as that list is the one that was pinned.
 */
import { canonicalJson } from '../../registry/canonical-json.ts'
import { definitionDigest } from '../../registry/manifest-digest.ts'
import { type JsonObject, jsonObject } from '../json-fields.ts'

export interface PinnedTool {
  readonly definition?: unknown
  readonly category?: unknown
}

export interface Drift {
  readonly tool: string
  /** `unpinned`: it is registered, and nobody has written down what the server says of it. */
  readonly change: 'added' | 'changed' | 'removed' | 'unpinned'
  /** Of the changed: `description`, `inputSchema`, `annotations.readOnlyHint: false → true`. `undefined`: what it was is not kept. */
  readonly parts: readonly string[] | undefined
  /** Whether it now says of itself that it may do less harm than it said before: whoever believes annotations now lets it do more. */
  readonly isPrivilegeChange: boolean
}

/**
 * @param pinned the tools of the registry's entry
 * @param kept the list as it was kept when it was pinned, believed tool by tool where the digest is the pinned one
 */
export function driftOf(
  pinned: Readonly<Record<string, PinnedTool>>,
  listed: readonly JsonObject[],
  kept: readonly JsonObject[],
): readonly Drift[] {
  const before = new Map(kept.map((tool) => [String(tool['name']), tool]))
  const drifts: Drift[] = []
  for (const tool of listed) {
    const name = String(tool['name'])
    const known = Object.hasOwn(pinned, name) ? pinned[name] : undefined
    if (known === undefined) drifts.push({ tool: name, change: 'added', ...UNKNOWN })
    else if (known.definition === undefined) drifts.push({ tool: name, change: 'unpinned', ...UNKNOWN })
    else if (known.definition !== definitionDigest(tool)) {
      const was = before.get(name)
      const isPinned = was !== undefined && definitionDigest(was) === known.definition
      drifts.push({ tool: name, change: 'changed', ...(isPinned ? compared(was, tool) : UNKNOWN) })
    }
  }
  const names = new Set(listed.map(({ name }) => name))
  for (const tool of Object.keys(pinned)) {
    if (!names.has(tool)) drifts.push({ tool, change: 'removed', ...UNKNOWN })
  }
  return drifts
}

const UNKNOWN = { parts: undefined, isPrivilegeChange: false } as const

function compared(was: JsonObject, is: JsonObject): Pick<Drift, 'parts' | 'isPrivilegeChange'> {
  const [hintsWere, hintsAre] = [jsonObject(was['annotations']), jsonObject(is['annotations'])]
  const members = different(was, is).filter((member) => member !== '_meta')
  const parts = members.flatMap((member) =>
    member === 'annotations'
      ? different(hintsWere, hintsAre).map(
          (hint) => `annotations.${hint}: ${written(hintsWere[hint])} → ${written(hintsAre[hint])}`,
        )
      : [member],
  )
  const isPrivilegeChange =
    (hintsWere['readOnlyHint'] !== true && hintsAre['readOnlyHint'] === true) ||
    (hintsWere['destructiveHint'] !== false && hintsAre['destructiveHint'] === false)
  return { parts, isPrivilegeChange }
}

function different(one: JsonObject, other: JsonObject): readonly string[] {
  const names = new Set([...Object.keys(one), ...Object.keys(other)])
  return [...names].filter((name) => textIn(one[name]) !== textIn(other[name])).sort()
}

const textIn = (value: unknown): string => (value === undefined ? '' : canonicalJson(value))

function written(value: unknown): string {
  return typeof value === 'boolean' ? String(value) : value === undefined ? 'absent' : 'other'
}
