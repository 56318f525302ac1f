/**
 * The objects of the published policy, each with where it was written: in a file, which is changed where it is, or over the
 * admin API.
 */
import { sha256 } from '../../kernel/digest.ts'
import { atOnce, type Sliced } from '../../kernel/slices.ts'
import { canonicalJson } from '../../registry/canonical-json.ts'
import type { PolicyDocuments } from '../../registry/publication/policy-documents.ts'
import { entriesOf, nameOf, type SectionName, type Written } from '../../registry/sections.ts'

export interface StoredObject {
  readonly section: SectionName
  readonly id: string
  /** Name of the file; `undefined`: written over the API. */
  readonly file: string | undefined
  readonly entry: Written
}

export function* storedObjects({ files, entries }: PolicyDocuments, section: SectionName): Generator<StoredObject> {
  for (const { name, document } of [...files, { name: undefined, document: entries }]) {
    for (const entry of entriesOf(document, section)) yield { section, id: nameOf(section, entry), file: name, entry }
  }
}

export function storedObject(documents: PolicyDocuments, section: SectionName, id: string): StoredObject | undefined {
  return atOnce(findingObject(documents, section, id))
}

/** As `storedObject`, in slices. */
export function* findingObject(
  documents: PolicyDocuments,
  section: SectionName,
  id: string,
): Sliced<StoredObject | undefined> {
  for (const object of storedObjects(documents, section)) {
    if (object.id === id) return object
    yield
  }
  return undefined
}

/** The same entry has the same, however it was spelled; any other another. */
export function versionOf(entry: Written): string {
  return sha256(canonicalJson(entry))
}

/** As a segment of a path. Names may be URLs, or hold what has two spellings there. */
export function pathSegment(id: string): string {
  return /^[\w.:@-]+$/.test(id) && !/^\.+$/.test(id) ? id : `~${Buffer.from(id).toString('base64url')}`
}

export function idInPath(segment: string): string {
  return segment.startsWith('~') ? Buffer.from(segment.slice(1), 'base64url').toString() : segment
}
