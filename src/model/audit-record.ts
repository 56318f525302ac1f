/** One record per authenticated request (DESIGN §8). Keys are stable: people search for them. */
import type { ClientAuthenticationMethod } from '../protocol/oauth.ts'
import type { CapturedNames, Disclosure } from './captured.ts'
import type { RecordedContinuation } from './continued.ts'
import type { Layer, Verdict } from './decision.ts'
import type { Pruned } from './pruned.ts'
import type { ShadowAnswer } from './shadow.ts'

export type AuditEvent =
  | 'session.open'
  | 'token.continue'
  | 'delegation.issue'
  | 'delegation.accept'
  | 'token.autonomous'
  | 'token.downstream'
  | 'token.api'
  | 'token.introspect'
  | 'access.evaluate'
  | 'call.attempt'
  | 'call.outcome'
  | 'token.revoke'
  | 'revocations.follow'
  | 'session.read'
  | 'session.close'
  | 'session.contracted'
  | 'session.halted'
  | 'session.review'
  | 'session.revoke'
  | 'control.write'
  | 'admin.login'
  | 'registry.change'
  | 'admin.read'
  | 'policy.publish'
  | 'policy.shadow'
  | 'challenge.resolve'
  | 'approval.requested'
  | 'approval.granted'
  | 'approval.denied'
  | 'session.trace'
  | 'captured.read'
  | 'captured.search'
  | 'captured.erase'
  | 'captured.rekey'
  | 'audit.pruned'
  | 'audit.continued'
  | 'request.refused'
  | 'strangers.refused'

/** How a client has authenticated: which credential, by name, and what its registry entry had to forgive. */
export interface ClientAuthentication {
  readonly method: ClientAuthenticationMethod
  /** The key's `kid` or the secret's id, in the registry or in the client's published set; the SPIFFE ID. */
  readonly credential: string
  /** Slug of the platform whose token it is. */
  readonly issuer?: string
  /** The assertion was for the endpoint, not for the issuer. */
  readonly legacy_audience?: true
  /** SHA-256 of the certificate that was shown, as in `x5t#S256` (RFC 8705 §3.1). */
  readonly certificate?: string
  /** Names an assertion that may be presented again (SHA-256 of its `jti`, or of an SVID): the same in each request it was used for. */
  readonly reusable_assertion?: string
}

/** `before` and `after`: SHA-256 of texts that are kept beside the record; absent: there was, or is, nothing. */
export interface Change {
  /** `agents/researcher` */
  readonly object: string
  readonly before?: string
  readonly after?: string
  /** One of them was too long to be kept. */
  readonly too_long?: true
}

/** A user as the directory had them when it was decided: what they were called and what they were in may change later. */
export interface UserSnapshot {
  /** `user:corp:alice` */
  readonly id: string
  readonly email?: string
  readonly groups?: readonly string[]
  readonly roles?: readonly string[]
}

/** A call of a tool, by the id that its server has given it. Its outcome has the same decision id as its attempt. */
export interface RecordedCall {
  readonly attempt: string
  /** Of an outcome. `unknown`: none was reported in time. */
  readonly ended?: 'success' | 'failure' | 'unknown'
  /** The outcome came after it had been recorded as unknown. */
  readonly after?: 'unknown'
}

