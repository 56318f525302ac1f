/**
 * What is published: the policy documents of the files and what was written over the admin API, as one text that the store
 * keeps under its version. The text carries its own digest, so that one that was damaged is no policy at all.
 */
import { promisify } from 'node:util'
import { gunzip, gzip } from 'node:zlib'
import { sha256 } from '../../kernel/digest.ts'
import { POLICY_BYTES_MAX } from '../../kernel/policy-limits.ts'
import { inSlices, type Sliced } from '../../kernel/slices.ts'
import { canonicalJson } from '../canonical-json.ts'
import type { RegistryDocument } from '../load-registry.ts'

export interface PolicyFile {
  /** As problems name it. */
  readonly name: string
  /** Decoded YAML or JSON, not yet trusted. */
  readonly document: unknown
}

export interface PolicyDocuments {
  /** Of the brokers this is for: another's policy is refused. */
  readonly issuer: string
  /** Life of access tokens where a resource says nothing. */
  readonly accessTokenSeconds: number
  readonly files: readonly PolicyFile[]
  /** One policy document, written over the admin API. */
  readonly entries: unknown
}

/** What relative paths are relative to in the file of this name, at this position. */
export type DirectoryOf = (name: string, position: number) => string

/** What problems in what was written over the admin API are reported under. */
const ENTRIES_NAME = 'admin API'
const FORMAT = 'errand-policy-2'
/** Entries of one line: read as JSON in a millisecond or two. */
const LINE_ENTRIES = 100
const [pack, unpack] = [promisify(gzip), promisify(gunzip)]

/** For a broker whose own files of the same names are in these directories: that is what relative paths are relative to. */
export function documentsOf(
  { files, entries }: PolicyDocuments,
  directoryOf: DirectoryOf,
): readonly RegistryDocument[] {
  return [
    ...files.map(({ name, document }, position) => ({
      document,
      sourceName: name,
      directory: directoryOf(name, position),
    })),
    { document: entries, sourceName: ENTRIES_NAME, directory: directoryOf('', files.length) },
  ]
}

/** Whether the files of both say the same. */
export function sameFiles(a: readonly PolicyFile[], b: readonly PolicyFile[]): boolean {
  return canonicalJson(a) === canonicalJson(b)
}

export async function encodePolicy(documents: PolicyDocuments): Promise<string> {
  const packed = (await pack(await inSlices(linesOf(documents)))).toString('base64')
  return `${FORMAT} ${sha256(packed)} ${packed}`
}

/** @throws Error for a text that is not whole */
export async function decodePolicy(text: string): Promise<PolicyDocuments> {
  const [format, digest, packed = ''] = text.split(' ')
  if (format !== FORMAT || digest !== sha256(packed)) throw new Error('the stored policy is damaged')
  const content = await unpack(Buffer.from(packed, 'base64'), { maxOutputLength: POLICY_BYTES_MAX })
  return inSlices(documentsIn(content))
}

/** What is around the lists of all documents. */
interface Heading {
  readonly issuer: string
  readonly access_token_seconds: number
  readonly files: readonly PolicyFile[]
  readonly entries: unknown
}

/** Of the document of this number (the files, then the entries), more of the list of this name. */
type Line = readonly [document: number, name: string, entries: readonly unknown[]]

/** One line of JSON for everything but long lists, and then those, so that no piece takes long to read. */
function* linesOf({ issuer, accessTokenSeconds, files, entries }: PolicyDocuments): Sliced<Buffer> {
  const heading: Heading = {
    issuer,
    access_token_seconds: accessTokenSeconds,
    files: files.map(({ name, document }) => ({ name, document: withoutLists(document) })),
    entries: withoutLists(entries),
  }
  const lines = [Buffer.from(JSON.stringify(heading))]
  for (const [number, document] of [...files.map((file) => file.document), entries].entries()) {
    for (const [name, list] of membersOf(document)) {
      if (!Array.isArray(list)) continue
      for (let from = 0; from < list.length; from += LINE_ENTRIES) {
        const line: Line = [number, name, list.slice(from, from + LINE_ENTRIES)]
        lines.push(Buffer.from(`\n${JSON.stringify(line)}`))
        yield
      }
    }
  }
  return Buffer.concat(lines)
}

function* documentsIn(content: Buffer): Sliced<PolicyDocuments> {
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
