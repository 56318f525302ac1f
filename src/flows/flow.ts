/**
 * What a flow is: it verifies the credentials it was given, and frames the question that the policy answers. It never
 * decides, mints, writes or records: only the pipeline does, so no flow can forget a step (DESIGN §5).
 */
import type { Jti } from '../kernel/ids.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { AuditEvent } from '../model/audit-record.ts'
import type { AuthorizationServer } from '../model/authorization-server.ts'
import type { Agent, Service } from '../model/client.ts'
import type { Confirmation, ProvenKeys } from '../model/confirmation.ts'
import type { Decision, Permit, Question } from '../model/decision.ts'
import type { SubjectEvidence, VerifiedClient } from '../model/evidence.ts'
import type { Registry } from '../model/registry.ts'
import type { Resource } from '../model/resource.ts'
import type { BrokerSettings } from '../model/settings.ts'
import type { SessionChange } from '../sessions/session-commits.ts'
import type { LiveSession } from '../sessions/session-repository.ts'
import type { MintOrder } from '../tokens/claims.ts'
import type { TokenRequest } from './token-request.ts'

/** Who asks, after its client authentication. */
export interface Asker {
  readonly verified: VerifiedClient
  /** What its request proves beside that. */
  readonly proven: ProvenKeys
}

export interface Party extends Asker {
  readonly agent: Agent
}

/** A server, with a token that it was called with. */
export interface ServerParty extends Asker {
  readonly server: Service
}

export interface FrameInput<R extends TokenRequest, E extends SubjectEvidence, P extends Asker = Party> {
  readonly request: R
  readonly party: P
  readonly evidence: E
  /** The session of a handle, read live; `undefined` where the flow opens one. */
  readonly live: LiveSession | undefined
  readonly registry: Registry
  readonly settings: BrokerSettings
  readonly question: Pick<
    Question,
    'id' | 'now' | 'environment' | 'services' | 'container' | 'external' | 'atCall' | 'contracted'
  >
  readonly rv: number
  /** Of the piece of work, where a session is opened for one that has an id already. */
  readonly txn: string | undefined
  /** The key what is issued is bound to (`sender-constraint.ts`); `undefined`: none. */
  readonly confirmation: Confirmation | undefined
}

/** What a request wants that is good at one MCP server: a token for it, or an assertion for the one who gives tokens for it. */
export type Target =
  | { readonly kind: 'access'; readonly resource: Resource }
  | {
      readonly kind: 'id_jag'
      readonly resource: Resource
      readonly server: AuthorizationServer
      /** The agent's, there. */
      readonly clientId: string
    }

/** What the pipeline mints and writes once the decision has permitted. */
export interface Issue {
  readonly mint: Target | { readonly kind: 'session' } | { readonly kind: 'delegation'; readonly jti: Jti }
  readonly order: MintOrder
  readonly change: SessionChange
  /** The resource that the answer names; `undefined`: it is what the request has named. */
  readonly shows?: string
  /** Lists this session should appear in afterwards. */
  readonly indexes: readonly string[]
}

export interface Framed {
  readonly event: AuditEvent
  readonly question: Question
  /** Pure. @throws Rejection where the permitted authority is not what this flow may issue */
  issue(permit: Permit): Issue
}

/** Keys of the lists in `IndexStore`. */
export const sessionIndex = {
  all: 'sessions:all',
  ofPrincipal: (principal: string) => `sessions:${principal}`,
} as const

/** @throws Rejection `grant_type_not_allowed` */
export function requireAgent(verified: VerifiedClient, proven: ProvenKeys): Party {
  if (verified.client.kind === 'agent') return { agent: verified.client, verified, proven }
  throw new Rejection('grant_type_not_allowed', SERVICES_ONLY)
}

const SERVICES_ONLY = 'a service asks for API tokens, and for the next access token with one it was called with'

/** @throws Rejection `grant_type_not_allowed` */
export function requireServer(verified: VerifiedClient, proven: ProvenKeys): ServerParty {
  if (verified.client.kind === 'service') return { server: verified.client, verified, proven }
  throw new Rejection('grant_type_not_allowed', 'only a server goes on with a token that it was called with')
}

/** A deny is data until here. */
export function permitted(decision: Decision): Permit {
  if (decision.outcome === 'allow') return decision
  throw new Rejection(decision.reason, decision.description, { missing: decision.missing })
}
