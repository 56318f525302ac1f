/** One record per authenticated request (DESIGN §8). Keys are stable: people search for them. */
import type { Layer, Verdict } from './decision.ts'

export type AuditEvent =
  | 'session.open'
  | 'token.continue'
  | 'delegation.issue'
  | 'delegation.accept'
  | 'token.autonomous'
  | 'token.api'
  | 'token.introspect'
  | 'token.revoke'
  | 'session.read'
  | 'session.close'
  | 'session.revoke'
  | 'control.write'
  | 'admin.read'
  | 'request.refused'
  | 'strangers.refused'

export interface AuditRecord {
  /** The decision id. */
  readonly id: string
  /** RFC 3339, UTC, milliseconds. */
  readonly at: string
  readonly event: AuditEvent
  readonly outcome: 'granted' | 'refused' | 'unfinished'
  /** Rejection reason of a refusal. */
  readonly reason?: string
  /** Who asked: `agent:…`, `service:…`, `user:…`, `operator:…`; never a claim that was not verified. */
  readonly by: string
  readonly by_class: 'agent' | 'service' | 'user' | 'operator' | 'stranger'
  readonly agent?: { readonly id: string; readonly version?: string; readonly instance?: string }
  readonly on_behalf_of?: string
  readonly session?: string
  readonly node?: string
  readonly intent?: string
  readonly origin?: string
  readonly resource?: string
  readonly scope?: string
  /** Actors, newest first. */
  readonly chain?: readonly string[]
  readonly jti?: string
  readonly expires_at?: number
  /** SHA-256 of the granted `authorization_details`, whose text is kept beside the record: what exactly was allowed. */
  readonly authority?: string
  /** Fingerprint (SHA-256) of the subject token. */
  readonly subject_token?: string
  readonly policy?: string
  readonly layers?: Readonly<Partial<Record<Layer, Verdict>>>
  readonly grants?: readonly string[]
  readonly missing?: readonly string[]
  readonly correlation?: string
  /** What an administrative or revoking request did. */
  readonly detail?: string
  /** Refusals of callers that nobody authenticated: reason, source, how many since the last such record. */
  readonly strangers?: readonly (readonly [reason: string, source: string, count: number])[]
  /** Set where the record was shortened to its size limit. */
  readonly shortened?: boolean
}
