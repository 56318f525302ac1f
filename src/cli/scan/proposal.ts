/**
 * What category a tool is proposed to be of, and why: the worst of what its name says and what its annotations say.
 *
 * Annotations are the word of whoever runs the server, and MCP says not to trust them: they can raise a category, never lower
 * it. `readOnlyHint: true` on `delete_page` changes nothing; on a name that says nothing it does not make the tool harmless
 * either, unless the operator trusts the server. What hides characters from its reader counts as `admin`.
 */
import type { ToolCategory } from '../../model/resource.ts'
import { type JsonObject, jsonObject } from '../json-fields.ts'
import { hiddenIn } from './shown-text.ts'

export interface Proposal {
  readonly category: ToolCategory
  /** Words of this program only, never of the server: they are written into the registry as comments. */
  readonly because: readonly string[]
}

/** Mildest first. */
const SEVERITY: readonly ToolCategory[] = ['read', 'write', 'destructive', 'admin']

/** Who may do what, and what opens other doors: no annotation tells these apart, and names do (`get_env`, `list_tokens`). */
const ADMIN =
  'account acl admin apikey config credential env environment grant group impersonate key member password permission policy role secret sudo token user'
const DESTRUCTIVE =
  'approve cancel charge deploy delete destroy disable drop erase eval exec execute force invoke kill overwrite pay purge refund remove reset restart revoke rm run send shell shutdown stop terminate transfer truncate trigger uninstall unlink wipe'
const WRITE =
  'add append assign book change close comment commit copy create edit enable fill import insert install label merge modify move open patch post publish put rename reply save schedule set share start submit subscribe toggle update upload upsert write'
/** Only as the first word: `history_get` and `find_and_x` are told by their other words. */
const READ =
  'check count describe diff download explain fetch find get head inspect list lookup peek preview query read retrieve search select show stat status summarize view'

const CATEGORY_OF: ReadonlyMap<string, ToolCategory> = new Map(
  (
    [
      ['write', WRITE],
      ['destructive', DESTRUCTIVE],
      ['admin', ADMIN],
    ] as const
  ).flatMap(([category, words]) => words.split(' ').map((word) => [word, category] as const)),
)
const READING: ReadonlySet<string> = new Set(READ.split(' '))

/** @param trusted the operator answers for the server: a name that says nothing leaves it to the annotations */
export function propose(tool: JsonObject, trusted = false): Proposal {
  const name = String(tool['name'])
  const said = [ofName(name, trusted), ofAnnotations(tool['annotations']), ofHiddenText(tool)].filter(
    (one) => one !== undefined,
  )
  const category = worst(said.map((one) => one.category))
  const because = said.filter((one) => one.category === category).flatMap((one) => one.because)
  const milder = said.find((one) => one.isHint && one.category !== category)
  return {
    category,
    because:
      milder === undefined ? because : [...because, `its annotations say ${milder.category}, which lowers nothing`],
  }
}

/** Whether `a` is a worse category than `b`. */
export function isWorse(a: ToolCategory, b: ToolCategory): boolean {
  return SEVERITY.indexOf(a) > SEVERITY.indexOf(b)
}

function worst(categories: readonly ToolCategory[]): ToolCategory {
  return categories.reduce((one, other) => (isWorse(other, one) ? other : one), 'read')
}

interface Said extends Proposal {
  readonly isHint?: true
}

function ofName(name: string, trusted: boolean): Said | undefined {
  const words = wordsOf(name)
  const known = words.flatMap((word) => {
    const category = CATEGORY_OF.get(word) ?? CATEGORY_OF.get(word.replace(/s$/, ''))
    return category === undefined ? [] : [{ word, category }]
  })
  const category = worst(known.map((one) => one.category))
  const telling = known.filter((one) => one.category === category).map(({ word }) => `“${word}”`)
  if (telling.length > 0) return { category, because: [`its name says ${telling.join(' and ')}`] }
  const [first = ''] = words
  if (READING.has(first)) return { category: 'read', because: [`its name begins with “${first}”`] }
  return trusted ? undefined : { category: 'destructive', because: ['nothing in its name says what it does'] }
}

/** `deletePage`, `delete-page` and `DELETE_PAGE` are of the same words. */
function wordsOf(name: string): readonly string[] {
  return name
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z]+/)
    .filter((word) => word !== '')
}

/** MCP, ToolAnnotations: what is not read-only is destructive unless it says otherwise, and what says nothing is not read-only. */
function ofAnnotations(annotations: unknown): Said {
  const { readOnlyHint, destructiveHint } = jsonObject(annotations)
  if (destructiveHint === true)
    return { category: 'destructive', because: ['it says destructiveHint: true'], isHint: true }
  if (readOnlyHint === true) return { category: 'read', because: ['it says readOnlyHint: true'], isHint: true }
  if (destructiveHint === false) return { category: 'write', because: ['it says destructiveHint: false'], isHint: true }
  return {
    category: 'destructive',
    because: ['it says neither readOnlyHint: true nor destructiveHint: false'],
    isHint: true,
  }
}

function ofHiddenText(tool: JsonObject): Said | undefined {
  if (hiddenIn(tool).length === 0) return undefined
  return { category: 'admin', because: ['its definition hides characters from whoever reads it'] }
}
