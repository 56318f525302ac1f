/**
 * A policy document by its schema, entry by entry: it may hold a hundred thousand, and requests are answered in between. What
 * stands around the entries is decoded as a document whose lists are empty.
 */
import type { z } from 'zod'
import type { Sliced } from '../../kernel/slices.ts'
import { type DecodedDocument, registryDocument } from '../entries/registry-document.ts'
import { SECTION_NAMES, type SectionName } from '../sections.ts'
import { decodeStrictly } from '../strict-document.ts'

type Lists = Partial<Record<SectionName, readonly unknown[]>>

/** `undefined` after adding all that is wrong with it to `problems`. */
export function* decodeDocument(
  document: unknown,
  sourceName: string,
  problems: string[],
): Sliced<DecodedDocument | undefined> {
  const lists = listsOf(document)
  const decoded: Partial<Record<SectionName, unknown[]>> = {}
  const problemsBefore = problems.length
  for (const [name, list] of Object.entries(lists) as [SectionName, readonly unknown[]][]) {
    const schema: z.ZodType = registryDocument.shape[name].unwrap().element
    const entries: unknown[] = []
    for (const [index, entry] of list.entries()) {
      entries.push(decodeStrictly(schema, entry, { sourceName, path: [name, index] }, problems))
      yield
    }
    decoded[name] = entries
  }
  const around = decodeStrictly(registryDocument, without(document, lists), sourceName, problems)
  if (around === undefined || problems.length > problemsBefore) return undefined
  return { ...around, ...(decoded as Partial<DecodedDocument>) }
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
