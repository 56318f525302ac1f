/** The shape of the entry of a platform that vouches for workloads, and of a client's rules for its tokens. */
import { z } from 'zod'
import { WORKLOAD_AUDIENCES_MAX, WORKLOAD_RULE_CLAIMS_MAX, WORKLOAD_TOKEN_LIFETIME_S_MAX } from '../kernel/limits.ts'
import { PLATFORM_NAMES } from '../model/workload.ts'
import { parseClaimPath } from './claim-path.ts'
import { algorithm, clientVersion, notEmpty, slug, text, url } from './entry-fields.ts'
import { strictObject } from './strict-document.ts'

export const workloadIssuer = strictObject({
  issuer: url,
  slug,
  platform: z.enum(PLATFORM_NAMES),
  jwks_uri: url,
  audiences: z.array(text).max(WORKLOAD_AUDIENCES_MAX, `at most ${WORKLOAD_AUDIENCES_MAX}`).default([]),
  algorithms: z.array(algorithm).min(1).optional(),
  max_lifetime_seconds: z.int().min(1).max(WORKLOAD_TOKEN_LIFETIME_S_MAX).optional(),
})

const claimPath = z
  .string()
  .refine((value) => parseClaimPath(value) !== undefined, 'a claim, or a JSON Pointer such as /kubernetes.io/namespace')

/** Exact values only: a pattern matches more than whoever wrote it thought of. */
const claimValue = z.union([text, z.int(), z.boolean()])

export const workload = strictObject({
  issuer: slug,
  match: z
    .record(claimPath, claimValue)
    .refine(notEmpty, 'must name at least one claim')
    .refine(
      (match) => Object.keys(match).length <= WORKLOAD_RULE_CLAIMS_MAX,
      `at most ${WORKLOAD_RULE_CLAIMS_MAX} claims`,
    ),
  version: clientVersion,
})

export type WorkloadIssuerEntry = z.output<typeof workloadIssuer>
export type WorkloadEntry = z.output<typeof workload>
