/**
 * The published policy, but that agents have no more than they use: a draft, to be compared with the past, or run in shadow, before
 * anybody publishes it. What was written over the API stays there, beside any draft: agents of that are named, and left as they are.
 */
import { entriesOf, nameOf, SECTION_NAMES, type SectionName, type Written } from '../../registry/sections.ts'
import { arrayOf, type JsonObject, jsonObject, textOf } from '../json-fields.ts'

export interface NarrowedDraft {
  /** What the policy files say together, narrowed. */
  readonly document: Written
  /** Client ids. */
  readonly narrowed: readonly string[]
  readonly left: readonly string[]
}

/**
 * @param review the answer of `/admin/v1/review`
 * @param all the published registry as one document; `api`: what of it was written over the API
 */
export function narrowedDraft(review: JsonObject, all: JsonObject, api: JsonObject): NarrowedDraft {
  const manifests = narrowedManifests(review)
  const inApi = (section: SectionName) => new Set(entriesOf(api, section).map((entry) => nameOf(section, entry)))
  const sections = SECTION_NAMES.map((section) => {
    const elsewhere = inApi(section)
    return [section, entriesOf(all, section).filter((entry) => !elsewhere.has(nameOf(section, entry)))] as const
  })
  const document = Object.fromEntries(sections.filter(([, listed]) => listed.length > 0))
  const agents = entriesOf(document, 'agents')
  const narrowed = agents.map((entry) => nameOf('agents', entry)).filter((name) => manifests.has(name))
  const next = agents.map((entry) => {
    const manifest = manifests.get(nameOf('agents', entry))
    return manifest === undefined ? entry : { ...entry, manifest }
  })
  const left = [...manifests.keys()].filter((name) => !narrowed.includes(name))
  return { document: agents.length === 0 ? document : { ...document, agents: next }, narrowed, left }
}

function narrowedManifests(review: JsonObject): ReadonlyMap<string, readonly unknown[]> {
  const found = arrayOf(review['findings']).map(jsonObject)
  return new Map(
    found.flatMap((finding) => {
      const manifest = finding['narrowed_manifest']
      const [kind, id] = /^(agent):(.*)$/s.exec(textOf(finding['object']) ?? '')?.slice(1) ?? []
      return kind === undefined || id === undefined || !Array.isArray(manifest) ? [] : [[id, manifest] as const]
    }),
  )
}
