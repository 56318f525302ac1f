/** A platform's entry, and a client's rules for its tokens, as the nouns they describe. */
import { resolve } from 'node:path'
import type { TokenReview } from '../../model/token-review.ts'
import type { ClaimRule, ClaimValue, WorkloadBinding, WorkloadIssuer } from '../../model/workload.ts'
import type { WorkloadEntry, WorkloadIssuerEntry } from '../entries/workload-entry.ts'
import { parseClaimPath } from '../workloads/claim-path.ts'
import { PLATFORMS } from '../workloads/platforms.ts'

/** @param directory what relative paths are relative to: where the document lies; @param broker its own issuer identifier */
export function decodeWorkloadIssuer(entry: WorkloadIssuerEntry, directory: string, broker: string): WorkloadIssuer {
  const { algorithms, requiredClaims, always, never } = PLATFORMS[entry.platform]
  return {
    issuer: entry.issuer,
    slug: entry.slug,
    platform: entry.platform,
    jwksUri: entry.jwks_uri,
    otherHosts: entry.other_hosts,
    files: {
      jwks: pathFrom(directory, entry.jwks_file),
      ca: pathFrom(directory, entry.ca_file),
      credential: pathFrom(directory, entry.credential_file),
    },
    algorithms: [...new Set(entry.algorithms ?? algorithms)],
    audiences: [...new Set(entry.audiences)],
    requiredClaims,
    always: decodeRules(always),
    never,
    tokenReview: decodeTokenReview(entry, directory, broker),
    lifetimeSecondsMax: entry.max_lifetime_seconds,
    sessionMayOutliveSubject: entry.session_may_outlive_subject,
  }
}

function decodeTokenReview(
  { token_review, audiences }: WorkloadIssuerEntry,
  directory: string,
  broker: string,
): TokenReview | undefined {
  if (token_review === undefined) return undefined
  return {
    url: token_review.url,
    credentialFile: resolve(directory, token_review.credential_file),
    caFile: resolve(directory, token_review.ca_file),
    audiences: token_review.audiences ?? [...new Set([broker, ...audiences])],
  }
}

function pathFrom(directory: string, path: string | undefined): string | undefined {
  return path === undefined ? undefined : resolve(directory, path)
}

export function decodeWorkload({ issuer, match, version }: WorkloadEntry): WorkloadBinding {
  return { issuer, rules: decodeRules(match), version }
}

/** A path that is malformed has been reported by the schema. */
export function decodeRules(match: Readonly<Record<string, ClaimValue>>): readonly ClaimRule[] {
  return Object.entries(match).map(([claim, value]) => ({ path: parseClaimPath(claim) ?? [claim], value }))
}
