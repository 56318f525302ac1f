/**
 * Drift: calls and tokens that an agent asks for outside what its session is for. Refused each, they say together that something
 * has taken the agent elsewhere; from certain numbers on the session is contracted, then halted until a reviewer has looked.
 */
import type { NodeFacts, SessionFacts, SessionState } from './session.ts'
import type { DriftSettings } from './settings.ts'

export const BRAKES = ['contracted', 'halted'] as const
export type Brake = (typeof BRAKES)[number]

/** What came of it, for its record and for whoever has to know. */
export interface Braked {
  readonly brake: Brake
  readonly session: SessionFacts
  /** Client id of the agent that asked last, and the hop it asked with. */
  readonly agent: string
  readonly node: NodeFacts
  readonly count: number
  /** Decision ids of the last asks that led to it, oldest first. */
  readonly asks: readonly string[]
}

/** What so many come to; `undefined`: nothing yet. */
export function brakeAfter(count: number, { contractAfter, haltAfter }: DriftSettings): Brake | undefined {
  if (haltAfter > 0 && count >= haltAfter) return 'halted'
  return contractAfter > 0 && count >= contractAfter ? 'contracted' : undefined
}

/** Whether a session in this state has yet to be braked so. */
export function isHarder(brake: Brake, state: SessionState): boolean {
  return state === 'active' || (state === 'contracted' && brake === 'halted')
}
