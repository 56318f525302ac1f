/** A broker's retention over a real store, turned by hand, with the sequencer that brings its announcements into the log. */

import { AuditLog } from '../../src/audit/audit-log.ts'
import { Auditor } from '../../src/audit/auditor.ts'
import { Acknowledged } from '../../src/audit/log/acknowledged.ts'
import { Checkpoints } from '../../src/audit/log/checkpoints.ts'
import { Sequencer } from '../../src/audit/log/sequencer.ts'
import type { RetentionSettings } from '../../src/audit/retention/old-bundles.ts'
import { Retention } from '../../src/audit/retention/retention.ts'
import { StrangerCounts } from '../../src/audit/stranger-counts.ts'
import type { Clock } from '../../src/kernel/clock.ts'
import { PRUNING_LOOKS_MS } from '../../src/kernel/log-limits.ts'
import type { LogSigner } from '../../src/keys/log-key.ts'
import type { Store } from '../../src/store/ports.ts'

export interface RetainedOptions {
  readonly settings: RetentionSettings
  readonly clock: Clock
  readonly signer: LogSigner
  readonly by?: string
  readonly forgetKeys?: (beforeMs: number) => Promise<void>
  readonly storeNowMs?: () => Promise<number>
}

/** When the records of a grown log were made (`grown-log.ts`): one every 250 ms from then on. */
export const GROWN_MS = Date.parse('2026-11-22T03:00:00.000Z')
export const grownAt = (index: number): number => GROWN_MS + index * 250

export class RetainedLog {
  readonly retention: Retention
  readonly sequencer: Sequencer
  readonly failures: unknown[] = []
  #ms = 0

  constructor(
    store: Store,
    {
      settings,
      clock,
      signer,
      by = 'one',
      forgetKeys = async () => undefined,
      storeNowMs = async () => clock.nowMs(),
    }: RetainedOptions,
  ) {
    const { audit, log, documents } = store
    const checkpoints = new Checkpoints({ documents, log, logKey: { signer: async () => signer } })
    const ticks = { ticksMs: () => this.#ms }
    const usage = () => ({ records: 0, limit: 1 })
    const failed = (_reason: string, error: unknown) => void this.failures.push(error)
    const acknowledged = new Acknowledged(audit)
    this.sequencer = new Sequencer({ acknowledged, audit, log, checkpoints, clock, ticks, usage, by, failed })
    const auditor = new Auditor(new AuditLog(audit), new StrangerCounts(audit, clock), clock)
    this.retention = new Retention({
      ...{ settings, log, documents, auditor, checkpoints, forgetKeys, clock, by, storeNowMs },
      problem: () => this.sequencer.state.problem,
      failed: (error) => void this.failures.push(error),
    })
  }

  /** What is written is in the log, and signed. */
  async sequence(): Promise<void> {
    this.#ms += 2_000
    await this.sequencer.tick()
  }

  /** Until there is nothing more to do, or so many turns are over. @returns whether there is nothing more to do */
  async prune(turns = 1_000): Promise<boolean> {
    for (let turn = 0; turn < turns; turn += 1) {
      await this.sequence()
      if ((await this.retention.turn()) === PRUNING_LOOKS_MS) return true
    }
    return false
  }
}
