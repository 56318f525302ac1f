/**
 * What is published: the policy documents of the files and what was written over the admin API, as one text that the store
 * keeps under its version. The text carries its own digest, so that one that was damaged is no policy at all.
 */
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { messageOf } from '../../kernel/fault.ts'
import { canonicalJson } from '../canonical-json.ts'
import type { RegistryDocument } from '../load-registry.ts'
import { readDocument } from '../reading/reading-thread.ts'
import { linesOf, stored } from './policy-text.ts'

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

/** Packed line by line, in a thread of Node's: others have their turn while each is. */
export async function encodePolicy(documents: PolicyDocuments): Promise<string> {
  return stored(await pipeline(linesOf(documents), createGzip(), buffer))
}

/** @throws Error for a text that is not whole */
export async function decodePolicy(text: string): Promise<PolicyDocuments> {
  try {
    return (await readDocument((take) => take(Buffer.from(text)), 'policy', 'the store')) as PolicyDocuments
  } catch (fault) {
    throw new Error(messageOf(fault))
  }
}
