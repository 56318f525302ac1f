/**
 * Edits of what was written over the admin API: pure, and refused where somebody else has changed the object since it was
 * looked at. What a file says is changed in the file: two places for one truth would overwrite each other.
 */
import { Rejection } from '../../kernel/rejection.ts'
import type { Sliced } from '../../kernel/slices.ts'
import { type LifecycleState, legalTransition } from '../../model/lifecycle.ts'
import type { PolicyDocuments } from '../../registry/publication/policy-documents.ts'
import { entriesOf, isWritten, nameOf, SECTIONS, type SectionName, type Written } from '../../registry/sections.ts'
import { stateOf } from './read-objects.ts'
import { assertNamesNoFiles } from './section-authority.ts'
import { findingObject, versionOf } from './stored-objects.ts'

export interface ObjectEdit {
  readonly section: SectionName
  readonly id: string
  /** What `If-Match` names: a version, or `*` for whichever there is; `undefined`: there is to be none yet. */
  readonly expected: string | undefined
  /** The object as it is to be; `undefined`: not at all. @throws Rejection */
  readonly next: (before: Written | undefined) => Written | undefined
}

export interface PlannedEdit {
  readonly before: Written | undefined
  readonly after: Written | undefined
  /** All that was written over the API, with it. */
  readonly entries: Written
}

/** @throws Rejection `object_read_only`, `object_changed`, `precondition_missing`, `not_found`, and what `next` throws */
export function* planned(documents: PolicyDocuments, edit: ObjectEdit): Sliced<PlannedEdit> {
  const { section, id } = edit
  const object = yield* findingObject(documents, section, id)
  if (object?.file !== undefined) {
    throw new Rejection(
      'object_read_only',
      `it is written in the file ${object.file}: change it there and publish that`,
    )
  }
  const before = object?.entry
  assertExpected(before, edit.expected)
  const after = edit.next(before)
  if (after === undefined && before === undefined) throw new Rejection('not_found', 'there is no such object')
  if (after !== undefined && nameOf(section, after) !== id) {
    throw new Rejection('body_malformed', `its ${SECTIONS[section].named.join(' and ')} must be the name in the path`)
  }
  if (after !== undefined) assertNamesNoFiles(section, [after])
  return { before, after, entries: withEntry(documents.entries, edit, after) }
}

function assertExpected(before: Written | undefined, expected: string | undefined): void {
  if (before === undefined ? expected === undefined : expected === '*' || expected === versionOf(before)) return
  if (before !== undefined && expected === undefined) {
    throw new Rejection('precondition_missing', 'it exists: send its version in If-Match to change it')
  }
  throw new Rejection('object_changed', 'somebody has changed it since: read it again')
}

function withEntry(entries: unknown, { section, id }: ObjectEdit, after: Written | undefined): Written {
  const known = entriesOf(entries, section)
  const place = known.findIndex((entry) => nameOf(section, entry) === id)
  const kept = known.filter((_, index) => index !== place)
  const next = after === undefined ? kept : place < 0 ? [...known, after] : known.with(place, after)
  return { ...(isWritten(entries) ? entries : {}), [section]: next }
}

/** @throws Rejection `transition_illegal` */
export function inState(before: Written | undefined, state: LifecycleState): Written {
  if (before === undefined) throw new Rejection('not_found', 'there is no such object')
  const from = stateOf(before) as LifecycleState
  if (from !== state && legalTransition(from, state)) return { ...before, state }
  throw new Rejection(
    'transition_illegal',
    from === state ? `it is ${state} already` : `no step leads from ${from} to ${state}`,
  )
}
