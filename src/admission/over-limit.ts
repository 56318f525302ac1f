/** Refusals of those who are over a limit: when to come back, and no more than that. */
import { Rejection, type RejectionReason } from '../kernel/rejection.ts'

export type StrangersReason = 'source_limited' | 'source_client_limited' | 'strangers_limited'

/** One text for all: which limit it was would tell a stranger who is known here. */
export const STRANGERS_REFUSED = 'too many requests that failed to authenticate, or too many at once: try again later'

export function limited(reason: StrangersReason, waitMs: number | undefined): Rejection {
  return later(reason, STRANGERS_REFUSED, waitMs ?? 0)
}

export function later(reason: RejectionReason, description: string, waitMs: number): Rejection {
  return new Rejection(reason, description, { retryAfterSeconds: retryAfterSeconds(waitMs) })
}

export function retryAfterSeconds(waitMs: number): number {
  return Math.max(Math.ceil(waitMs / 1000), 1)
}