export interface AuditRecord {
  /** The decision id. */
  readonly id: string
  /** RFC 3339, UTC, milliseconds. */
  readonly at: string
  readonly event: AuditEvent
  /**
   * `unfinished`: nobody knows yet whether its commit happened, and its caller was given nothing. A later record of the same
   * id says how it ended: `refused`, it did not; `undone`, it did, and what it wrote is dead.
   */
  readonly outcome: 'granted' | 'refused' | 'unfinished' | 'undone'
  /** Rejection reason of a refusal. */
  readonly reason?: string
  /** Who asked: `agent:…`, `service:…`, `user:…`, `operator:…`; never a claim that was not verified. */
  readonly by: string
  readonly by_class: 'agent' | 'service' | 'user' | 'operator' | 'stranger'
  readonly agent?: { readonly id: string; readonly version?: string; readonly instance?: string }
  /** Of agents and services; others bring bearer tokens. */
  readonly client_auth?: ClientAuthentication
  readonly on_behalf_of?: string
  /** Of a decision or a call on behalf of a user. */
  readonly user?: UserSnapshot
  /** Who answers for work that no user is behind. */
  readonly owner?: string
  readonly session?: string
  readonly node?: string
  /** The hop that this one was passed on by. */
  readonly parent?: string
  readonly intent?: string
  readonly origin?: string
  readonly resource?: string
  /** The MCP server of `resource`, as it was registered then: it may be renamed or gone by now. */
  readonly server?: { readonly id: string; readonly name: string }
  /** Client id of the service that the server authenticates as. */
  readonly service?: string
  /** Of a call. */
  readonly tool?: string
  /** Whom an ID-JAG is for: what it gives for it, is in its own books. */
  readonly authorization_server?: string
  readonly scope?: string
  /** Actors, newest first. */
  readonly chain?: readonly string[]
  readonly jti?: string
  readonly expires_at?: number
  /** Kind and thumbprint of the key that was proven, which what was issued is bound to: `jkt:…`, `x5t#S256:…`. */
  readonly bound_to?: string
  /** SHA-256 of the granted `authorization_details`, whose text is kept beside the record: what exactly was allowed. */
  readonly authority?: string
  /** The workload that the subject token is of: its platform's slug, and its subject there. */
  readonly workload?: { readonly issuer: string; readonly sub: string }
  /** Fingerprint (SHA-256) of the subject token, or of the assertion that was the grant. */
  readonly subject_token?: string
  /** The grant was an ID-JAG. */
  readonly grant?: 'id_jag'
  readonly policy?: string
  readonly layers?: Readonly<Partial<Record<Layer, Verdict>>>
  readonly grants?: readonly string[]
  /** How many grants were looked at. */
  readonly grants_evaluated?: number
  /** SHA-256 of the question that was decided, whose text is kept beside the record: what a replay asks again. */
  readonly question?: string
  readonly missing?: readonly string[]
  /** What a draft of the policy would have answered instead; absent: the same, or none was in shadow. */
  readonly shadow?: ShadowAnswer
  readonly call?: RecordedCall
  /** Of the call: asked for, waited for, given, denied or used up; `by`: who has said so. */
  readonly approval?: { readonly id: string; readonly by?: string }
  /** SHA-256 of the sealed arguments of the call that an approval was asked for: kept beside the record, read by approvers only. */
  readonly sealed?: string
  /** What it was about, as far as it was captured. */
  readonly captured?: CapturedNames
  /** What was done with what other records name as `captured`. */
  readonly disclosure?: Disclosure
  /** What retention removes of the log's bodies: on record before it does. */
  readonly pruned?: Pruned
  /** Where the log goes on without records that were signed, and why. */
  readonly continued?: RecordedContinuation
  /** How its session stood when it was asked, where that was not as it was opened. */
  readonly conformance?: { readonly state: 'active' | 'contracted'; readonly drift: number }
  /** Decision ids of the last asks outside the intent that have led to it, oldest first. */
  readonly asks?: readonly string[]
  /** `X-Request-ID` of the request, where it is well-formed. */
  readonly correlation?: string
  /** The piece of work, from the request that opened its session to the last call downstream: the claim `txn` of its tokens. */
  readonly txn?: string
  /** W3C Trace Context of the request. */
  readonly trace?: { readonly trace_id: string; readonly span_id: string }
  /** Where the request came from: the socket's peer, or whom a trusted proxy names. */
  readonly ip?: string
  /** `User-Agent` as sent, cut and with everything but plain ASCII replaced: believed for nothing. */
  readonly user_agent?: string
  /** What an admin changed. */
  readonly change?: Change
  /** What an administrative or revoking request did. */
  readonly detail?: string
  /** Refusals of callers that nobody authenticated: reason, source, how many since the last such record. */
  readonly strangers?: readonly (readonly [reason: string, source: string, count: number])[]
  /** Set where the record was shortened to its size limit. */
  readonly shortened?: boolean
}
