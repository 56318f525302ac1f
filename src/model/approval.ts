/**
 * A person's yes or no to one call of one tool: by this agent, at this hop of this session, with exactly these arguments.
 *
 *   pending ──► approved ──► used          ends by itself: pending and approved when their time is up
 *      └──────► denied                     keeps the same from being asked again for a while
 *
 * Only `approved` lets the call through, once: using it up is the same write that records the attempt.
 */
import type { ClientId, DecisionId, NodeId, PrincipalId, ResourceUrl, SessionId } from '../kernel/ids.ts'

export const APPROVAL_STATES = ['pending', 'approved', 'denied', 'used'] as const
export type ApprovalState = (typeof APPROVAL_STATES)[number]

/** What somebody said to it. Times in epoch seconds. */
export interface Word {
  readonly by: PrincipalId
  readonly at: number
  readonly reason: string
  /** The last cut-off that was known then: a later one that concerns the call ends what was said. */
  readonly rv: number
  /** Of the store when it was said: in another nobody knows whether it has been used. */
  readonly epoch: string
}

export interface Approval {
  /** `apr_…`: names its session, too (`sessions/approval-record.ts`). */
  readonly id: string
  /** The call it is about, as the session's record knows it: the same call has the same key. */
  readonly key: string
  readonly session: SessionId
  readonly state: ApprovalState
  /** Nodes of the caller's path, root first. */
  readonly path: readonly NodeId[]
  readonly agent: ClientId
  /** The process that asked, by its own word. */
  readonly instance: string | undefined
  readonly subject: PrincipalId
  readonly resource: ResourceUrl
  readonly tool: string
  /** Client id of the server that asked. */
  readonly service: ClientId
  /** Digest of the sealed arguments, which are kept beside the record of the request. */
  readonly sealed: string
  /** Version of the policy that otherwise agreed. */
  readonly policy: string
  readonly requestedAt: number
  /** When this state ends. */
  readonly until: number
  /** `undefined`: nobody has said anything yet. */
  readonly word: Word | undefined
  /** The decision that used it up. */
  readonly usedBy: DecisionId | undefined
}

/** Whether it still says what its state says. */
export function holds({ state, until }: Approval, now: number): boolean {
  return state !== 'used' && now < until
}
