/** SPIFFE trust domains: who vouches for workloads' SVIDs. Decoded and checked by `registry/`; immutable. */

import type { Voucher } from './workload.ts'

/** Where a trust domain's bundle is read. Nothing of it is learned from an SVID. */
export type BundleSource =
  | { readonly kind: 'file'; readonly path: string }
  /** Profile `https_web`. `caFile`: PEM certificates trusted instead of the system's; `undefined`: web PKI. */
  | { readonly kind: 'endpoint'; readonly url: string; readonly caFile: string | undefined }
  /** Profile `https_spiffe`: the endpoint is this workload of the domain, by its last bundle; by `firstFile` where there is none. */
  | { readonly kind: 'spiffe_endpoint'; readonly url: string; readonly spiffeId: string; readonly firstFile: string }

/** Its slug is its own SPIFFE ID, which no platform and no identity provider can be called. */
export interface TrustDomain extends Voucher {
  /** `example.org`, without a scheme. */
  readonly name: string
  readonly bundle: BundleSource
}

/** A SPIFFE ID that authenticates a client, and the version of the client it stands for. */
export interface SpiffeBinding {
  readonly id: string
  readonly version: string
}
