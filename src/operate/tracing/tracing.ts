/**
 * OpenTelemetry traces: each request is a span, and each step and each call to the store or to another is one below it.
 *
 * Guarantees: no token and no argument of a call is an attribute, because attributes are only ever set from names, ids, numbers
 * and closed sets; its flag cannot have more recorded than this configuration does, though whoever chooses a trace's id may choose
 * one of the sample; nothing is waited for.
 */
import { randomFillSync } from 'node:crypto'
import { SPANS_OF_REQUEST_MAX } from '../../kernel/telemetry-limits.ts'
import { type Span, withinTrace } from '../../model/trace.ts'
import type { Attributes, AttributeValue, FinishedSpan, SpanKind } from '../../protocol/otlp.ts'
import { isKeptBySender, parseTraceparent } from '../../protocol/trace-context.ts'

export interface TracingParts {
  /** 0 to 1: the share of traces that is recorded. */
  readonly sampleRatio: number
  readonly ended: (span: FinishedSpan) => void
}

/** What a request is, before anything of it is known but its head. */
export interface RequestHead {
  readonly method: string
  /** The route's path, never the one that was asked for: ids stand in that. */
  readonly route: string
  /** The header, as it came. */
  readonly traceparent: string | undefined
}

interface Answered {
  readonly status: number
}

export class Tracing {
  readonly #parts: TracingParts

  constructor(parts: TracingParts) {
    this.#parts = parts
  }

  /** `work` answers the request. */
  async request<Answer extends Answered>(head: RequestHead, work: () => Promise<Answer>): Promise<Answer> {
    const { method, route } = head
    const span = this.#begin(head)
    span.set({ 'http.request.method': method, 'http.route': route })
    try {
      const response = await withinTrace(span, work)
      span.set({ 'http.response.status_code': response.status })
      if (response.status >= 500) span.fail(String(response.status))
      return response
    } finally {
      span.end()
    }
  }

  #begin({ method, route, traceparent }: RequestHead): Span {
    const parent = parseTraceparent(traceparent)
    const traceId = parent?.traceId ?? randomHex(16)
    const isWanted = parent === undefined || isKeptBySender(parent)
    const isRecorded = isWanted && isSampled(traceId, this.#parts.sampleRatio)
    const trace: Trace = { traceId, ended: this.#parts.ended, spansLeft: isRecorded ? SPANS_OF_REQUEST_MAX : 0 }
    if (!isRecorded) return new UnrecordedSpan(trace)
    return new RecordedSpan(trace, {
      name: `${method} ${route}`,
      kind: 'server',
      parentSpanId: parent?.spanId,
      startedAgoMs: 0,
    })
  }
}

interface Trace {
  readonly traceId: string
  readonly ended: (span: FinishedSpan) => void
  spansLeft: number
}

interface Beginning {
  readonly name: string
  readonly kind: SpanKind
  readonly parentSpanId: string | undefined
  readonly startedAgoMs: number
}

/** Told to whoever is asked next, and to the log; nothing more. */
class UnrecordedSpan implements Span {
  readonly isRecorded = false
  readonly spanId = randomHex(8)
  readonly #trace: Trace

  constructor(trace: Trace) {
    this.#trace = trace
  }

  get traceId(): string {
    return this.#trace.traceId
  }

  set(): void {}
  fail(): void {}
  end(): void {}

  child(): Span {
    return this
  }
}

class RecordedSpan implements Span {
  readonly isRecorded = true
  readonly spanId = randomHex(8)
  readonly #trace: Trace
  readonly #beginning: Beginning
  readonly #startMs: number
  #attributes: Record<string, AttributeValue | undefined> = {}
  #failed = false
  #isOver = false

  constructor(trace: Trace, beginning: Beginning) {
    trace.spansLeft -= 1
    this.#trace = trace
    this.#beginning = beginning
    this.#startMs = nowMs() - beginning.startedAgoMs
  }

  get traceId(): string {
    return this.#trace.traceId
  }

  set(attributes: Attributes): void {
    Object.assign(this.#attributes, attributes)
  }

  fail(type: string): void {
    this.#failed = true
    this.set({ 'error.type': type })
  }

  child(name: string, kind: SpanKind, startedAgoMs = 0): Span {
    if (this.#trace.spansLeft <= 0) return new UnrecordedSpan(this.#trace)
    return new RecordedSpan(this.#trace, { name, kind, parentSpanId: this.spanId, startedAgoMs })
  }

  end(): void {
    if (this.#isOver) return
    this.#isOver = true
    const { name, kind, parentSpanId } = this.#beginning
    const { traceId, ended } = this.#trace
    const told = { traceId, spanId: this.spanId, parentSpanId, name, kind, attributes: this.#attributes }
    ended({ ...told, startMs: this.#startMs, endMs: nowMs(), failed: this.#failed })
  }
}

/** Epoch milliseconds that never go back while this process lives: a clock that is set must not make a span end before it began. */
function nowMs(): number {
  return performance.timeOrigin + performance.now()
}

/**
 * By the trace's id alone, so that all who take part in a trace come to the same answer (W3C Trace Context Level 2 §3.2.2.5.2:
 * its last seven bytes are random).
 */
function isSampled(traceId: string, ratio: number): boolean {
  return Number.parseInt(traceId.slice(-14), 16) < ratio * 16 ** 14
}

const pool = Buffer.alloc(4096)
let used = pool.length

function randomHex(bytes: number): string {
  if (used + bytes > pool.length) {
    randomFillSync(pool)
    used = 0
  }
  used += bytes
  const text = pool.toString('hex', used - bytes, used)
  // All zero is no id (W3C Trace Context §3.2.2.3).
  return /[^0]/.test(text) ? text : randomHex(bytes)
}
