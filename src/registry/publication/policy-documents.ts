/**
 * What is published: the policy documents of the files and what was written over the admin API, as one text that the store
 * keeps under its version. The text carries its own digest, so that one that was damaged is no policy at all.
 */
import { promisify } from 'node:util'
import { gunzip, gzip } from 'node:zlib'
import { sha256 } from '../../kernel/digest.ts'
import { POLICY_BYTES_MAX } from '../../kernel/policy-limits.ts'
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
const FORMAT = 'errand-policy-1'
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

export async function encodePolicy({ issuer, accessTokenSeconds, files, entries }: PolicyDocuments): Promise<string> {
  const content = { issuer, access_token_seconds: accessTokenSeconds, files, entries }
  const packed = (await pack(JSON.stringify(content))).toString('base64')
  return `${FORMAT} ${sha256(packed)} ${packed}`
}

/** @throws Error for a text that is not whole */
export async function decodePolicy(text: string): Promise<PolicyDocuments> {
  const [format, digest, packed = ''] = text.split(' ')
  if (format !== FORMAT || digest !== sha256(packed)) throw new Error('the stored policy is damaged')
  const content = await unpack(Buffer.from(packed, 'base64'), { maxOutputLength: POLICY_BYTES_MAX })
  const { issuer, access_token_seconds, files, entries } = JSON.parse(content.toString())
  return { issuer, accessTokenSeconds: access_token_seconds, files, entries }
}
