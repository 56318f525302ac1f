/** Traces, from the configuration to the collector: `undefined` settings mean that none of this is ever loaded. */
import type { Logger } from 'pino'
import { SPAN_EXPORT_TIMEOUT_MS } from '../../kernel/telemetry-limits.ts'
import { currentSpan } from '../../model/trace.ts'
import type { GuardedPost } from '../../net/guarded-fetch.ts'
import { readHeaders, readLocalText } from '../../net/local-files.ts'
import { type Attributes, encodeSpans, type FinishedSpan } from '../../protocol/otlp.ts'
import { describeCause } from '../fault-log.ts'
import { Repeats } from '../repeats.ts'
import { SpanQueue } from './span-queue.ts'
import { Tracing } from './tracing.ts'

export interface TelemetrySettings {
  /** The collector's base URL: spans go to `/v1/traces` below it. */
  readonly otlpEndpoint: string
  /** Absolute path of a file with headers for it, read anew for each export. */
  readonly headersFile: string | undefined
  /** Absolute path of the authorities (PEM) that its certificate is from; `undefined`: the public ones. */
  readonly caFile: string | undefined
  /** 0 to 1. */
  readonly sampleRatio: number
}

export interface TelemetryParts {
  readonly post: GuardedPost
  readonly log: Pick<Logger, 'warn'>
  /** Of the resource that all spans are of: the service, its version, this process. */
  readonly resource: Attributes
  readonly counted: SpanCounter | undefined
}

export interface SpanCounter {
  readonly spansExported: (spans: number) => void
  readonly spansDropped: (why: 'full' | 'refused', spans: number) => void
}

export interface RunningTelemetry {
  readonly tracing: Tracing
  /** A call to the store that has just ended. */
  readonly storeCall: (operation: string, seconds: number, failed: boolean) => void
  flush(): Promise<void>
  stop(): Promise<void>
}

export function startTelemetry(settings: TelemetrySettings, parts: TelemetryParts): RunningTelemetry {
  const { log, counted } = parts
  const repeats = new Repeats()
  const queue = new SpanQueue({
    send: (spans) => exportSpans(spans, settings, parts),
    told: {
      exported: (spans) => counted?.spansExported(spans),
      dropped: (why, spans, error) => {
        counted?.spansDropped(why, spans)
        const about = error === undefined ? {} : { err: describeCause(error) }
        repeats.say(`spans ${why}`, (count) => log.warn({ why, count, ...about }, 'spans were dropped'))
      },
    },
  })
  return {
    tracing: new Tracing({ sampleRatio: settings.sampleRatio, ended: (span) => queue.add(span) }),
    storeCall,
    flush: () => queue.flush(),
    stop: async () => {
      await queue.stop()
      repeats.flush()
    },
  }
}

/** The `db.*` attributes of the semantic conventions: the operation's name is the port's method, of which there are only so many. */
function storeCall(operation: string, seconds: number, failed: boolean): void {
  const parent = currentSpan()
  if (parent?.isRecorded !== true) return
  const span = parent.child(operation, 'client', seconds * 1000)
  span.set({ 'db.operation.name': operation })
  if (failed) span.fail('store')
  span.end()
}

/** @throws Error where they were not taken */
async function exportSpans(
  spans: readonly FinishedSpan[],
  { otlpEndpoint, headersFile, caFile }: TelemetrySettings,
  { post, resource }: TelemetryParts,
): Promise<void> {
  const { status } = await post(`${otlpEndpoint.replace(/\/$/, '')}/v1/traces`, {
    headers: { ...(await readHeaders(headersFile)), 'content-type': 'application/json' },
    body: encodeSpans(spans, { resource, scope: { name: 'errand', version: String(resource['service.version']) } }),
    timeoutMs: SPAN_EXPORT_TIMEOUT_MS,
    ca: caFile === undefined ? undefined : await readLocalText(caFile),
  })
  if (status !== 200) throw new Error(`the collector answered with status ${status}`)
}
