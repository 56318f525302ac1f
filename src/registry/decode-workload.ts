/** A platform's entry, and a client's rules for its tokens, as the nouns they describe. */
import { resolve } from 'node:path'
import type { ClaimRule, ClaimValue, WorkloadBinding, WorkloadIssuer } from '../model/workload.ts'
import { parseClaimPath } from './claim-path.ts'
import { PLATFORMS } from './platforms.ts'
import type { WorkloadEntry, WorkloadIssuerEntry } from './workload-entry.ts'

/** @param directory what relative paths are relative to: where the document lies */
export function decodeWorkloadIssuer(entry: WorkloadIssuerEntry, directory: string): WorkloadIssuer {
  const { algorithms, requiredClaims, always } = PLATFORMS[entry.platform]
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
    lifetimeSecondsMax: entry.max_lifetime_seconds,
    sessionMayOutliveSubject: entry.session_may_outlive_subject,
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
