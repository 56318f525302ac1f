/**
 * Session: the unit of governance. Every exchanged token belongs to exactly one.
 *
 *   active ──► contracted ──► halted          a reviewer resumes: halted | contracted ─► active | contracted
 *     │            │            │
 *     └────────────┴────────────┴──► closed | revoked | expired      (terminal)
 *
 * Only `active` and `contracted` issue. The state is read live at every exchange; an unknown or absent state is dead.
 */
import type { Actor } from '../authority/actor-chain.ts'
import type { Authority } from '../authority/authority.ts'
import type { ClientId, NodeId, PrincipalId, SessionId } from '../kernel/ids.ts'
import type { SubjectProfile } from '../protocol/oauth.ts'
import type { SenderConstraint } from './confirmation.ts'
import type { Origin } from './intent.ts'
import type { RiskLevel } from './risk.ts'

export const SESSION_STATES = ['active', 'contracted', 'halted', 'closed', 'revoked', 'expired'] as const
export type SessionState = (typeof SESSION_STATES)[number]

/** States in which tokens are issued. */
export const ISSUING_STATES = ['active', 'contracted'] as const satisfies readonly SessionState[]
export type IssuingState = (typeof ISSUING_STATES)[number]
export const TERMINAL_STATES: readonly SessionState[] = ['closed', 'revoked', 'expired']

const TRANSITIONS: Readonly<Record<SessionState, readonly SessionState[]>> = {
  active: ['contracted', 'halted', 'closed', 'revoked', 'expired'],
  contracted: ['active', 'halted', 'closed', 'revoked', 'expired'],
  halted: ['active', 'contracted', 'closed', 'revoked', 'expired'],
  closed: [],
  revoked: [],
  expired: [],
}

export function mayTransition(from: SessionState, to: SessionState): boolean {
  return TRANSITIONS[from].includes(to)
}

/** States from which `to` may be entered: the check a commit makes. */
export function statesBefore(to: SessionState): readonly SessionState[] {
  return SESSION_STATES.filter((from) => mayTransition(from, to))
}

export function isIssuing(state: SessionState | undefined): state is IssuingState {
  return ISSUING_STATES.some((issuing) => issuing === state)
}

export function parseSessionState(text: string | undefined): SessionState | undefined {
  return SESSION_STATES.find((state) => state === text)
}

/** Whom the session's tokens are about. */
export interface Subject {
  readonly principal: PrincipalId
  readonly profile: SubjectProfile
  /** The user behind it; `undefined`: the agent works for itself. */
  readonly user: { readonly issuerSlug: string; readonly sub: string } | undefined
}

/** The evidence that opened the session, as far as it is kept: a digest, never the token. */
export interface OpeningEvidence {
  readonly digest: string
  readonly issuer: string
  /** When the user signed in, as far as known: what revocations are compared with. */
  readonly signedInAt: number
  readonly expiresAt: number
  readonly authTime: number | undefined
  readonly acr: string | undefined
  readonly amr: readonly string[] | undefined
  readonly risk: RiskLevel | undefined
  /** Where the directory has none of its own; for records alone. */
  readonly email?: string | undefined
}

/** Written once, at open. Times in epoch seconds. */
export interface SessionFacts {
  readonly id: SessionId
  /** The piece of work that it is: a claim of its tokens, a member of its records. */
  readonly txn: string
  readonly rootAgent: ClientId
  readonly rootNode: NodeId
  readonly subject: Subject
  /** Who answers for the work where there is no user. */
  readonly accountableOwner: string
  /** Salts the intent hashes of its nodes, so that a token's hash cannot be searched for a guessed purpose. */
  readonly intentSalt: string
  readonly ceiling: Authority
  readonly evidence: OpeningEvidence | undefined
  readonly openedAt: number
  readonly notAfter: number
}

/** One hop: who holds authority, from whom, how much, until when. Written once. */
export interface NodeFacts {
  readonly id: NodeId
  readonly parent: NodeId | undefined
  readonly holder: ClientId
  readonly agentVersion: string
  /** The chain of actors *including* the holder; `undefined` for autonomous roots. */
  readonly act: Actor | undefined
  readonly authority: Authority
  readonly purpose: string
  readonly origin: Origin
  /** Salted hash of the purpose: what tokens carry instead of prose. */
  readonly intentHash: string
  readonly createdAt: number
  readonly notAfter: number
  /** What its use demands a proof of; `undefined`: nothing, its tokens are bearer tokens. */
  readonly senderConstraint: SenderConstraint | undefined
}
