/** What is counted and traced of a broker, wired: each only where its configuration says to whom it is told, else not even loaded. */
import { hostname } from 'node:os'
import type { Logger } from 'pino'
import type { WorkerPlace } from './broker.ts'
import type { Config } from './config/config.ts'
import { programVersion } from './config/version.ts'
import { newNonce } from './kernel/ids.ts'
import type { BrokerMetrics } from './operate/metrics.ts'
import type { RunningTelemetry } from './operate/tracing/start-tracing.ts'
import { isLoopbackHost } from './registry/url-rules.ts'
import type { StoreObserver } from './store/metered-store.ts'

export interface Watching {
  readonly metrics: BrokerMetrics | undefined
  readonly telemetry: RunningTelemetry | undefined
  /** `undefined`: nobody wants to know. */
  readonly storeCall: StoreObserver | undefined
}

export async function openWatching(config: Config, log: Logger, worker: WorkerPlace | undefined): Promise<Watching> {
  const metrics = config.metrics && new (await import('./operate/metrics.ts')).BrokerMetrics()
  const telemetry = await openTelemetry(config, { log, metrics, worker })
  const [counted, traced] = [metrics?.storeCall, telemetry?.storeCall]
  if (counted === undefined || traced === undefined) return { metrics, telemetry, storeCall: counted ?? traced }
  const storeCall: StoreObserver = (...call) => {
    counted(...call)
    traced(...call)
  }
  return { metrics, telemetry, storeCall }
}

interface Watched {
  readonly log: Logger
  readonly metrics: BrokerMetrics | undefined
  readonly worker: WorkerPlace | undefined
}

async function openTelemetry(config: Config, { log, metrics, worker }: Watched): Promise<RunningTelemetry | undefined> {
  const { telemetry, outbound, settings } = config
  if (telemetry === undefined) return undefined
  const [{ startTelemetry }, { createGuardedPost }] = await Promise.all([
    import('./operate/tracing/start-tracing.ts'),
    import('./net/guarded-fetch.ts'),
  ])
  // A collector beside the broker is reached in plain http, and by nobody else's choice than this configuration's.
  const allowLoopback = outbound.allowLoopback || isLoopbackHost(new URL(telemetry.otlpEndpoint).hostname)
  return startTelemetry(telemetry, {
    post: createGuardedPost({ ...outbound, allowLoopback }),
    log,
    counted: metrics,
    resource: {
      'service.name': 'errand',
      'service.version': programVersion(),
      'service.instance.id': newNonce(),
      'deployment.environment.name': settings.environment,
      'host.name': hostname(),
      'process.pid': process.pid,
      'errand.issuer': settings.issuer,
      'errand.worker': worker?.id,
    },
  })
}
