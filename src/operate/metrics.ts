/**
 * What the broker counts, for Prometheus. In a registry of its own, so that two brokers in one process stay apart.
 *
 * No label’s value comes from a request: flows, reasons, operations, key classes and checks are closed sets, so the number of
 * series is bounded by this code, whatever strangers send. Observing costs a fraction of a microsecond and never throws.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, type OpenMetricsContentType, Registry } from 'prom-client'
import type { RecordObserver } from '../audit/audit-draft.ts'
import { SEQUENCING_FAILURES, type SequencingFailure } from '../audit/log/sequencing-failure.ts'
import type { StrangerReason } from '../audit/stranger-counts.ts'
import { ACCOUNTS, type Accounted } from '../model/accounted.ts'
import { BRAKES, type Brake } from '../model/drift.ts'
import {
  CALL_BECAME,
  type CallObserver,
  type ExchangeObserver,
  FLOW_NAMES,
  type FlowName,
  type Outcome,
} from '../model/exchange.ts'
import { requestSpan } from '../model/trace.ts'
import { ExportMetrics } from './export-metrics.ts'
import { type GaugeParts, type MetricRegistry, registerGauges } from './gauges.ts'
import { classicText } from './metrics-text.ts'
import { pruningCounter } from './pruning-counter.ts'

const EXCHANGE_BUCKETS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1]
const STORE_BUCKETS_S = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5]

export type KeyOwnerKind = 'issuer' | 'client' | 'trust_domain'

export class BrokerMetrics implements Omit<ExchangeObserver, 'issued'>, CallObserver {
  readonly registry: MetricRegistry = openRegistry()
  readonly #exchanges: Counter<'flow' | 'outcome'>
  readonly #exchangeSeconds: Histogram<'flow' | 'trace_id'>
  readonly #open: Gauge
  readonly #storeSeconds: Histogram<'operation'>
  readonly #storeFailures: Counter<'operation'>
  readonly #strangers: Counter<'reason'>
  readonly #keysUnread: Counter<'of'>
  readonly #braked = new Counter({
    name: 'errand_sessions_braked_total',
    help: 'Sessions contracted or halted by this broker for what their agents asked outside their intent.',
    labelNames: ['state'],
    registers: [this.registry],
  })
  readonly #sequencing = new Counter({
    name: 'errand_audit_sequencing_failures_total',
    help: 'Turns of this broker at the audit log that failed, by reason.',
    labelNames: ['reason'],
    registers: [this.registry],
  })
  readonly #following: Gauge
  readonly #followersDropped: Counter
  readonly #feedEvents: Counter
  readonly #calls = callCounter(this.registry)
  readonly exports = new ExportMetrics(this.registry)
  readonly pruningFailed = pruningCounter(this.registry)
  readonly #records = new Counter({
    name: 'errand_records_total',
    help: 'Audit records made, by what they are of and what became of it.',
    labelNames: ['event', 'outcome'],
    registers: [this.registry],
  })
  readonly #accounted = new Counter({
    name: 'errand_requests_total',
    help: 'Requests answered, by what they have in the audit: a record, a share of a count, nothing because it could not be written, or public.',
    labelNames: ['account'],
    registers: [this.registry],
  })
  readonly #signed = new Counter({
    name: 'errand_tokens_signed_total',
    help: 'Tokens signed, by typ: each is named by its jti in one record, whether it was issued or not.',
    labelNames: ['typ'],
    registers: [this.registry],
  })
  readonly #refusals = new Counter({
    name: 'errand_refusals_total',
    help: 'Refusals of authenticated callers, at any endpoint, by reason.',
    labelNames: ['reason'],
    registers: [this.registry],
  })
  readonly #spansExported = new Counter({
    name: 'errand_spans_exported_total',
    help: 'Spans that the collector of traces has taken.',
    registers: [this.registry],
  })
  readonly #spansDropped = new Counter({
    name: 'errand_spans_dropped_total',
    help: 'Spans that it will not get: too many waited, or it did not take them.',
    labelNames: ['why'],
    registers: [this.registry],
  })

  constructor() {
    const registers = [this.registry]
    this.#exchanges = new Counter({
      name: 'errand_exchanges_total',
      help: 'Token requests answered, by flow and outcome: issued, or the reason of the refusal.',
      labelNames: ['flow', 'outcome'],
      registers,
    })
    this.#exchangeSeconds = new Histogram({
      name: 'errand_exchange_seconds',
      help: 'From a parsed token request to its answer, by flow.',
      labelNames: ['flow'],
      buckets: EXCHANGE_BUCKETS_S,
      enableExemplars: true,
      registers,
    })
    this.#open = new Gauge({ name: 'errand_exchanges_open', help: 'Token requests being answered now.', registers })
    this.#storeSeconds = new Histogram({
      name: 'errand_store_seconds',
      help: 'Calls to the store, by operation.',
      labelNames: ['operation'],
      buckets: STORE_BUCKETS_S,
      registers,
    })
    this.#storeFailures = new Counter({
      name: 'errand_store_failures_total',
      help: 'Calls to the store that failed or were late, by operation.',
      labelNames: ['operation'],
      registers,
    })
    this.#strangers = new Counter({
      name: 'errand_strangers_refused_total',
      help: 'Requests refused before anybody was authenticated, by reason.',
      labelNames: ['reason'],
      registers,
    })
    this.#keysUnread = new Counter({
      name: 'errand_published_keys_failures_total',
      help: 'Reads of published keys that failed or were not adopted, by whose they are.',
      labelNames: ['of'],
      registers,
    })
    this.#following = new Gauge({
      name: 'errand_feed_streams',
      help: 'Streams and waiting polls of those who follow the revocations.',
      registers,
    })
    this.#feedEvents = new Counter({
      name: 'errand_feed_events_total',
      help: 'Events sent to those who follow the revocations, heartbeats among them.',
      registers,
    })
    this.#followersDropped = new Counter({
      name: 'errand_feed_dropped_total',
      help: 'Streams ended because their consumer had taken nothing for ten seconds.',
      registers,
    })
    collectDefaultMetrics({ register: this.registry })
    this.#beginAtNothing()
  }

  /**
   * What alerts on its first time begins at 0: Prometheus sees an increase only between two samples, and what first appears as 1
   * was never less to it.
   */
  #beginAtNothing(): void {
    for (const flow of FLOW_NAMES) this.#exchanges.inc({ flow, outcome: 'server_error' }, 0)
    for (const reason of ['server_error', 'capture_unavailable'] as const) this.#refusals.inc({ reason }, 0)
    this.#strangers.inc({ reason: 'server_error' }, 0)
    for (const state of BRAKES) this.#braked.inc({ state }, 0)
    for (const reason of SEQUENCING_FAILURES) this.#sequencing.inc({ reason }, 0)
    for (const account of ACCOUNTS) this.#accounted.inc({ account }, 0)
    for (const became of CALL_BECAME) this.#calls.inc({ became }, 0)
  }

  addGauges(parts: GaugeParts): void {
    registerGauges(this.registry, parts)
  }

  readonly begin = (): void => this.#open.inc()

  readonly exchange = (flow: FlowName, outcome: Outcome, seconds: number): void => {
    this.#open.dec()
    this.#exchanges.inc({ flow, outcome })
    // Of a trace that the collector has: an example that leads nowhere is none.
    const span = requestSpan()
    const exemplarLabels = span?.isRecorded === true ? { trace_id: span.traceId } : {}
    this.#exchangeSeconds.observe({ labels: { flow }, value: seconds, exemplarLabels })
  }

  readonly storeCall = (operation: string, seconds: number, failed: boolean): void => {
    this.#storeSeconds.observe({ operation }, seconds)
    if (failed) this.#storeFailures.inc({ operation })
  }

  /** @param reason of a refusal: one of `REASONS`, or one of the few that are no `Rejection` */
  readonly recorded: RecordObserver = ({ event, outcome, reason }) => {
    this.#records.inc({ event, outcome })
    if (outcome === 'refused' && reason !== undefined) this.#refusals.inc({ reason })
  }

  readonly accounted = (account: Accounted): void => this.#accounted.inc({ account })

  readonly signed = (typ: string): void => this.#signed.inc({ typ })

  readonly stranger = (reason: StrangerReason): void => this.#strangers.inc({ reason })

  readonly keysUnread = (of: KeyOwnerKind): void => this.#keysUnread.inc({ of })

  readonly sessionBraked = (state: Brake): void => this.#braked.inc({ state })

  readonly sequencingFailed = (reason: SequencingFailure): void => this.#sequencing.inc({ reason })

  readonly following = (consumers: number): void => this.#following.set(consumers)

  readonly call: CallObserver['call'] = (became) => this.#calls.inc({ became })

  readonly told = (): void => this.#feedEvents.inc()

  readonly dropped = (): void => this.#followersDropped.inc()

  readonly spansExported = (spans: number): void => this.#spansExported.inc(spans)

  readonly spansDropped = (why: 'full' | 'refused', spans: number): void => this.#spansDropped.inc({ why }, spans)

  /** The text that Prometheus reads where it asks for nothing newer. */
  async text(): Promise<string> {
    return classicText(await this.registry.metrics())
  }

  /** OpenMetrics 1.0, with exemplars. */
  openMetrics(): Promise<string> {
    return this.registry.metrics()
  }
}

function openRegistry(): MetricRegistry {
  const registry = new Registry<OpenMetricsContentType>()
  registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE)
  return registry
}

function callCounter(registry: MetricRegistry): Counter<'became'> {
  return new Counter({
    name: 'errand_calls_total',
    help: 'Calls of tools that servers announced, by what became of them: permitted, refused, success, failure, unknown.',
    labelNames: ['became'],
    registers: [registry],
  })
}
