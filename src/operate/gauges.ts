/** What is read off the broker when somebody asks: nothing here is on the path of a request, and none of it asks the store. */
import { Gauge, type OpenMetricsContentType, type Registry } from 'prom-client'
import type { AuditService } from '../audit/audit-service.ts'
import { type Clock, epochSeconds } from '../kernel/clock.ts'
import type { KeyRing } from '../keys/key-ring.ts'
import { KEY_CLASSES } from '../keys/ring-view.ts'
import type { LiveCutoffs } from '../sessions/live-cutoffs.ts'
import { CHECKS, type Readiness } from './readiness.ts'

/** Of exemplars, too; whoever reads is told as much as they ask for. */
export type MetricRegistry = Registry<OpenMetricsContentType>

export interface GaugeParts {
  readonly cutoffs: LiveCutoffs
  readonly ring: KeyRing
  readonly readiness: Readiness
  readonly clock: Clock
  readonly audit: Pick<AuditService, 'waiting' | 'usage' | 'sequencer' | 'retention' | 'witnesses'>
  readonly build: { readonly version: string; readonly policy: () => string }
}

/** `aggregator`: what several workers’ values become when they are read as one. */
export function registerGauges(registry: MetricRegistry, parts: GaugeParts): void {
  registerFeed(registry, parts)
  registerAudit(registry, parts)
  registerLog(registry, parts)
  registerKeys(registry, parts)
  registerReadiness(registry, parts)
}

/** Gauges without labels; of several workers’ values the highest. */
function highestOf(registry: MetricRegistry) {
  return (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      aggregator: 'max',
      collect() {
        this.set(read())
      },
    })
}

function registerFeed(registry: MetricRegistry, { cutoffs }: GaugeParts): void {
  const gauge = highestOf(registry)
  gauge('errand_revocations_seq', 'Highest revocation sequence number applied.', () => cutoffs.rv)
  gauge('errand_revocations_age_seconds', 'Time since revocations were last confirmed; issuing stops at 2.', () =>
    Math.min(cutoffs.confirmedAgeMs / 1000, Number.MAX_SAFE_INTEGER),
  )
  gauge('errand_store_clock_difference_seconds', 'How far this clock is from the store’s; issuing stops at 1.', () =>
    Math.abs(cutoffs.storeClockDifferenceMs / 1000),
  )
}

function registerAudit(registry: MetricRegistry, { audit }: GaugeParts): void {
  new Gauge({
    name: 'errand_audit_outbox_ratio',
    help: 'How full the fullest audit outbox is; at 1 nothing is issued that would be recorded in it.',
    registers: [registry],
    aggregator: 'max',
    collect() {
      const usage = audit.usage()
      if (usage !== undefined) this.set(usage.records / usage.limit)
    },
  })
  new Gauge({
    name: 'errand_audit_deferred_records',
    help: 'Records of revocations that wait in memory because the audit could not be written.',
    registers: [registry],
    collect() {
      this.set(audit.waiting())
    },
  })
}

function registerLog(registry: MetricRegistry, { audit }: GaugeParts): void {
  const gauge = highestOf(registry)
  const { sequencer, retention } = audit
  gauge('errand_audit_log_size', 'Records in the audit log, as far as this broker knows.', () => sequencer.state.size)
  gauge(
    'errand_audit_log_first_kept_record',
    'Index of the first record of the audit log that is kept: of those before it there is the proof only.',
    () => retention.firstKept,
  )
  gauge(
    'errand_audit_unsequenced_records',
    'Records this broker has read and not yet brought into the audit log: at least so many wait.',
    () => sequencer.state.unsequenced,
  )
  gauge(
    'errand_audit_remembered_records',
    'Records of this broker that it would write again if a failover lost them, because no checkpoint has covered them yet.',
    () => sequencer.state.remembered,
  )
  gauge(
    'errand_audit_checkpoint_age_seconds',
    'Time since all records there were, were last known to be under a published checkpoint.',
    () => sequencer.state.behindMs / 1000,
  )
  new Gauge({
    name: 'errand_audit_witness_age_seconds',
    help: 'For how long a witness has not co-signed what this broker knows of the audit log.',
    labelNames: ['witness'],
    registers: [registry],
    aggregator: 'max',
    collect() {
      for (const [witness, ms] of audit.witnesses()) this.set({ witness }, ms / 1000)
    },
  })
}

function registerKeys(registry: MetricRegistry, { ring, clock }: GaugeParts): void {
  const byClass = (name: string, help: string, read: (cls: string, now: number) => number | undefined) =>
    new Gauge({
      name,
      help,
      labelNames: ['class'],
      registers: [registry],
      aggregator: 'max',
      collect() {
        this.reset()
        const now = epochSeconds(clock)
        for (const cls of KEY_CLASSES) {
          const value = read(cls, now)
          if (value !== undefined) this.set({ class: cls }, value)
        }
      },
    })
  const activations = (cls: string, state: string, now: number) =>
    ring.describe(now).flatMap((key) => (key.class === cls && key.state === state ? [key.activateAt] : []))
  byClass('errand_key_age_seconds', 'How long the oldest signing key of a class has signed.', (cls, now) => {
    const at = activations(cls, 'active', now)
    return at.length === 0 ? undefined : now - Math.min(...at)
  })
  byClass('errand_key_activation_seconds', 'Time until the next announced key of a class signs.', (cls, now) => {
    const at = activations(cls, 'next', now)
    return at.length === 0 ? undefined : Math.min(...at) - now
  })
}

function registerReadiness(registry: MetricRegistry, { readiness, build }: GaugeParts): void {
  new Gauge({
    name: 'errand_ready',
    help: 'Each check of /readyz: 1 as it should be, 0 not.',
    labelNames: ['check'],
    registers: [registry],
    aggregator: 'min',
    collect() {
      const { checks } = readiness.look()
      for (const check of CHECKS) this.set({ check }, checks[check] === 'ok' ? 1 : 0)
    },
  })
  new Gauge({
    name: 'errand_certificate_expires_timestamp_seconds',
    help: 'When the TLS certificate being served ends; absent where TLS is a proxy’s.',
    registers: [registry],
    aggregator: 'min',
    collect() {
      // Unset, a gauge without labels reads 0: ended long ago, which is not what "not ours" means.
      if (readiness.certificateEndsAt === undefined) this.remove()
      else this.set(readiness.certificateEndsAt)
    },
  })
  new Gauge({
    name: 'errand_build_info',
    help: 'Version of the broker and of the policy it decides by.',
    labelNames: ['version', 'policy'],
    registers: [registry],
    aggregator: 'first',
    collect() {
      this.reset()
      this.set({ version: build.version, policy: build.policy() }, 1)
    },
  })
}
