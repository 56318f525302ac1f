/** What the log and the metrics say of the export of the audit. */
import type { Logger } from 'pino'
import type { ExportObserver } from '../audit/export/exporter.ts'
import type { ExportMetrics } from './export-metrics.ts'
import { describeCause } from './fault-log.ts'
import type { Repeats } from './repeats.ts'

export function exportObserver(
  log: Pick<Logger, 'warn' | 'error'>,
  metrics: ExportMetrics | undefined,
  repeats: Repeats,
): ExportObserver {
  return {
    taken: (sink, records) => metrics?.taken(sink, records),
    notTaken: (sink, why) => metrics?.notTaken(sink, why),
    lost: (sink, gap) => {
      metrics?.lost(sink, gap)
      log.error({ sink, ...gap }, 'a sink of the audit will never have these records')
    },
    behind: (sink, seconds) => metrics?.behind(sink, seconds),
    failed: (sink, error) =>
      repeats.say(`export ${sink}`, (count) =>
        log.warn({ sink, count, err: describeCause(error) }, 'the audit could not be sent: it will be sent again'),
      ),
  }
}
