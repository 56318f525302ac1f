/**
 * A policy document by its schema, entry by entry: it may hold a hundred thousand, and requests are answered in between. What
 * stands around the entries is decoded as a document whose lists are empty.
 */
import type { z } from 'zod'
import type { Sliced } from '../../kernel/slices.ts'
import type { Placed } from '../checks/placed-entries.ts'
import { type DecodedDocument, registryDocument } from '../entries/registry-document.ts'
import { SECTION_NAMES, type SectionName } from '../sections.ts'
import { decodeStrictly, place } from '../strict-document.ts'
import type { DecodedEntries } from './decoded-entries.ts'

type Lists = Partial<Record<SectionName, readonly unknown[]>>

/** The entries of each section in their order. */
export type PlacedDocument = { readonly [K in SectionName]: readonly Placed<DecodedDocument[K][number]>[] }

export interface Source {
  readonly sourceName: string
  readonly directory: string
}

/** `undefined` after adding all that is wrong with it to `problems`. */
export function* decodeDocument(
  document: unknown,
  source: Source,
  known: DecodedEntries,
  problems: string[],
): Sliced<PlacedDocument | undefined> {
  const { sourceName } = source
  const lists = listsOf(document)
  const decoded: Partial<Record<SectionName, unknown[]>> = {}
  const problemsBefore = problems.length
  for (const [name, list] of Object.entries(lists) as [SectionName, readonly unknown[]][]) {
    const schema: z.ZodType = registryDocument.shape[name].unwrap().element
    const entries: unknown[] = []
    for (const [index, written] of list.entries()) {
      const before = known.before(name, written)
      const entry = before?.entry ?? decodeStrictly(schema, written, { sourceName, path: [name, index] }, problems)
      const placed = placedLike(before, { ...source, path: [name, index] }, written, entry)
      known.add(name, placed)
      entries.push(placed)
      yield
    }
    decoded[name] = entries
  }
  const around = decodeStrictly(registryDocument, without(document, lists), sourceName, problems)
  if (around === undefined || problems.length > problemsBefore) return undefined
  // What is not there at all is empty by its schema.
  return { ...(around as unknown as PlacedDocument), ...(decoded as Partial<PlacedDocument>) }
}

/** The same object as before, where it stands where it stood. */
function placedLike(
  before: Placed<unknown> | undefined,
  { sourceName, directory, path }: Source & { readonly path: readonly PropertyKey[] },
  written: unknown,
  entry: unknown,
): Placed<unknown> {
  const at = place(sourceName, path)
  return before?.at === at && before.directory === directory ? before : { at, directory, written, entry }
}

function listsOf(document: unknown): Lists {
  const lists: Lists = {}
  if (typeof document !== 'object' || document === null || Array.isArray(document)) return lists
  const members = new Map<string, unknown>(Object.entries(document))
  for (const name of SECTION_NAMES) {
    const list = members.get(name)
    if (Array.isArray(list)) lists[name] = list
  }
  return lists
}

function without(document: unknown, lists: Lists): unknown {
  const emptied = Object.fromEntries(Object.keys(lists).map((name) => [name, []]))
  return Object.keys(lists).length === 0 ? document : { ...(document as object), ...emptied }
}
