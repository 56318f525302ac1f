/** Everything an operator looks at: readiness and its changes, what the log says of faults, and the gauges. */
import type { Logger } from 'pino'
import type { AuditService } from '../audit/audit-service.ts'
import type { SequencingFailure } from '../audit/log/sequencing-failure.ts'
import { pruningFailureOf } from '../audit/retention/pruning-failure.ts'
import type { Clock } from '../kernel/clock.ts'
import { DEFERRED_RECORDS_MAX } from '../kernel/store-limits.ts'
import type { KeyRing } from '../keys/key-ring.ts'
import type { Braked } from '../model/drift.ts'
import type { LiveCutoffs } from '../sessions/live-cutoffs.ts'
import type { Store } from '../store/ports.ts'
import { describeCause, type FaultLog, faultLog } from './fault-log.ts'
import type { BrokerMetrics, KeyOwnerKind } from './metrics.ts'
import { Readiness } from './readiness.ts'
import { watchReadiness } from './readiness-watch.ts'
import { Repeats } from './repeats.ts'

export interface OperationsParts {
  readonly store: Store
  readonly cutoffs: LiveCutoffs
  readonly ring: KeyRing
  readonly clock: Clock
  readonly audit: AuditService
  readonly log: Logger
  readonly metrics: BrokerMetrics | undefined
  readonly build: { readonly version: string; readonly policy: () => string }
}

type KeyOwner = { readonly issuer: string } | { readonly client: string } | { readonly trust_domain: string }

export interface Operations {
  readonly readiness: Readiness
  readonly report: FaultLog
  /** Published keys of an issuer, a client or a trust domain could not be read, or are not adopted. */
  readonly keysUnread: (whose: KeyOwner, error: unknown) => void
  /** An issuer could not be asked about an opaque token. */
  readonly introspectionFailed: (whose: KeyOwner, error: unknown) => void
  /** A cluster could not be asked about a token. */
  readonly reviewFailed: (url: string, error: unknown) => void
  /** The external PDP could not be asked, or did not answer: what it was to allow was refused. */
  readonly externalPolicyFailed: (url: string, error: unknown) => void
  /** Records could not be brought into the audit log, or it could not be signed. */
  readonly sequencingFailed: (reason: SequencingFailure, error: unknown) => void
  /** Nothing could be pruned of the audit log, or may be. */
  readonly retentionFailed: (error: unknown) => void
  /** A witness could not be asked to co-sign the audit log, or has co-signed another. */
  readonly witnessFailed: (witness: string, error: unknown) => void
  /** A session was contracted or halted for what its agents asked. */
  readonly sessionBraked: (braked: Braked) => void
  /** Ends the timers; writes what was counted. */
  stop(): void
}

export function startOperations(parts: OperationsParts): Operations {
  const { audit, log, metrics } = parts
  const auditProblem = () =>
    audit.waiting() < DEFERRED_RECORDS_MAX ? undefined : 'records of revocations no longer fit into memory'
  const warnings = () => {
    const { problem } = audit.sequencer.state
    return problem === undefined ? {} : { audit_log: `nothing is sequenced and signed: ${problem}` }
  }
  const readiness = new Readiness({ ...parts, auditProblem, warnings })
  const watch = watchReadiness(readiness, (problems) =>
    Object.keys(problems).length === 0 ? log.info('ready again') : log.warn({ problems }, 'not ready'),
  )
  metrics?.addGauges({ ...parts, readiness })
  const repeats = new Repeats()
  return {
    readiness,
    report: faultLog(log, repeats),
    keysUnread: (whose, error) => {
      metrics?.keysUnread(kindOf(whose))
      repeats.say(`keys ${JSON.stringify(whose)}`, (count) =>
        log.warn({ ...whose, count, err: describeCause(error) }, 'published keys could not be read'),
      )
    },
    introspectionFailed: (whose, error) =>
      repeats.say(`introspection ${JSON.stringify(whose)}`, (count) =>
        log.warn({ ...whose, count, err: describeCause(error) }, 'an issuer could not be asked about a token'),
      ),
    reviewFailed: (url, error) =>
      repeats.say(`review ${url}`, (count) =>
        log.warn({ url, count, err: describeCause(error) }, 'a cluster could not be asked about tokens'),
      ),
    externalPolicyFailed: (url, error) =>
      repeats.say(`external policy ${url}`, (count) =>
        log.warn(
          { url, count, err: describeCause(error) },
          'the external policy could not be asked: it allowed nothing',
        ),
      ),
    sequencingFailed: (reason, error) => {
      metrics?.sequencingFailed(reason)
      repeats.say(`sequencing ${reason}`, (count) =>
        log.warn({ reason, count, err: describeCause(error) }, 'records could not be brought into the audit log'),
      )
    },
    retentionFailed: (error) => notPruned(error, parts, repeats),
    witnessFailed: (witness, error) =>
      repeats.say(`witness ${witness}`, (count) =>
        log.warn({ witness, count, err: describeCause(error) }, 'a witness did not co-sign the audit log'),
      ),
    sessionBraked: ({ brake, session, agent, count }) => {
      metrics?.sessionBraked(brake)
      const about = { session: session.id, agent, on_behalf_of: session.subject.principal, count }
      log.warn(about, `a session was ${brake}: its agent asked again and again for what the session is not for`)
    },
    stop() {
      watch.stop()
      repeats.flush()
    },
  }
}

function notPruned(error: unknown, { log, metrics }: Pick<OperationsParts, 'log' | 'metrics'>, repeats: Repeats): void {
  metrics?.pruningFailed(pruningFailureOf(error))
  repeats.say('retention', (count) =>
    log.warn({ count, err: describeCause(error) }, 'nothing is pruned of the audit log'),
  )
}

function kindOf(whose: KeyOwner): KeyOwnerKind {
  if ('issuer' in whose) return 'issuer'
  return 'client' in whose ? 'client' : 'trust_domain'
}
