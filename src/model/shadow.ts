/** A draft of the policy beside the one that decides: what it would have answered is put on record, and changes no answer. */
import type { Decision, Question } from './decision.ts'

/** What becomes of a request like that, were the draft the policy. */
export type ShadowTurn = 'granted' | 'refused' | 'narrowed' | 'widened'

/** Where the draft would have answered otherwise. */
export interface ShadowAnswer {
  /** Version of the draft. */
  readonly policy: string
  readonly outcome: Decision['outcome']
  readonly turn: ShadowTurn
  /** Where it would refuse. */
  readonly reason?: string
}

export interface Shadow {
  /** `undefined`: it would answer the same, or there is no draft. Waits for nothing, and never throws. */
  answer(question: Question, given: Decision): ShadowAnswer | undefined
}
