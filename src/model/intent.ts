/** What a session, or one hop of it, declared it is for (DESIGN §3, RFC 9396). */
import type { ResourceAuthority } from '../authority/authority.ts'
import { sha256 } from '../kernel/digest.ts'
import type { ResourceUrl } from '../kernel/ids.ts'

/** Stored as places in this list: a new one goes to its end. */
export const ORIGIN_TYPES = ['user_request', 'agent_plan', 'schedule', 'upstream_agent'] as const
export type OriginType = (typeof ORIGIN_TYPES)[number]

/** What set the work off. `assertedBy` is written by the broker, never read from a request. */
export interface Origin {
  readonly type: OriginType
  readonly ref?: string
  readonly assertedBy: string
}

/** A resource's part of an intent as written: scopes are not in it, the resource's manifest gives them. */
export type IntentTools = Pick<ResourceAuthority, 'tools' | 'limits'>

export interface Intent {
  readonly purpose: string
  readonly origin: { readonly type: OriginType; readonly ref?: string } | undefined
  /** Seconds the session is asked to live; `undefined`: the configured default. */
  readonly expiresIn: number | undefined
  /** Further hops asked for; `undefined`: the default of the flow. */
  readonly maxDepth: number | undefined
  /** By resource, as the request (or registry) spelled its URL, canonicalised. */
  readonly tools: ReadonlyMap<ResourceUrl, IntentTools>
}

/** What tokens carry of a purpose: enough to match it with the session's record, not enough to guess it. */
export function intentHash(salt: string, purpose: string): string {
  return sha256(`${salt}\n${purpose}`)
}
