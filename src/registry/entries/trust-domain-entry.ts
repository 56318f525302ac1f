/** The shape of a SPIFFE trust domain's entry, and the noun it describes. */
import { resolve } from 'node:path'
import { z } from 'zod'
import type { BundleSource, TrustDomain } from '../../model/trust-domain.ts'
import { isTrustDomainName, parseSpiffeId } from '../../protocol/spiffe-id.ts'
import { strictObject } from '../strict-document.ts'
import { text, url } from './entry-fields.ts'

const webEndpoint = strictObject({
  profile: z.literal('https_web').default('https_web'),
  url,
  ca_file: text.optional(),
})
const spiffeEndpoint = strictObject({ profile: z.literal('https_spiffe'), url, spiffe_id: z.string() })

export const trustDomain = strictObject({
  name: z.string().refine(isTrustDomainName, 'must be a trust domain such as example.org, without spiffe://'),
  bundle_file: text.optional(),
  bundle_endpoint: z.discriminatedUnion('profile', [webEndpoint, spiffeEndpoint]).optional(),
  session_may_outlive_subject: z.boolean().default(false),
}).superRefine((entry, context) => {
  for (const message of contradictions(entry)) context.addIssue({ code: 'custom', message })
})

interface Shape {
  readonly name: string
  readonly bundle_file?: string | undefined
  readonly bundle_endpoint?: z.output<typeof webEndpoint> | z.output<typeof spiffeEndpoint> | undefined
}

export type TrustDomainEntry = z.output<typeof trustDomain>

function contradictions({ name, bundle_file: file, bundle_endpoint: endpoint }: Shape): readonly string[] {
  if (endpoint?.profile !== 'https_spiffe') {
    const isOne = (file === undefined) !== (endpoint === undefined)
    return isOne ? [] : ['must have either a bundle_file or a bundle_endpoint']
  }
  const id = parseSpiffeId(endpoint.spiffe_id)
  return [
    ...(file === undefined ? ['https_spiffe needs a bundle_file: the first bundle, to know its endpoint by'] : []),
    // By another domain's authorities it would be that domain that says who this one's workloads are.
    ...(id?.trustDomain === name && id.path !== ''
      ? []
      : [`bundle_endpoint.spiffe_id: must be the SPIFFE ID of a workload of ${name}`]),
    ...(new URL(endpoint.url).protocol === 'https:' ? [] : ['bundle_endpoint.url: must be https']),
  ]
}

/** @param directory what relative paths are relative to: where the document lies */
export function decodeTrustDomain(entry: TrustDomainEntry, directory: string): TrustDomain {
  return {
    name: entry.name,
    slug: `spiffe://${entry.name}`,
    bundle: sourceOf(entry, directory),
    sessionMayOutliveSubject: entry.session_may_outlive_subject,
  }
}

function sourceOf({ bundle_file = '', bundle_endpoint }: TrustDomainEntry, directory: string): BundleSource {
  if (bundle_endpoint === undefined) return { kind: 'file', path: resolve(directory, bundle_file) }
  const { url } = bundle_endpoint
  if (bundle_endpoint.profile === 'https_spiffe') {
    const firstFile = resolve(directory, bundle_file)
    return { kind: 'spiffe_endpoint', url, spiffeId: bundle_endpoint.spiffe_id, firstFile }
  }
  const { ca_file } = bundle_endpoint
  return { kind: 'endpoint', url, caFile: ca_file === undefined ? undefined : resolve(directory, ca_file) }
}
