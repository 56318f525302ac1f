/** One line of a review: what about whom, and whether somebody should do something. */

export type FindingKind =
  | 'agent_unused'
  | 'authority_unused'
  | 'certification_due'
  | 'certification_missing'
  | 'certification_overdue'
  | 'credential_expired'
  | 'credential_expiring'
  | 'credential_unused'
  | 'grant_unused'
  | 'owner_left'
  | 'owner_unverified'
  | 'tools_unclassified'
  | 'user_unused'
  | 'user_without_grants'

export interface Finding {
  readonly kind: FindingKind
  /** `attention`: somebody has to act, or to say that it may stay. `notice`: good to know. */
  readonly severity: 'attention' | 'notice'
  /** `agent:report-agent`, `service:…`, `resource:…`, `grant:…`, `user:…` */
  readonly object: string
  /** Who answers for it, where somebody does. */
  readonly owner?: string
  /** A sentence about the object, which it does not repeat. */
  readonly says: string
  /** Of `authority_unused`. */
  readonly unused?: readonly UnusedAtServer[]
  /** The agent's manifest without what it does not use, as its registry entry would say it. */
  readonly narrowed_manifest?: readonly Readonly<Record<string, unknown>>[]
}

export interface UnusedAtServer {
  readonly server: string
  /** Scopes of which it uses no tool. */
  readonly scopes: readonly string[]
  readonly tools: readonly { readonly tool: string; readonly last_used?: string }[]
}
