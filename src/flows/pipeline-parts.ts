/** What the pipeline is made of: the stages, and the state they share between requests. */
import type { Auditor } from '../audit/auditor.ts'
import type { Capture } from '../audit/captured/capture.ts'
import type { Clock } from '../kernel/clock.ts'
import type { ExchangeObserver } from '../model/exchange.ts'
import type { Orphans } from '../model/owner.ts'
import type { RegistrySource } from '../model/published-registry.ts'
import type { BrokerSettings } from '../model/settings.ts'
import type { Shadow } from '../model/shadow.ts'
import type { ExternalPolicy } from '../net/external-policy.ts'
import type { DriftWatch } from '../sessions/drift-watch.ts'
import type { LiveCutoffs } from '../sessions/live-cutoffs.ts'
import type { SessionRepository } from '../sessions/session-repository.ts'
import type { UnknownCommits } from '../sessions/unknown-commits.ts'
import type { Store } from '../store/ports.ts'
import type { Minter } from '../tokens/minter.ts'
import type { EvidenceSources } from './evidence.ts'

export interface PipelineParts {
  readonly settings: BrokerSettings
  readonly registries: RegistrySource
  readonly evidence: Omit<EvidenceSources, 'registry'>
  readonly minter: Minter
  readonly store: Store
  readonly sessions: SessionRepository
  readonly unknown: UnknownCommits
  readonly cutoffs: LiveCutoffs
  readonly auditor: Auditor
  readonly capture: Pick<Capture, 'onto'>
  readonly clock: Clock
  readonly observer?: ExchangeObserver | undefined
  /** Asked before every decision; `undefined`: none is configured. */
  readonly external: Pick<ExternalPolicy, 'ask'> | undefined
  readonly shadow: Shadow
  readonly orphans: Orphans
  readonly drift: Pick<DriftWatch, 'refused'>
}
