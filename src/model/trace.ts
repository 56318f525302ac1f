/**
 * What a request is traced by, wherever its work takes it: the trace it belongs to travels with it by itself, so that no step
 * has to hand it on. Where telemetry is off there is none, and a step costs one look.
 *
 * Guarantees: attributes are names, ids and numbers that somebody has set by hand; nothing is taken from a request's text.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { Rejection } from '../kernel/rejection.ts'
import type { Attributes, SpanKind } from '../protocol/otlp.ts'
import { formatTraceparent } from '../protocol/trace-context.ts'

/** A span that is still going on. */
export interface Span {
  /** 32 hexadecimal digits. */
  readonly traceId: string
  /** 16 of them. */
  readonly spanId: string
  /** Whether anything of it will be exported. */
  readonly isRecorded: boolean
  /** Id of the record that its attributes are of. */
  isAbout?: string
  /** The piece of work that the record belongs to. */
  txn?: string | undefined
  set(attributes: Attributes): void
  /** @param type why, of a bounded set (`error.type`) */
  fail(type: string): void
  /** @param startedAgoMs set where it is only told of when it has ended */
  child(name: string, kind: SpanKind, startedAgoMs?: number): Span
  end(): void
}

/** The steps of a request (DESIGN §5), as spans are named. */
export type Step = 'authenticate' | 'prove' | 'verify' | 'claim' | 'decide' | 'mint' | 'commit'

interface Traced {
  readonly root: Span
  readonly span: Span
}

const traces = new AsyncLocalStorage<Traced>()

/** Everything that `work` does is part of the span. */
export function withinTrace<T>(span: Span, work: () => T): T {
  return traces.run({ root: span, span }, work)
}

/** Of whatever is being worked on; `undefined`: telemetry is off, or it is nothing that anybody asked for. */
export function currentSpan(): Span | undefined {
  return traces.getStore()?.span
}

/** Of the request itself, whatever step it is in. */
export function requestSpan(): Span | undefined {
  return traces.getStore()?.root
}

/** What every line of the log says of the request it is about. */
export function traceNames(): { readonly trace_id?: string; readonly txn?: string } {
  const span = requestSpan()
  if (span === undefined) return {}
  return { trace_id: span.traceId, ...(span.txn === undefined ? {} : { txn: span.txn }) }
}

/** For timers, whose work is nobody's request, whoever has set them. */
export function outsideTrace<T>(work: () => T): T {
  return traces.exit(work)
}

/** `work` as a step of the request. */
export function inStep<T>(step: Step, work: () => Promise<T>): Promise<T> {
  const traced = traces.getStore()
  return traced?.span.isRecorded === true ? recorded(traced, traced.span.child(step, 'internal'), work) : work()
}

async function recorded<T>({ root }: Traced, span: Span, work: () => Promise<T>): Promise<T> {
  try {
    return await traces.run({ root, span }, work)
  } catch (thrown) {
    span.fail(reasonOf(thrown))
    throw thrown
  } finally {
    span.end()
  }
}

/**
 * `work` asks somebody who is part of the same work.
 * @param work is given the `traceparent` to send: that of the span it is, so that theirs hang below it
 */
export function inCall<T>(whom: 'external_pdp', work: (traceparent?: string) => Promise<T>): Promise<T> {
  const traced = traces.getStore()
  if (traced === undefined) return work()
  const span = traced.span.isRecorded ? traced.span.child(whom, 'client') : traced.span
  const { traceId, spanId } = span
  const flags = span.isRecorded ? '01' : '00'
  return recorded(traced, span, () => work(formatTraceparent({ traceId, spanId, flags })))
}

/** Reasons are a closed set; of anything else the kind alone is told: its message may name what it was about. */
function reasonOf(thrown: unknown): string {
  if (thrown instanceof Rejection) return thrown.reason
  return thrown instanceof Error ? thrown.name : 'unknown'
}
