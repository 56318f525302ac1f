/** Everything that writes records and brings them into the log, and the timer that writes what waits and watches how full the outbox is. */
import { type Clock, systemTicks, type Ticks } from '../kernel/clock.ts'
import { newNonce } from '../kernel/ids.ts'
import { STRANGER_FLUSH_MS } from '../kernel/store-limits.ts'
import type { LogKey } from '../keys/log-key.ts'
import type { Braked } from '../model/drift.ts'
import type { OutboxUsage, Store } from '../store/ports.ts'
import type { RecordObserver } from './audit-draft.ts'
import { AuditLog } from './audit-log.ts'
import { Auditor } from './auditor.ts'
import { brakeRecord } from './brake-record.ts'
import { Acknowledged } from './log/acknowledged.ts'
import { Checkpoints } from './log/checkpoints.ts'
import type { OpenedContinuation } from './log/continuation.ts'
import { type LogContinuing, logContinuing } from './log/continue-log.ts'
import { Sequencer } from './log/sequencer.ts'
import type { SequencingFailure } from './log/sequencing-failure.ts'
import { Witnessing, type WitnessingParts } from './log/witnessing.ts'
import { OutboxWatch } from './outbox-watch.ts'
import { Retention, type RetentionParts } from './retention/retention.ts'
import { StrangerCounts, type StrangerReason } from './stranger-counts.ts'
import type { AuditTrail } from './trail/audit-trail.ts'
import { LogTrail } from './trail/log-trail.ts'

export interface AuditService {
  readonly auditor: Auditor
  readonly trail: AuditTrail
  /** Not started yet. */
  readonly sequencer: Sequencer
  /** What removes records that are kept no longer; not started yet. */
  readonly retention: Retention
  /** Goes on without an end of the log that is lost. */
  readonly continuing: LogContinuing
  /** The newest checkpoint of the log that is known here, a signed note; `undefined`: none yet. */
  checkpoint(): string | undefined
  /** The record of a session that was contracted or halted. */
  recordOf(braked: Braked): string
  /** Records of revokes that wait in memory. */
  waiting(): number
  /** How full the fullest outbox was when it was last looked at. */
  usage(): OutboxUsage | undefined
  /** Of each witness, by name: for how many ms it has not co-signed what there is. */
  witnesses(): ReadonlyMap<string, number>
  /** Counts of strangers' refusals and deferred records, written now instead of on the timer, and brought into the log. */
  flush(): Promise<void>
  /** Ends the timer and flushes. */
  stop(): Promise<void>
}

export interface AuditListener {
  /** The fullest outbox nears its bound, where it refuses what would be recorded in it. */
  filling(usage: OutboxUsage): void
  /** A stranger was refused. */
  stranger?: ((reason: StrangerReason) => void) | undefined
  /** A record was made. */
  recorded?: RecordObserver | undefined
  /** Records could not be brought into the log, or it could not be signed. */
  sequencing(reason: SequencingFailure, error: unknown): void
  /** Nothing could be pruned, or may be. */
  retention(error: unknown): void
  /** A witness could not be asked, or knows another log. */
  witness(name: string, error: unknown): void
  /** The log has gone on without records that were signed: told at each start, too. */
  continued(continuation: OpenedContinuation): void
}

export interface AuditParts {
  readonly store: Pick<Store, 'audit' | 'log' | 'documents' | 'ping'>
  readonly clock: Clock
  readonly ticks: Ticks
  readonly logKey: Pick<LogKey, 'signer'>
  /** How long records are kept, and what goes with them. */
  readonly retention: Pick<RetentionParts, 'settings' | 'forgetKeys'>
  /** Who co-signs the log's checkpoints; absent: nobody. */
  readonly witnesses?: Pick<WitnessingParts, 'witnesses' | 'post'> | undefined
}

export function startAudit(parts: AuditParts, listener: AuditListener): AuditService {
  const { clock } = parts
  const { audit: store } = parts.store
  const log = new AuditLog(store)
  const strangers = new StrangerCounts(store, clock, listener.stranger)
  const flush = async () => {
    await log.flush()
    await strangers.flush()
    await sequencer.tick()
  }
  const outbox = new OutboxWatch(store, (usage) => listener.filling(usage))
  const timer = setInterval(() => {
    void flush()
    void outbox.look()
  }, STRANGER_FLUSH_MS)
  timer.unref()
  const stop = async () => {
    clearInterval(timer)
    await retention.stop()
    await flush()
    await sequencer.stop()
    await witnessing?.stop()
  }
  void outbox.look()
  const acknowledged = new Acknowledged(store)
  store.watch(acknowledged)
  const witnessing = startWitnessing(parts, listener, () => checkpoints.signer())
  const assertMaySign = witnessing && (() => witnessing.assertMaySign())
  const by = newNonce()
  const continued = (continuation: OpenedContinuation) => {
    witnessing?.continued(continuation.origin)
    listener.continued(continuation)
  }
  const checkpoints = new Checkpoints({ ...parts.store, logKey: parts.logKey, assertMaySign, continued })
  const sequencer = new Sequencer({
    ...parts,
    ...parts.store,
    checkpoints,
    acknowledged,
    by,
    usage: () => outbox.last,
    failed: (reason, error) => listener.sequencing(reason, error),
  })
  const auditor = new Auditor(log, strangers, clock, listener.recorded)
  const retention = new Retention({
    ...parts.store,
    ...parts.retention,
    ...{ clock, auditor, checkpoints, by },
    storeNowMs: async () => (await parts.store.ping()).nowMs,
    problem: () => sequencer.state.problem,
    failed: (error) => listener.retention(error),
  })
  const lookAgain = () => Promise.all([witnessing?.ask(), sequencer.tick()])
  const continuing = logContinuing(parts.store.log, checkpoints, lookAgain)
  const recordOf = (braked: Braked) => brakeRecord(braked, auditor)
  const trail = new LogTrail({ ...parts.store, ticks: systemTicks, sequence: () => sequencer.tick() })
  const known = { waiting: () => log.waiting, usage: () => outbox.last, checkpoint: () => checkpoints.newest }
  const witnesses = () => witnessing?.behindMs ?? new Map<string, number>()
  return { auditor, trail, sequencer, retention, continuing, recordOf, ...known, witnesses, flush, stop }
}

function startWitnessing(
  { store, witnesses, ticks }: AuditParts,
  listener: AuditListener,
  signer: WitnessingParts['signer'],
): Witnessing | undefined {
  if (witnesses === undefined) return undefined
  const failed = (name: string, error: unknown) => listener.witness(name, error)
  const witnessing = new Witnessing({ ...store, ...witnesses, ticks, signer, failed })
  witnessing.start()
  return witnessing
}
