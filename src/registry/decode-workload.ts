/** A platform's entry, and a client's rules for its tokens, as the nouns they describe. */
import type { ClaimRule, ClaimValue, WorkloadBinding, WorkloadIssuer } from '../model/workload.ts'
import { parseClaimPath } from './claim-path.ts'
import { PLATFORMS } from './platforms.ts'
import type { WorkloadEntry, WorkloadIssuerEntry } from './workload-entry.ts'

export function decodeWorkloadIssuer(entry: WorkloadIssuerEntry): WorkloadIssuer {
  const { algorithms, requiredClaims, always } = PLATFORMS[entry.platform]
  return {
    issuer: entry.issuer,
    slug: entry.slug,
    platform: entry.platform,
    jwksUri: entry.jwks_uri,
    algorithms: [...new Set(entry.algorithms ?? algorithms)],
    audiences: [...new Set(entry.audiences)],
    requiredClaims,
    always: decodeRules(always),
    lifetimeSecondsMax: entry.max_lifetime_seconds,
  }
}

export function decodeWorkload({ issuer, match, version }: WorkloadEntry): WorkloadBinding {
  return { issuer, rules: decodeRules(match), version }
}

/** A path that is malformed has been reported by the schema. */
export function decodeRules(match: Readonly<Record<string, ClaimValue>>): readonly ClaimRule[] {
  return Object.entries(match).map(([claim, value]) => ({ path: parseClaimPath(claim) ?? [claim], value }))
}
