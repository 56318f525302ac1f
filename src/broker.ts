/** What a broker is to whoever starts one. */
import type { Hono } from 'hono'
import type { Publication, RegistryPublisher } from './admin/publication/publish.ts'
import type { TurnAway } from './http/turned-away.ts'
import type { Clock, Ticks } from './kernel/clock.ts'
import type { RejectionReason } from './kernel/rejection.ts'
import type { KeyRing } from './keys/key-ring.ts'
import type { BrokerMetrics } from './operate/metrics.ts'
import type { Readiness } from './operate/readiness.ts'
import type { RegistryDocument } from './registry/load-registry.ts'
import type { PolicyFile } from './registry/publication/policy-documents.ts'
import type { LiveCutoffs } from './sessions/live-cutoffs.ts'
import type { StorePeers } from './store/embedded-store.ts'
import type { Store } from './store/ports.ts'

export interface BrokerOptions {
  /** Of its own policy files: published where nothing is; with an embedded store, wherever they have changed. */
  readonly documents: readonly RegistryDocument[]
  readonly clock?: Clock
  /** What limits are counted by. */
  readonly ticks?: Ticks
  /** Set where this process is one of several that share a socket. */
  readonly worker?: WorkerPlace
}

export interface WorkerPlace {
  /** From 1; one that is replaced hands it on. */
  readonly id: number
  /** How many there are: what is counted in memory is counted in each of them. */
  readonly count: number
  /** Whether the broker as a whole starts, and this is not one that takes the place of another. */
  readonly isFirst: boolean
  readonly peers: StorePeers
}

export interface Broker {
  /** In-process requests, for tests: `app.request('/token', …)`. */
  readonly app: Hono
  /** What a request is shown to before `app`. */
  readonly turnAway: TurnAway
  readonly store: Store
  readonly ring: KeyRing
  readonly cutoffs: LiveCutoffs
  readonly publisher: RegistryPublisher
  /** In place of those published, as on SIGHUP; recorded. @throws Rejection `policy_*`; StoreUnavailable */
  publishOwnFiles(files: readonly PolicyFile[]): Promise<Publication>
  readonly readiness: Readiness
  /** `undefined` where the configuration names no place to read them. */
  readonly metrics: BrokerMetrics | undefined
  /** Re-reads the key directory: after `errand keys rotate`, or on SIGHUP. */
  reloadKeys(): Promise<void>
  /** Counts of strangers' refusals and deferred records, written now instead of on the timer. */
  flushAudit(): Promise<void>
  /** What was used since the last time, for reviews. */
  flushUsage(): Promise<void>
  /** Counts bytes that became no request, by the address they came from. */
  countUnread(reason: RejectionReason, peer: string): void
  /** Commits of unknown outcome, undone now instead of as soon as the store answers. */
  settleCommits(): Promise<void>
  /** Ends what would never end by itself: those who follow the revocations turn to another broker. */
  endStreams(): void
  /** Ends the feed, flushes what is counted, closes the store. */
  /** Spans that wait for the collector, sent now instead of on the timer. */
  flushTraces(): Promise<void>
  close(): Promise<void>
}
