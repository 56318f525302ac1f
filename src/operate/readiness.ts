/**
 * Whether a token would be issued now, check by check, and never a secret. Asks nobody: a store that hangs must not hold the
 * answer up.
 */
import { type Clock, epochSeconds } from '../kernel/clock.ts'
import { CUTOFF_STALENESS_MS_MAX, STORE_CLOCK_DIFFERENCE_MS_MAX } from '../kernel/store-limits.ts'
import type { KeyRing } from '../keys/key-ring.ts'
import type { LiveCutoffs } from '../sessions/live-cutoffs.ts'
import type { Store } from '../store/ports.ts'

export const CHECKS = ['store', 'revocations', 'policy', 'clock', 'keys', 'audit', 'certificate', 'serving'] as const
export type CheckName = (typeof CHECKS)[number]
/** `ok`, or what is wrong, in words. */
export type Checks = Readonly<Record<CheckName, string>>

export interface ReadinessReport {
  readonly ready: boolean
  readonly checks: Checks
  /** What somebody has to look into while tokens are issued all the same, by what it is about. */
  readonly warnings: Readonly<Record<string, string>>
}

export interface ReadinessParts {
  readonly store: Pick<Store, 'takesWrites'>
  readonly cutoffs: Pick<LiveCutoffs, 'confirmedAgeMs' | 'storeClockDifferenceMs' | 'policyProblem'>
  readonly ring: Pick<KeyRing, 'problem'>
  /** What is wrong with the audit, where something is. */
  readonly auditProblem: () => string | undefined
  readonly warnings: () => Readonly<Record<string, string>>
  readonly clock: Clock
}

const OK = 'ok'

export class Readiness {
  readonly #parts: ReadinessParts
  #stopping = false
  /** When the certificate being served ends, in epoch seconds; `undefined`: TLS is somebody else’s. */
  certificateEndsAt: number | undefined

  constructor(parts: ReadinessParts) {
    this.#parts = parts
  }

  /** From now on not ready: requests in flight are finished, new ones belong elsewhere. */
  stop(): void {
    this.#stopping = true
  }

  look(): ReadinessReport {
    const { store, cutoffs, ring, clock, auditProblem, warnings } = this.#parts
    const { confirmedAgeMs: age, storeClockDifferenceMs: off } = cutoffs
    const now = epochSeconds(clock)
    const checks: Checks = {
      store: store.takesWrites ? OK : 'it does not answer, or takes no writes',
      revocations: age <= CUTOFF_STALENESS_MS_MAX ? OK : 'they have not been confirmed for two seconds',
      policy: cutoffs.policyProblem ?? OK,
      clock: Math.abs(off) <= STORE_CLOCK_DIFFERENCE_MS_MAX ? OK : 'it differs from the store’s by more than a second',
      keys: ring.problem(now) ?? OK,
      audit: auditProblem() ?? OK,
      certificate: (this.certificateEndsAt ?? Infinity) > now ? OK : 'it has expired',
      serving: this.#stopping ? 'the broker is stopping' : OK,
    }
    return { ready: CHECKS.every((check) => checks[check] === OK), checks, warnings: warnings() }
  }
}
