/** What a token request is, to those who count them: its flow and its outcome, both of a closed set. */
import type { Authority } from '../authority/authority.ts'
import type { RejectionReason } from '../kernel/rejection.ts'
import type { Question } from './decision.ts'
import type { VerifiedClient } from './evidence.ts'
import type { Resource } from './resource.ts'

/** `api`: an API token; `unknown`: refused before it was clear. */
export const FLOW_NAMES = [
  ...(['open', 'continue', 'delegate', 'accept', 'autonomous', 'downstream'] as const),
  ...(['id_jag', 'workload_grant', 'api', 'unknown'] as const),
] as const
export type FlowName = (typeof FLOW_NAMES)[number]

export type Outcome = 'issued' | 'server_error' | RejectionReason

/** What a request was issued, and by what: for reviews of who still needs what they may. */
export interface Issued {
  readonly by: VerifiedClient
  /** Epoch seconds. */
  readonly now: number
  /** `undefined`: an API token, about which no grant decides. */
  readonly decided?: {
    readonly question: Question
    /** Ids of the grants that matched. */
    readonly grants: readonly string[]
    /** Where what was issued is good; `undefined`: nowhere by itself, it is a session or a delegation. */
    readonly resource: Resource | undefined
    readonly authority: Authority
  }
}

/** Told of every request: that it came, what was issued, and how it ended. Never waited for. */
export interface ExchangeObserver {
  readonly begin: () => void
  readonly issued: (issued: Issued) => void
  readonly exchange: (flow: FlowName, outcome: Outcome, seconds: number) => void
}

/** What became of a call that a server announced: each is permitted or refused, and one that was permitted ends. */
export interface CallObserver {
  call(became: CallBecame): void
}

export const CALL_BECAME = ['permitted', 'refused', 'success', 'failure', 'unknown'] as const
export type CallBecame = (typeof CALL_BECAME)[number]
