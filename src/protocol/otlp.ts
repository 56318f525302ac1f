/**
 * The OpenTelemetry Protocol 1.x in its JSON form (OTLP/HTTP): spans and logs as a collector takes them. Ids are hexadecimal, 64-bit
 * numbers are texts, as its JSON mapping says (opentelemetry-proto, docs/specification.md, "JSON Protobuf Encoding").
 */

export type AttributeValue = string | number | boolean | readonly string[]
export type Attributes = Readonly<Record<string, AttributeValue | undefined>>

export type SpanKind = 'internal' | 'server' | 'client'

export interface FinishedSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | undefined
  readonly name: string
  readonly kind: SpanKind
  /** Epoch milliseconds, with fractions. */
  readonly startMs: number
  readonly endMs: number
  readonly attributes: Attributes
  readonly failed: boolean
}

/** What all of one export come from. */
export interface TelemetrySource {
  readonly resource: Attributes
  readonly scope: { readonly name: string; readonly version: string }
}

const KINDS: Readonly<Record<SpanKind, number>> = { internal: 1, server: 2, client: 3 }
const STATUS_ERROR = 2

/** An `ExportTraceServiceRequest`. */
export function encodeSpans(spans: readonly FinishedSpan[], { resource, scope }: TelemetrySource): string {
  return JSON.stringify({
    resourceSpans: [
      {
        resource: { attributes: encodeAttributes(resource) },
        scopeSpans: [{ scope, spans: spans.map(encodeSpan) }],
      },
    ],
  })
}

function encodeSpan(span: FinishedSpan): object {
  const { traceId, spanId, parentSpanId, name, kind, failed } = span
  return {
    traceId,
    spanId,
    ...(parentSpanId === undefined ? {} : { parentSpanId }),
    name,
    kind: KINDS[kind],
    startTimeUnixNano: unixNano(span.startMs),
    endTimeUnixNano: unixNano(span.endMs),
    attributes: encodeAttributes(span.attributes),
    ...(failed ? { status: { code: STATUS_ERROR } } : {}),
  }
}

export interface LogEvent {
  readonly name: string
  readonly severity: 'info' | 'warn' | 'error'
  /** Epoch milliseconds: when it happened, and when it was read. */
  readonly atMs: number
  readonly observedMs: number
  readonly attributes: Attributes
  /** Never cut. */
  readonly body: string
  readonly traceId?: string | undefined
  readonly spanId?: string | undefined
}

const SEVERITY = { info: 9, warn: 13, error: 17 } as const

/** An `ExportLogsServiceRequest`. */
export function encodeLogs(events: readonly LogEvent[], { resource, scope }: TelemetrySource): string {
  return JSON.stringify({
    resourceLogs: [
      {
        resource: { attributes: encodeAttributes(resource) },
        scopeLogs: [{ scope, logRecords: events.map(encodeLog) }],
      },
    ],
  })
}

function encodeLog({ name, severity, atMs, observedMs, attributes, body, traceId, spanId }: LogEvent): object {
  return {
    timeUnixNano: unixNano(atMs),
    observedTimeUnixNano: unixNano(observedMs),
    severityNumber: SEVERITY[severity],
    severityText: severity.toUpperCase(),
    eventName: name,
    body: { stringValue: body },
    attributes: encodeAttributes(attributes),
    ...(traceId === undefined ? {} : { traceId }),
    ...(spanId === undefined ? {} : { spanId }),
  }
}

/** Longer than this, a value is cut: whoever sends names and ids does not choose how much is exported. */
const VALUE_CHARS_MAX = 256
const VALUES_MAX = 32

function encodeAttributes(attributes: Attributes): readonly object[] {
  return Object.entries(attributes).flatMap(([key, value]) =>
    value === undefined ? [] : [{ key, value: encodeValue(value) }],
  )
}

function encodeValue(value: AttributeValue): object {
  if (typeof value === 'string') return { stringValue: value.slice(0, VALUE_CHARS_MAX) }
  if (typeof value === 'boolean') return { boolValue: value }
  if (typeof value === 'number') return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value }
  return { arrayValue: { values: value.slice(0, VALUES_MAX).map(encodeValue) } }
}

/** Two numbers, because one of them cannot hold nanoseconds since 1970. */
function unixNano(ms: number): string {
  const whole = Math.floor(ms)
  const nanos = Math.floor((ms - whole) * 1e6)
  return `${whole}${String(nanos).padStart(6, '0')}`
}

const SAID_CHARS_MAX = 200

/**
 * Of an `ExportLogsServiceResponse`: how many records a collector that took the message left out of it (OTLP specification, "Partial
 * Success"), which must not be sent again. `undefined`: none, as of an answer that is none or was cut.
 */
export function rejectedLogs(answer: string): { readonly records: number; readonly said: string } | undefined {
  try {
    const { rejectedLogRecords, errorMessage } = JSON.parse(answer).partialSuccess
    const records = Number(rejectedLogRecords)
    if (!Number.isSafeInteger(records) || records < 1) return undefined
    const said = typeof errorMessage === 'string' ? errorMessage.slice(0, SAID_CHARS_MAX) : ''
    return { records, said: said.replace(/[^\x20-\x7e]/g, '?') }
  } catch {
    return undefined
  }
}
