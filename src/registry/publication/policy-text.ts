/**
 * The text of a policy as it is stored, before it is packed: one line of JSON for everything but long lists, and then those, a
 * hundred entries a line, so that no piece takes long to write or to read.
 */
import { gunzipSync } from 'node:zlib'
import { sha256 } from '../../kernel/digest.ts'
import { POLICY_BYTES_MAX } from '../../kernel/policy-limits.ts'
import { atOnce, type Sliced } from '../../kernel/slices.ts'

/** A file, or what was written over the admin API beside all files. */
interface Documents {
  readonly issuer: string
  readonly accessTokenSeconds: number
  readonly files: readonly NamedDocument[]
  readonly entries: unknown
}

interface NamedDocument {
  readonly name: string
  readonly document: unknown
}

const FORMAT = 'errand-policy-2'
/** Entries of one line: read as JSON in a millisecond or two. */
const LINE_ENTRIES = 100

/** What is around the lists of all documents. */
interface Heading {
  readonly issuer: string
  readonly access_token_seconds: number
  readonly files: readonly NamedDocument[]
  readonly entries: unknown
}

/** Of the document of this number (the files, then the entries), more of the list of this name. */
type Line = readonly [document: number, name: string, entries: readonly unknown[]]

export function* linesOf({ issuer, accessTokenSeconds, files, entries }: Documents): Generator<string> {
  const heading: Heading = {
    issuer,
    access_token_seconds: accessTokenSeconds,
    files: files.map(({ name, document }) => ({ name, document: withoutLists(document) })),
    entries: withoutLists(entries),
  }
  yield JSON.stringify(heading)
  for (const [number, document] of [...files.map((file) => file.document), entries].entries()) {
    for (const [name, list] of membersOf(document)) {
      if (!Array.isArray(list)) continue
      for (let from = 0; from < list.length; from += LINE_ENTRIES) {
        const line: Line = [number, name, list.slice(from, from + LINE_ENTRIES)]
        yield `\n${JSON.stringify(line)}`
      }
    }
  }
}

/** What is stored of the packed lines: with their own digest, so that a text that was damaged is none. */
export function stored(packed: Buffer): string {
  const text = packed.toString('base64')
  return `${FORMAT} ${sha256(text)} ${text}`
}

/** The packed lines. @throws Error for a text that is not whole */
export function packedIn(text: string): Buffer {
  const [format, digest, packed = ''] = text.split(' ')
  if (format !== FORMAT || digest !== sha256(packed)) throw new Error('the stored policy is damaged')
  return Buffer.from(packed, 'base64')
}

/** To the end, with nothing in between. @throws Error for a text that is not whole */
export function documentsAtOnce(text: string): Documents {
  return atOnce(documentsIn(gunzipSync(packedIn(text), { maxOutputLength: POLICY_BYTES_MAX })))
}

export function* documentsIn(content: Buffer): Sliced<Documents> {
  const lines = linesIn(content)
  const { issuer, access_token_seconds, files, entries } = JSON.parse(lines.next().value ?? '') as Heading
  const documents = [...files.map(({ document }) => document), entries] as Record<string, unknown[]>[]
  for (const text of lines) {
    const [number, name, more] = JSON.parse(text) as Line
    documents[number]?.[name]?.push(...more)
    yield
  }
  return { issuer, accessTokenSeconds: access_token_seconds, files, entries }
}

function* linesIn(content: Buffer): Generator<string, undefined, undefined> {
  for (let from = 0; from <= content.length; ) {
    const end = content.indexOf('\n', from)
    yield content.toString('utf8', from, end === -1 ? content.length : end)
    if (end === -1) return
    from = end + 1
  }
}

function withoutLists(document: unknown): unknown {
  if (!isObject(document)) return document
  return Object.fromEntries(membersOf(document).map(([name, member]) => [name, Array.isArray(member) ? [] : member]))
}

function membersOf(document: unknown): readonly [string, unknown][] {
  return isObject(document) ? Object.entries(document) : []
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
