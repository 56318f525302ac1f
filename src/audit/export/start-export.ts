/** The sinks of a configuration, each with what it is sent by. */
import type { Ticks } from '../../kernel/clock.ts'
import { EXPORT_LOOKED_AT_MAX } from '../../kernel/telemetry-limits.ts'
import type { GuardedPost } from '../../net/guarded-fetch.ts'
import type { TelemetrySource } from '../../protocol/otlp.ts'
import type { DocumentStore } from '../../store/ports.ts'
import { Alarms } from './alarms.ts'
import type { DeliveryParts } from './deliver.ts'
import { CursorDocument } from './export-cursor.ts'
import { Exporter, type ExportObserver } from './exporter.ts'
import { OtlpSink } from './otlp-sink.ts'
import type { ExportedRecord, ExportSource, Sink } from './sink.ts'
import { WebhookSink } from './webhook-sink.ts'

interface CommonSettings {
  /** What its cursor is kept by: another name begins anew. */
  readonly name: string
  readonly url: string
  readonly headersFile: string | undefined
  readonly caFile: string | undefined
  /** Names of events, or their beginning and `*`; `undefined`: all. */
  readonly events: readonly string[] | undefined
  /** `undefined`: all. */
  readonly outcomes: readonly string[] | undefined
  readonly batchMax: number
  readonly begins: 'beginning' | 'now'
}

export type SinkSettings =
  | (CommonSettings & { readonly type: 'otlp' })
  | (CommonSettings & { readonly type: 'webhook'; readonly secretFile: string })

export interface ExportParts {
  readonly source: ExportSource
  readonly documents: DocumentStore
  /** To this URL, by the rules of what is asked outside. */
  readonly postTo: (url: string) => GuardedPost
  /** Of OTLP logs. */
  readonly telemetry: TelemetrySource
  readonly by: string
  readonly ticks: Ticks
  readonly nowMs: () => number
  readonly observer: ExportObserver
  /** Why nothing is brought into the log and signed; `undefined`: nothing is wrong. */
  readonly problem: () => string | undefined
}

export interface RunningExport {
  stop(): Promise<void>
}

export function startExport(sinks: readonly SinkSettings[], parts: ExportParts): RunningExport {
  const opened = sinks.map((settings) => ({ settings, sink: sinkOf(settings, parts) }))
  const exporters = opened.map(({ settings, sink }) => exporterOf(settings, sink, parts))
  const alarms = new Alarms({
    ...parts,
    sinks: opened.map(({ settings: { events }, sink }) => ({ sink, wants: (event) => isAnyOf(event, events) })),
  })
  for (const exporter of exporters) exporter.start()
  alarms.start()
  return {
    stop: async () => {
      alarms.stop()
      await Promise.all(exporters.map((exporter) => exporter.stop()))
    },
  }
}

function exporterOf(settings: SinkSettings, sink: Sink, parts: ExportParts): Exporter {
  const { name, batchMax, begins } = settings
  const { documents, source, by, ticks, nowMs, observer } = parts
  const cursor = new CursorDocument(documents, name)
  const wants = wantedBy(settings)
  const isAll = settings.events === undefined && settings.outcomes === undefined
  const looksAt = isAll ? batchMax : EXPORT_LOOKED_AT_MAX
  return new Exporter({ name, sink, source, cursor, wants, looksAt, batchMax, begins, by, ticks, nowMs, observer })
}

function sinkOf(settings: SinkSettings, { postTo, nowMs, telemetry, observer }: ExportParts): Sink {
  const failed = (error: unknown) => observer.failed(settings.name, error)
  const delivery: DeliveryParts = { post: postTo(settings.url), nowMs, failed }
  if (settings.type === 'otlp') return new OtlpSink(settings, telemetry, delivery)
  return new WebhookSink({ ...settings, isByEvent: settings.batchMax === 1 }, delivery)
}

export function wantedBy({
  events,
  outcomes,
}: Pick<CommonSettings, 'events' | 'outcomes'>): (record: ExportedRecord) => boolean {
  return ({ record: { event, outcome } }) => (outcomes?.includes(outcome) ?? true) && isAnyOf(event, events)
}

function isAnyOf(event: string, patterns: readonly string[] | undefined): boolean {
  return patterns?.some((pattern) => isNamed(event, pattern)) ?? true
}

function isNamed(event: string, pattern: string): boolean {
  return pattern.endsWith('*') ? event.startsWith(pattern.slice(0, -1)) : event === pattern
}
