/** What verification yields: typed, complete, and constructible only in `credentials/`. */
import type { Actor } from '../authority/actor-chain.ts'
import type { ParsedDetails } from '../authority/details.ts'
import type { Confirmation } from '../jose/cnf.ts'
import type { ClientId, Jti, NodeId, PrincipalId, ResourceUrl, SessionId } from '../kernel/ids.ts'
import type { ScopeSet } from '../protocol/scope.ts'
import type { ClientAuthentication } from './audit-record.ts'
import type { Agent, Client, Confinement } from './client.ts'
import type { Issuer, User } from './issuer.ts'
import type { Resource } from './resource.ts'
import type { RiskLevel } from './risk.ts'
import type { PendingReview } from './token-review.ts'
import type { Voucher } from './workload.ts'

declare const verified: unique symbol
/** The mark of something `credentials/` has verified; nothing else may make one (`test/tidy.test.ts`). */
export type Verified<T> = T & { readonly [verified]: true }

/** What a token about a workload may be presented as; as one of them in a request, never as two. */
export type WorkloadSlot = 'client_assertion' | 'assertion' | 'subject_token' | 'actor_token'

/** A single-use id to claim in round trip 1, after all cryptography has passed. */
export interface SingleUse {
  readonly slot: WorkloadSlot | 'dpop_proof' | 'sign_in'
  readonly key: string
  /** Who shows it, where the same one may do so again; `undefined`: nobody may. */
  readonly holder?: string
  /** Where it does not say: the earliest it can have been. */
  readonly issuedAtMs: number
  readonly expiresAtMs: number
}

/** A platform's or a trust domain's token about the workload of one of our clients. */
export type WorkloadToken = Verified<{
  readonly voucher: Voucher
  readonly sub: string
  readonly client: Client
  readonly version: string
  /** Epoch seconds; what revocations are compared with. */
  readonly issuedAt: number
  readonly expiresAt: number
  /** Of what was signed. */
  readonly digest: string
  /** What its cluster has still to be asked; absent: nothing. */
  readonly review?: PendingReview
}>

export type VerifiedClient = Verified<{
  readonly client: Client
  /** Version of the agent that the credential is bound to. */
  readonly version: string
  readonly authentication: ClientAuthentication
  /** Names the assertion among its client's; `undefined`: there was none. */
  readonly assertionKey: string | undefined
  /**
   * `undefined`: nothing of this authentication is used up, and whoever has seen it can present it again. So it is with a
   * client secret, with an assertion of a client registered for `assertion_reuse`, and with a workload's token, which stays
   * with the key that it was first shown with instead; with no other assertion.
   */
  readonly singleUse: SingleUse | undefined
  /** The token about its workload that it has authenticated with, and what it was presented as. */
  readonly workload?: { readonly token: WorkloadToken; readonly slot: 'client_assertion' | 'assertion' }
  /** `undefined`: the credential is good for all that its client may do. */
  readonly confinement?: Confinement
}>

/** The scope of foreign evidence: a ceiling, or nothing said (identity only). */
export type ScopeCeiling = { readonly kind: 'identity_only' } | { readonly kind: 'scopes'; readonly scopes: ScopeSet }

/** A user's ID or access token, verified and meant for this agent. */
export type UserEvidence = Verified<{
  readonly kind: 'user'
  readonly issuer: Issuer
  readonly user: User
  readonly principal: PrincipalId
  readonly ceiling: ScopeCeiling
  /** Epoch seconds; what revocations are compared with. */
  readonly signedInAt: number
  readonly expiresAt: number
  readonly authTime: number | undefined
  readonly acr: string | undefined
  readonly amr: readonly string[] | undefined
  /** As its issuer says; `undefined`: it does not. */
  readonly risk: RiskLevel | undefined
  /** The piece of work that its issuer knows it by; `undefined`: none, or none that could be taken over. */
  readonly txn: string | undefined
  readonly foreignActor: Actor | undefined
  /** The key that its issuer has bound it to; `undefined`: none. */
  readonly confirmation: Confirmation | undefined
  readonly digest: string
}>

/** An ID-JAG: a user's evidence, and what for their identity provider issued it. */
export type IdJagEvidence = UserEvidence & {
  /** The MCP servers it names, one of which is asked for: never empty. */
  readonly targets: readonly Resource[]
  /** The `authorization_details` it is bounded by; `undefined`: it has none. */
  readonly details: ParsedDetails | undefined
}

/** What every token of a session says of itself. */
interface InSession {
  readonly jti: Jti
  readonly kid: string
  readonly session: SessionId
  /** Path of nodes, root first; the last is the node whose handle (or, for a delegation, whose child) this is. */
  readonly path: readonly NodeId[]
  readonly clientId: ClientId
  readonly subject: PrincipalId
  readonly act: Actor | undefined
  readonly versions: readonly string[]
  readonly rv: number
  readonly issuedAt: number
  readonly expiresAt: number
  /** SHA-256 of the signing input: `par_hash` of what is minted from it. */
  readonly signingInputHash: string
  readonly digest: string
  /** For a delegation: the `authorization_details` it passes on, and its intent. */
  readonly claims: Readonly<Record<string, unknown>>
}

/** One of our session or delegation tokens: a node's handle. Verified as bytes; its session is still to be read. */
export type HandleEvidence = Verified<InSession & { readonly kind: 'session' | 'delegation' }>

/** An access token of ours, from the server it was made for. Verified as bytes; its session is still to be read. */
export type InboundEvidence = Verified<
  InSession & {
    readonly kind: 'access'
    /** URL of the one resource it is for, which is the presenter's. */
    readonly audience: ResourceUrl
    /** The key it is bound to, which the presenter cannot prove: it is its sender's. `undefined`: a bearer token. */
    readonly confirmation: Confirmation | undefined
    /** The agent nearest to the presenter, and its build where the token names it. */
    readonly agent: { readonly id: ClientId; readonly version: string | undefined }
  }
>

/** The agent working for itself: its client authentication is the evidence. */
export type SelfEvidence = Verified<{ readonly kind: 'self'; readonly agent: Agent }>

/** The agent working for itself, by a token of the platform that it runs on. */
export type WorkloadEvidence = Verified<{
  readonly kind: 'workload'
  readonly agent: Agent
  readonly token: WorkloadToken
}>

export type SubjectEvidence = UserEvidence | HandleEvidence | InboundEvidence | SelfEvidence | WorkloadEvidence
