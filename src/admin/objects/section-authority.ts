/**
 * Who may change which section, whatever way it is changed. Sections that say who vouches for whom say who is an admin, too:
 * with the permission for policy alone, nobody may reach them through a file either.
 */

import { MISSING_LINES_MAX } from '../../kernel/limits.ts'
import { Rejection } from '../../kernel/rejection.ts'
import { mapped, type Sliced } from '../../kernel/slices.ts'
import type { Caller } from '../../model/caller.ts'
import type { Registry } from '../../model/registry.ts'
import { canonicalJson } from '../../registry/canonical-json.ts'
import type { PolicyDocuments } from '../../registry/publication/policy-documents.ts'
import {
  entriesOf,
  isWritten,
  nameOf,
  SECTION_NAMES,
  SECTIONS,
  type SectionName,
  type Written,
} from '../../registry/sections.ts'
import { permitted } from '../operator-caller.ts'
import { assertOwnersChange } from './tool-authority.ts'

/** All that is published, or that was written over the API, as one policy document. */
export function* documentOf({ files, entries }: PolicyDocuments, source: 'all' | 'api'): Sliced<Written> {
  const all = [...(source === 'all' ? files.map(({ document }) => document) : []), entries]
  const sections = yield* mapped(SECTION_NAMES, (name) => [name, all.flatMap((one) => entriesOf(one, name))] as const)
  return Object.fromEntries(sections.filter(([, listed]) => listed.length > 0))
}

/** @param people who is in which group. @throws Rejection `admin_forbidden` */
export function* assertMayChange(before: Written, after: Written, caller: Caller, people: Registry): Sliced<undefined> {
  for (const section of SECTION_NAMES) {
    const was = entriesOf(before, section)
    yield
    const is = entriesOf(after, section)
    yield
    if (yield* sayTheSame(was, is)) continue
    if (caller.kind !== 'operator') throw new Rejection('bearer_invalid', 'only admins change the registry')
    permitted(caller, SECTIONS[section].permission)
    if (section === 'resources') assertOwnersChange(was, is, caller, people)
  }
}

function* sayTheSame(before: readonly Written[], after: readonly Written[]): Sliced<boolean> {
  if (before.length !== after.length) return false
  for (const [index, entry] of before.entries()) {
    if (entry !== after[index] && canonicalJson(entry) !== canonicalJson(after[index])) return false
    yield
  }
  return true
}

/**
 * Whoever may write an entry must not so learn what a file of the machine holds, by having it sent somewhere.
 * @throws Rejection `policy_invalid`
 */
export function assertNamesNoFiles(section: SectionName, entries: readonly Written[]): void {
  // Elsewhere a name with that ending is a tool's.
  if (SECTIONS[section].permission !== 'security') return
  const missing = entries.flatMap((entry) => filesNamed(entry, nameOf(section, entry))).slice(0, MISSING_LINES_MAX)
  if (missing.length === 0) return
  throw new Rejection('policy_invalid', 'files of the machine are named in files there, never over the API', {
    missing,
  })
}

function filesNamed(value: unknown, path: string): readonly string[] {
  if (Array.isArray(value)) return value.flatMap((member, index) => filesNamed(member, `${path}[${index}]`))
  if (!isWritten(value)) return []
  return Object.entries(value).flatMap(([name, member]) => {
    const at = `${path}.${name}`
    return [...(name.endsWith('_file') ? [at] : []), ...filesNamed(member, at)]
  })
}
