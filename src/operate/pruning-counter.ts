/** Counts why nothing was pruned of the audit log. */
import { Counter } from 'prom-client'
import { PRUNING_FAILURES, type PruningFailure } from '../audit/retention/pruning-failure.ts'
import type { MetricRegistry } from './gauges.ts'

/** Begins at 0, so that an alert sees the first (`metrics.ts`). */
export function pruningCounter(registry: MetricRegistry): (reason: PruningFailure) => void {
  const counter = new Counter({
    name: 'errand_audit_pruning_failures_total',
    help: 'Turns of this broker at what is kept no longer that removed nothing, by reason.',
    labelNames: ['reason'],
    registers: [registry],
  })
  for (const reason of PRUNING_FAILURES) counter.inc({ reason }, 0)
  return (reason) => counter.inc({ reason })
}
