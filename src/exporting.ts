/** The export of the audit, wired: only where a sink is configured, else not even loaded. */
import type { Logger } from 'pino'
import type { AuditService } from './audit/audit-service.ts'
import type { ExportGap, ExportSource } from './audit/export/sink.ts'
import type { RunningExport } from './audit/export/start-export.ts'
import { parseHead } from './audit/log/head.ts'
import type { AuditTrail, TrailGap } from './audit/trail/audit-trail.ts'
import type { Config } from './config/config.ts'
import { programVersion } from './config/version.ts'
import type { Clock, Ticks } from './kernel/clock.ts'
import { newNonce } from './kernel/ids.ts'
import { createGuardedPost } from './net/guarded-fetch.ts'
import type { BrokerMetrics } from './operate/metrics.ts'
import { Repeats } from './operate/repeats.ts'
import { isLoopbackHost } from './registry/url-rules.ts'
import type { Store } from './store/ports.ts'

export interface ExportedAudit {
  readonly trail: AuditTrail
  readonly sequencer: Pick<AuditService['sequencer'], 'state'>
}

export interface ExportingParts {
  readonly store: Pick<Store, 'documents' | 'log'>
  readonly log: Logger
  readonly metrics: BrokerMetrics | undefined
  readonly clock: Clock
  readonly ticks: Ticks
}

export async function exporting(
  config: Config,
  audit: ExportedAudit,
  parts: ExportingParts,
): Promise<RunningExport | undefined> {
  const { auditExport, outbound, settings } = config
  const { sequencer, trail } = audit
  const { store, log, metrics, clock, ticks } = parts
  if (auditExport.length === 0) return undefined
  const [{ startExport }, { exportObserver }] = await Promise.all([
    import('./audit/export/start-export.ts'),
    import('./operate/export-watch.ts'),
  ])
  const repeats = new Repeats()
  for (const { name } of auditExport) metrics?.exports.opened(name)
  const running = startExport(auditExport, {
    source: sourceOf(trail, store),
    documents: store.documents,
    // A receiver beside the broker is reached in plain http, and by nobody else's choice than this configuration's.
    postTo: (url) =>
      createGuardedPost({
        ...outbound,
        allowLoopback: outbound.allowLoopback || isLoopbackHost(new URL(url).hostname),
      }),
    telemetry: {
      resource: {
        'service.name': 'errand',
        'service.version': programVersion(),
        'deployment.environment.name': settings.environment,
        'errand.issuer': settings.issuer,
      },
      scope: { name: 'errand.audit', version: programVersion() },
    },
    by: newNonce(),
    ticks,
    nowMs: () => clock.nowMs(),
    problem: () => sequencer.state.problem,
    observer: exportObserver(log, metrics?.exports, repeats),
  })
  return {
    stop: async () => {
      await running.stop()
      repeats.flush()
    },
  }
}

function sourceOf(trail: AuditTrail, { log }: ExportingParts['store']): ExportSource {
  return {
    from: async (index, limit) => {
      const { entries, next, gaps } = await trail.from(index, limit)
      return { entries, next, gaps: gaps.flatMap(gapOf) }
    },
    size: async () => parseHead(await log.head()).size,
  }
}

/** What is in the log has an index, and what is not is none of the log's gaps. */
function gapOf({ why, first, records }: TrailGap): readonly ExportGap[] {
  return why === 'not_sequenced' || first === undefined || records === undefined ? [] : [{ why, first, records }]
}
