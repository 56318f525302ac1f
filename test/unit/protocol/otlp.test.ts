import { expect, test } from 'vitest'
import { encodeLogs, encodeSpans } from '../../../src/protocol/otlp.ts'

const TRACE = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' }
const attributes = { text: 'x', whole: 5, part: 0.5, yes: true, list: ['p', 'q'], none: undefined }
const source = { resource: { 'service.name': 'errand' }, scope: { name: 'errand', version: '1' } }

/** What `@opentelemetry/otlp-transformer` 0.223.1 makes of the same, without the members that are nothing. */
const ENCODED = [
  { key: 'text', value: { stringValue: 'x' } },
  // int64 is a text in the JSON of Protocol Buffers; receivers take a number as well.
  { key: 'whole', value: { intValue: '5' } },
  { key: 'part', value: { doubleValue: 0.5 } },
  { key: 'yes', value: { boolValue: true } },
  { key: 'list', value: { arrayValue: { values: [{ stringValue: 'p' }, { stringValue: 'q' }] } } },
]
const RESOURCE = { attributes: [{ key: 'service.name', value: { stringValue: 'errand' } }] }

test('a span is what other implementations make of it (OTLP 1.x, JSON)', () => {
  const names = { name: 'POST /token', kind: 'server', parentSpanId: '00f067aa0ba902b7', failed: true } as const
  const span = { ...TRACE, ...names, startMs: 1700000000123.5, endMs: 1700000000456.25, attributes }
  const encoded = {
    ...TRACE,
    parentSpanId: '00f067aa0ba902b7',
    name: 'POST /token',
    kind: 2,
    startTimeUnixNano: '1700000000123500000',
    endTimeUnixNano: '1700000000456250000',
    attributes: ENCODED,
    status: { code: 2 },
  }
  const scopeSpans = [{ scope: source.scope, spans: [encoded] }]
  expect(JSON.parse(encodeSpans([span], source))).toEqual({ resourceSpans: [{ resource: RESOURCE, scopeSpans }] })
})

test('a log record is, too', () => {
  const times = { atMs: 1700000000123, observedMs: 1700000000456 }
  const event = { name: 'errand.x', severity: 'warn', ...times, attributes, body: 'text', ...TRACE } as const
  const encoded = {
    timeUnixNano: '1700000000123000000',
    observedTimeUnixNano: '1700000000456000000',
    severityNumber: 13,
    severityText: 'WARN',
    eventName: 'errand.x',
    body: { stringValue: 'text' },
    attributes: ENCODED,
    ...TRACE,
  }
  const scopeLogs = [{ scope: source.scope, logRecords: [encoded] }]
  expect(JSON.parse(encodeLogs([event], source))).toEqual({ resourceLogs: [{ resource: RESOURCE, scopeLogs }] })
})

test('values that are too long are cut, and lists of too many', () => {
  const long = { text: 'x'.repeat(1_000_000), list: Array.from({ length: 1_000 }, () => 'y'.repeat(1_000)) }
  const event = { name: 'e', severity: 'info', atMs: 1, observedMs: 1, body: '', attributes: long } as const
  expect(encodeLogs([event], source).length).toBeLessThan(10_000)
})
