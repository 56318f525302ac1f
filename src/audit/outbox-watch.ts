/**
 * Tells the operator that records are not brought into the log as fast as they come: a full outbox refuses, and nobody should
 * learn of that from requests that fail. Said once per start and again at each further tenth.
 */
import { OUTBOX_WARNING_TENTHS } from '../kernel/store-limits.ts'
import type { AuditStore, OutboxUsage } from '../store/ports.ts'

export class OutboxWatch {
  readonly #audit: Pick<AuditStore, 'usage'>
  readonly #warn: (usage: OutboxUsage) => void
  #saidTenths = OUTBOX_WARNING_TENTHS - 1
  #last: OutboxUsage | undefined

  constructor(audit: Pick<AuditStore, 'usage'>, warn: (usage: OutboxUsage) => void) {
    this.#audit = audit
    this.#warn = warn
  }

  /** What was found last; `undefined`: nothing yet. */
  get last(): OutboxUsage | undefined {
    return this.#last
  }

  /** Never throws: a store that does not answer is reported by whoever needs it. */
  async look(): Promise<void> {
    try {
      const usage = await this.#audit.usage()
      this.#last = usage
      const tenths = Math.min(Math.floor((10 * usage.records) / usage.limit), 10)
      if (tenths <= this.#saidTenths) return
      this.#saidTenths = tenths
      this.#warn(usage)
    } catch {
      // Looked at again on the next tick.
    }
  }
}
