/** What is counted of the export of the audit, by the names that the configuration gives its sinks. */
import { Counter, Gauge } from 'prom-client'
import { type DeliveryFailure, type ExportGap, GAPS } from '../audit/export/sink.ts'
import type { MetricRegistry } from './gauges.ts'

export class ExportMetrics {
  readonly #taken: Counter<'sink'>
  readonly #failures: Counter<'sink' | 'why'>
  readonly #lost: Counter<'sink' | 'why'>
  readonly #behind: Gauge<'sink'>

  constructor(registry: MetricRegistry) {
    const registers = [registry]
    this.#taken = new Counter({
      name: 'errand_audit_export_records_total',
      help: 'Audit records that a sink has taken from this broker.',
      labelNames: ['sink'],
      registers,
    })
    this.#failures = new Counter({
      name: 'errand_audit_export_failures_total',
      help: 'Messages that a sink has not taken: they are sent again.',
      labelNames: ['sink', 'why'],
      registers,
    })
    this.#lost = new Counter({
      name: 'errand_audit_export_lost_total',
      help: 'Audit records that a sink will never have: pruned before it took them, damaged, or refused by it.',
      labelNames: ['sink', 'why'],
      registers,
    })
    this.#behind = new Gauge({
      name: 'errand_audit_export_behind_seconds',
      help: 'Age of the oldest audit record that a sink has not taken; of the broker that sends to it.',
      labelNames: ['sink'],
      registers,
      aggregator: 'max',
    })
  }

  /** Begins at 0, so that an alert sees the first (`metrics.ts`). */
  opened(sink: string): void {
    for (const why of GAPS) this.#lost.inc({ sink, why }, 0)
  }

  taken(sink: string, records: number): void {
    this.#taken.inc({ sink }, records)
  }

  notTaken(sink: string, why: DeliveryFailure): void {
    this.#failures.inc({ sink, why })
  }

  lost(sink: string, { why, records }: ExportGap): void {
    this.#lost.inc({ sink, why }, records)
  }

  /** @param seconds `undefined`: another broker sends, and knows */
  behind(sink: string, seconds: number | undefined): void {
    if (seconds === undefined) this.#behind.remove({ sink })
    else this.#behind.set({ sink }, seconds)
  }
}
