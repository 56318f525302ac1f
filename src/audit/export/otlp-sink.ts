/** The audit as OpenTelemetry logs (OTLP/HTTP, JSON): each record an event, its text as the body, its names as attributes. */
import type { AuditRecord } from '../../model/audit-record.ts'
import { encodeLogs, type LogEvent, rejectedLogs, type TelemetrySource } from '../../protocol/otlp.ts'
import { attributesOf } from '../record-attributes.ts'
import { type DeliveryParts, deliver, type SinkAddress } from './deliver.ts'
import type { Alarm, Delivery, ExportedRecord, ExportGap, Sink } from './sink.ts'

export class OtlpSink implements Sink {
  readonly #address: SinkAddress
  readonly #source: TelemetrySource
  readonly #parts: DeliveryParts

  /** @param address its URL is the collector's base: logs go to `/v1/logs` below it */
  constructor(address: SinkAddress, source: TelemetrySource, parts: DeliveryParts) {
    this.#address = { ...address, url: `${address.url.replace(/\/$/, '')}/v1/logs` }
    this.#source = source
    this.#parts = parts
  }

  sendRecords(records: readonly ExportedRecord[]): Promise<Delivery> {
    const observedMs = this.#parts.nowMs()
    return this.#send(records.map((record) => eventOf(record, observedMs)))
  }

  sendGap({ first, records, why }: ExportGap): Promise<Delivery> {
    const nowMs = this.#parts.nowMs()
    const attributes = { 'errand.audit.index': first, 'errand.audit.lost': records, 'errand.reason': why }
    const body = `${records} records from index ${first} on were ${why} before they were exported`
    return this.#send([
      { name: 'errand.audit.gap', severity: 'error', atMs: nowMs, observedMs: nowMs, attributes, body },
    ])
  }

  sendAlarm({ event, detail, by, atMs }: Alarm): Promise<Delivery> {
    const severity = event === 'audit.stopped' ? 'error' : 'info'
    const attributes = { 'errand.broker': by }
    return this.#send([
      { name: `errand.${event}`, severity, atMs, observedMs: this.#parts.nowMs(), attributes, body: detail },
    ])
  }

  #send(events: readonly LogEvent[]): Promise<Delivery> {
    const body = encodeLogs(events, this.#source)
    return deliver(this.#address, { headers: {}, body }, this.#parts, rejectedLogs)
  }
}

function eventOf({ index, record, text }: ExportedRecord, observedMs: number): LogEvent {
  return {
    name: `errand.${record.event}`,
    severity: severityOf(record),
    atMs: Date.parse(record.at),
    observedMs,
    attributes: { ...attributesOf(record), 'errand.audit.index': index },
    body: text,
    traceId: record.trace?.trace_id,
    spanId: record.trace?.span_id,
  }
}

const GRAVE: readonly AuditRecord['event'][] = [
  'session.halted',
  'session.contracted',
  'session.revoke',
  'control.write',
]

function severityOf({ event, outcome }: AuditRecord): LogEvent['severity'] {
  return outcome !== 'granted' || GRAVE.includes(event) ? 'warn' : 'info'
}
