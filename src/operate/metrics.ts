/**
 * What the broker counts, for Prometheus. In a registry of its own, so that two brokers in one process stay apart.
 *
 * No label’s value comes from a request: flows, reasons, operations, key classes and checks are closed sets, so the number of
 * series is bounded by this code, whatever strangers send. Observing costs a fraction of a microsecond and never throws.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { RejectionReason } from '../kernel/rejection.ts'
import type { Brake } from '../model/drift.ts'
import type { CallObserver, ExchangeObserver, FlowName, Outcome } from '../model/exchange.ts'
import { type GaugeParts, registerGauges } from './gauges.ts'

const EXCHANGE_BUCKETS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1]
const STORE_BUCKETS_S = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5]

export type KeyOwnerKind = 'issuer' | 'client' | 'trust_domain'

export class BrokerMetrics implements Omit<ExchangeObserver, 'issued'>, CallObserver {
  readonly registry = new Registry()
  readonly #exchanges: Counter<'flow' | 'outcome'>
  readonly #exchangeSeconds: Histogram<'flow'>
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
  readonly #following: Gauge
  readonly #followersDropped: Counter
  readonly #feedEvents: Counter
  readonly #calls: Counter<'became'>

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
    this.#calls = callCounter(this.registry)
    collectDefaultMetrics({ register: this.registry })
  }

  addGauges(parts: GaugeParts): void {
    registerGauges(this.registry, parts)
  }

  readonly begin = (): void => this.#open.inc()

  readonly exchange = (flow: FlowName, outcome: Outcome, seconds: number): void => {
    this.#open.dec()
    this.#exchanges.inc({ flow, outcome })
    this.#exchangeSeconds.observe({ flow }, seconds)
  }

  readonly storeCall = (operation: string, seconds: number, failed: boolean): void => {
    this.#storeSeconds.observe({ operation }, seconds)
    if (failed) this.#storeFailures.inc({ operation })
  }

  readonly stranger = (reason: RejectionReason): void => this.#strangers.inc({ reason })

  readonly keysUnread = (of: KeyOwnerKind): void => this.#keysUnread.inc({ of })

  readonly sessionBraked = (state: Brake): void => this.#braked.inc({ state })

  readonly following = (consumers: number): void => this.#following.set(consumers)

  readonly call: CallObserver['call'] = (became) => this.#calls.inc({ became })

  readonly told = (): void => this.#feedEvents.inc()

  readonly dropped = (): void => this.#followersDropped.inc()

  /** The text that Prometheus reads. */
  text(): Promise<string> {
    return this.registry.metrics()
  }
}

function callCounter(registry: Registry): Counter<'became'> {
  return new Counter({
    name: 'errand_calls_total',
    help: 'Calls of tools that servers announced, by what became of them: permitted, refused, success, failure, unknown.',
    labelNames: ['became'],
    registers: [registry],
  })
}
