/** What the log says of answers that are 5xx: their reason or their fault, an id to search the audit by, never a request's text. */
import type { Logger } from 'pino'
import type { RejectionReason } from '../kernel/rejection.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { Repeats } from './repeats.ts'

export interface Fault {
  readonly faultId: string | undefined
  readonly decisionId: string | undefined
  /** The trace that its caller said it belongs to. */
  readonly traceId: string | undefined
  /** The piece of work that it belongs to, as far as that was known. */
  readonly txn?: string | undefined
  readonly cause: unknown
}

export type FaultLog = (fault: Fault) => void

/** An outage is a line a second by its reason; a fault of ours brings its stack, because somebody has to find it. */
export function faultLog(log: Pick<Logger, 'warn' | 'error'>, repeats: Repeats): FaultLog {
  return ({ faultId, decisionId, traceId, txn, cause }) => {
    const named = {
      decision: decisionId,
      ...(traceId === undefined ? {} : { trace_id: traceId }),
      ...(txn === undefined ? {} : { txn }),
    }
    if (cause instanceof Rejection) {
      const reason: RejectionReason = cause.reason
      return repeats.say(reason, (count) => log.warn({ reason, ...named, count }, cause.message))
    }
    // Where it was thrown tells one fault from another; its message may name what it was about.
    const place = cause instanceof Error ? (cause.stack?.split('\n', 2)[1] ?? cause.name) : 'not an Error'
    repeats.say(`fault ${place}`, (count) =>
      log.error({ fault: faultId, ...named, count, err: describeCause(cause) }, 'the broker failed'),
    )
  }
}

/** Messages and stacks only: whatever else an error carries may hold what it was about. */
export function describeCause(cause: unknown): { message: string; stack?: string | undefined; cause?: unknown } {
  if (!(cause instanceof Error)) return { message: 'not an Error' }
  return {
    message: cause.message,
    stack: cause.stack,
    ...(cause.cause === undefined ? {} : { cause: describeCause(cause.cause) }),
  }
}
