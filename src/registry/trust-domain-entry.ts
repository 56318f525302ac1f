/** The shape of a SPIFFE trust domain's entry, and the noun it describes. */
import { resolve } from 'node:path'
import { z } from 'zod'
import type { BundleSource, TrustDomain } from '../model/trust-domain.ts'
import { isTrustDomainName } from '../protocol/spiffe-id.ts'
import { text, url } from './entry-fields.ts'
import { strictObject } from './strict-document.ts'

const bundleEndpoint = strictObject({
  url,
  profile: z.enum(['https_web']).default('https_web'),
  ca_file: text.optional(),
})

export const trustDomain = strictObject({
  name: z.string().refine(isTrustDomainName, 'must be a trust domain such as example.org, without spiffe://'),
  bundle_file: text.optional(),
  bundle_endpoint: bundleEndpoint.optional(),
}).refine(
  ({ bundle_file, bundle_endpoint }) => (bundle_file === undefined) !== (bundle_endpoint === undefined),
  'must have either a bundle_file or a bundle_endpoint',
)

export type TrustDomainEntry = z.output<typeof trustDomain>

/** @param directory what relative paths are relative to: where the document lies */
export function decodeTrustDomain(entry: TrustDomainEntry, directory: string): TrustDomain {
  return { name: entry.name, bundle: sourceOf(entry, directory) }
}

function sourceOf({ bundle_file, bundle_endpoint }: TrustDomainEntry, directory: string): BundleSource {
  if (bundle_endpoint === undefined) return { kind: 'file', path: resolve(directory, bundle_file ?? '') }
  const { url, ca_file } = bundle_endpoint
  return { kind: 'endpoint', url, caFile: ca_file === undefined ? undefined : resolve(directory, ca_file) }
}
