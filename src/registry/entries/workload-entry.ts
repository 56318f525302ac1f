/** The shape of the entry of a platform that vouches for workloads, and of a client's rules for its tokens. */
import { z } from 'zod'
import {
  WORKLOAD_AUDIENCES_MAX,
  WORKLOAD_RULE_CLAIMS_MAX,
  WORKLOAD_TOKEN_LIFETIME_S_MAX,
} from '../../kernel/credential-limits.ts'
import { PLATFORM_NAMES } from '../../model/workload.ts'
import { strictObject } from '../strict-document.ts'
import { algorithm, claimPath, clientVersion, host, notEmpty, slug, text, url } from './entry-fields.ts'

const tokenReview = strictObject({
  url: url.refine((text) => text.startsWith('https:'), 'must be https: a credential is sent there'),
  credential_file: text,
  ca_file: text,
  audiences: z.array(text).min(1).max(WORKLOAD_AUDIENCES_MAX).optional(),
})

export const workloadIssuer = strictObject({
  issuer: url,
  slug,
  platform: z.enum(PLATFORM_NAMES),
  /** With neither, keys are where the issuer's discovery document says. */
  jwks_uri: url.optional(),
  jwks_file: text.optional(),
  other_hosts: z.array(host).default([]),
  /** For a key server that is not public: whose certificate it has, and what it is shown. */
  ca_file: text.optional(),
  credential_file: text.optional(),
  token_review: tokenReview.optional(),
  audiences: z.array(text).max(WORKLOAD_AUDIENCES_MAX, `at most ${WORKLOAD_AUDIENCES_MAX}`).default([]),
  algorithms: z.array(algorithm).min(1).optional(),
  max_lifetime_seconds: z.int().min(1).max(WORKLOAD_TOKEN_LIFETIME_S_MAX).optional(),
  session_may_outlive_subject: z.boolean().default(false),
})
  .refine(({ issuer, jwks_uri, jwks_file }) => (jwks_uri ?? jwks_file) !== undefined || !issuer.includes('?'), {
    path: ['jwks_uri'],
    error: 'is needed: an issuer with a query has no discovery document', // RFC 8414 §2
  })
  .refine(({ jwks_uri, jwks_file }) => jwks_uri === undefined || jwks_file === undefined, {
    path: ['jwks_file'],
    error: 'is one place too many: name it, or a jwks_uri',
  })
  .refine(
    ({ jwks_uri, ca_file, credential_file }) => jwks_uri !== undefined || (ca_file ?? credential_file) === undefined,
    {
      path: ['jwks_uri'],
      error: 'is needed with ca_file and credential_file: what is discovered is not trusted with them',
    },
  )
  .refine(({ jwks_uri, credential_file }) => credential_file === undefined || jwks_uri?.startsWith('https:') === true, {
    path: ['jwks_uri'],
    error: 'must be https where a credential is sent',
  })

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
