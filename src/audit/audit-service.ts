/** Everything that writes records, and the timer that writes what waits and watches how full the outbox is. */
import type { Clock } from '../kernel/clock.ts'
import { STRANGER_FLUSH_MS } from '../kernel/limits.ts'
import type { AuditStore, OutboxUsage } from '../store/ports.ts'
import { AuditLog } from './audit-log.ts'
import { Auditor } from './auditor.ts'
import { OutboxWatch } from './outbox-watch.ts'
import { StrangerCounts } from './stranger-counts.ts'

export interface AuditService {
  readonly auditor: Auditor
  /** Counts of strangers' refusals and deferred records, written now instead of on the timer. */
  flush(): Promise<void>
  /** Ends the timer and flushes. */
  stop(): Promise<void>
}

/** @param onFilling told when the fullest outbox nears its bound, where it forgets its oldest records */
export function startAudit(store: AuditStore, clock: Clock, onFilling: (usage: OutboxUsage) => void): AuditService {
  const log = new AuditLog(store)
  const strangers = new StrangerCounts(store, clock)
  const flush = async () => {
    await log.flush()
    await strangers.flush()
  }
  const outbox = new OutboxWatch(store, onFilling)
  const timer = setInterval(() => {
    void flush()
    void outbox.look()
  }, STRANGER_FLUSH_MS)
  timer.unref()
  const stop = async () => {
    clearInterval(timer)
    await flush()
  }
  return { auditor: new Auditor(log, strangers, clock), flush, stop }
}
