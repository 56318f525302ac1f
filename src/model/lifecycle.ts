/**
 * The life of a governed object, an agent or a server, from its first entry to its end:
 *
 *   draft ──► testing ──► active ◄──► suspended        any but retired ──► retired (final)
 *     ▲          │
 *     └──────────┘
 *
 * What is not `testing` or `active` is issued nothing; what is `testing`, nothing where it counts.
 */
import { PRODUCTION_ENVIRONMENT } from './settings.ts'

export const LIFECYCLE_STATES = ['draft', 'testing', 'active', 'suspended', 'retired'] as const
export type LifecycleState = (typeof LIFECYCLE_STATES)[number]

const TRANSITIONS: Readonly<Record<LifecycleState, readonly LifecycleState[]>> = {
  draft: ['testing', 'retired'],
  testing: ['draft', 'active', 'retired'],
  active: ['suspended', 'retired'],
  suspended: ['active', 'retired'],
  retired: [],
}

/** Whether a published version may say `to` of what the one before it said `from` of. To stay as one is is no transition. */
export function legalTransition(from: LifecycleState, to: LifecycleState): boolean {
  return from === to || TRANSITIONS[from].includes(to)
}

/** Whether anything is issued to it, or for it, by a broker of this environment. */
export function mayIssue(state: LifecycleState, environment: string): boolean {
  return state === 'active' || (state === 'testing' && environment !== PRODUCTION_ENVIRONMENT)
}
