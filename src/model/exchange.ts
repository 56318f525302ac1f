/** What a token request is, to those who count them: its flow and its outcome, both of a closed set. */
import type { RejectionReason } from '../kernel/rejection.ts'

/** `api`: an API token; `unknown`: refused before it was clear. */
export type FlowName =
  | 'open'
  | 'continue'
  | 'delegate'
  | 'accept'
  | 'autonomous'
  | 'id_jag'
  | 'workload_grant'
  | 'api'
  | 'unknown'

export type Outcome = 'issued' | 'server_error' | RejectionReason

/** Told of every request: that it came, and how it ended. */
export interface ExchangeObserver {
  readonly begin: () => void
  readonly exchange: (flow: FlowName, outcome: Outcome, seconds: number) => void
}
