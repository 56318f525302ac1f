/** The recorded answer to one authorization question (DESIGN §6). */
import type { Authority } from '../authority/authority.ts'
import type { DecisionId, PrincipalId, ResourceUrl } from '../kernel/ids.ts'
import type { RejectionReason } from '../kernel/rejection.ts'
import type { Agent, Service } from './client.ts'
import type { User } from './issuer.ts'
import type { RiskLevel } from './risk.ts'

export const LAYERS = [
  'resource',
  'enforcement',
  'tool',
  'agent',
  'user',
  'agent_grants',
  'parent',
  'intent',
  'external',
  'deny_grants',
] as const
export type Layer = (typeof LAYERS)[number]
export type Verdict = 'allowed' | 'implicit_deny' | 'explicit_deny' | 'not_applicable'

/** What the external PDP says to the tools asked for. It can only take away: whatever it has not allowed, is refused. */
export type ExternalAnswer =
  /** None is configured. */
  | { readonly kind: 'none' }
  /** `cause`: why there is no answer, in words that may be shown. */
  | { readonly kind: 'failed'; readonly cause: string }
  | { readonly kind: 'answered'; readonly allowed: ReadonlyMap<ResourceUrl, ReadonlySet<string>> }

/** Everything a decision is made from, beside the registry: the same question always has the same answer. */
export interface Question {
  readonly id: DecisionId
  readonly now: number
  readonly environment: string
  /** Who will hold the authority. */
  readonly agent: Agent
  /** Every other agent of the chain, subject included: a policy against any of them is a policy against what it passed on. */
  readonly chain: readonly Agent[]
  /** Every server that it passes through on its way down: each may go on only where its own manifest says so. */
  readonly services: readonly Service[]
  readonly subject: PrincipalId
  /** `undefined`: autonomous work. */
  readonly user: User | undefined
  /** Of the sign-in behind it; `undefined`: not known. */
  readonly risk: RiskLevel | undefined
  /** Tools asked for, with the scopes that open them. */
  readonly asked: Authority
  /** Whether `asked` was spelled out by the request (then losing part of it to a resource's weakness is an error). */
  readonly askedExplicitly: boolean
  /** Authority of the node above; `undefined` at the root. */
  readonly parent: Authority | undefined
  /** The session's ceiling; `undefined` while it is being opened. */
  readonly ceiling: Authority | undefined
  /** The session has drifted from what it is for: reading is all that it is left with. */
  readonly contracted: boolean
  /** The resource an access token is wanted for; `undefined` for a session or delegation. */
  readonly target: ResourceUrl | undefined
  /** Where the asked tools are to be used: a container of their resource. `undefined`: what the request does not say. */
  readonly container: string | undefined
  readonly external: ExternalAnswer
  /** Asked by the server that is about to make this one call: it enforces the answer, whatever it checks by itself. */
  readonly atCall: boolean
}

export interface LayerVerdict {
  readonly layer: Layer
  readonly verdict: Verdict
}

interface DecisionRecord {
  readonly id: DecisionId
  readonly policyVersion: string
  readonly layers: readonly LayerVerdict[]
  readonly grantsEvaluated: number
  readonly grantsMatched: readonly string[]
  /** What was asked for and not given, and what would have been needed: one line each. */
  readonly missing: readonly string[]
}

export interface Permit extends DecisionRecord {
  readonly outcome: 'allow'
  /** Never empty, and never more than `asked`, `parent` and `ceiling`. */
  readonly effective: Authority
}

export interface Denial extends DecisionRecord {
  readonly outcome: 'deny'
  readonly reason: RejectionReason
  readonly description: string
}

export type Decision = Permit | Denial
