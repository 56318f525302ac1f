/** Everything that writes records, and the timer that writes what waits and watches how full the outbox is. */
import type { Clock } from '../kernel/clock.ts'
import type { RejectionReason } from '../kernel/rejection.ts'
import { STRANGER_FLUSH_MS } from '../kernel/store-limits.ts'
import type { Braked } from '../model/drift.ts'
import type { AuditStore, OutboxUsage } from '../store/ports.ts'
import { AuditLog } from './audit-log.ts'
import { Auditor } from './auditor.ts'
import { brakeRecord } from './brake-record.ts'
import { OutboxWatch } from './outbox-watch.ts'
import { StrangerCounts } from './stranger-counts.ts'

export interface AuditService {
  readonly auditor: Auditor
  /** The record of a session that was contracted or halted. */
  recordOf(braked: Braked): string
  /** Records of revokes that wait in memory. */
  waiting(): number
  /** How full the fullest outbox was when it was last looked at. */
  usage(): OutboxUsage | undefined
  /** Counts of strangers' refusals and deferred records, written now instead of on the timer. */
  flush(): Promise<void>
  /** Ends the timer and flushes. */
  stop(): Promise<void>
}

export interface AuditListener {
  /** The fullest outbox nears its bound, where it forgets its oldest records. */
  filling(usage: OutboxUsage): void
  /** A stranger was refused. */
  stranger?: ((reason: RejectionReason) => void) | undefined
}

export function startAudit(store: AuditStore, clock: Clock, listener: AuditListener): AuditService {
  const log = new AuditLog(store)
  const strangers = new StrangerCounts(store, clock, listener.stranger)
  const flush = async () => {
    await log.flush()
    await strangers.flush()
  }
  const outbox = new OutboxWatch(store, (usage) => listener.filling(usage))
  const timer = setInterval(() => {
    void flush()
    void outbox.look()
  }, STRANGER_FLUSH_MS)
  timer.unref()
  const stop = async () => {
    clearInterval(timer)
    await flush()
  }
  void outbox.look()
  const auditor = new Auditor(log, strangers, clock)
  const recordOf = (braked: Braked) => brakeRecord(braked, auditor)
  return { auditor, recordOf, waiting: () => log.waiting, usage: () => outbox.last, flush, stop }
}
