/** The composition root: the only place that constructs the broker's parts and wires them by constructor arguments. */
import type { Hono } from 'hono'
import pino, { type Logger } from 'pino'
import { startAudit } from './audit/audit-service.ts'
import type { Config } from './config/config.ts'
import { TokenPipeline } from './flows/pipeline.ts'
import type { FaultReport } from './http/error-response.ts'
import { createRouter } from './http/router.ts'
import { sourceReader } from './http/source-address.ts'
import { SeenSignatures } from './jose/seen-signatures.ts'
import { type Clock, epochSeconds, systemClock } from './kernel/clock.ts'
import { SEEN_SIGNATURES_MAX } from './kernel/limits.ts'
import { Rejection, type RejectionReason } from './kernel/rejection.ts'
import { ensureKeys } from './keys/key-files.ts'
import { KeyKeeper } from './keys/key-keeper.ts'
import { KeyRing } from './keys/key-ring.ts'
import type { Registry } from './model/registry.ts'
import { ClientKeys } from './net/client-keys.ts'
import { createGuardedFetch } from './net/guarded-fetch.ts'
import { IssuerKeys } from './net/issuer-keys.ts'
import { LiveCutoffs } from './sessions/live-cutoffs.ts'
import { SessionRepository } from './sessions/session-repository.ts'
import { openStore } from './store/open-store.ts'
import type { Store } from './store/ports.ts'
import { Minter } from './tokens/minter.ts'

export interface BrokerOptions {
  readonly registry: Registry
  readonly clock?: Clock
}

export interface Broker {
  /** In-process requests, for tests: `app.request('/token', …)`. */
  readonly app: Hono
  readonly store: Store
  readonly ring: KeyRing
  readonly cutoffs: LiveCutoffs
  /** Re-reads the key directory: after `errand keys rotate`, or on SIGHUP. */
  reloadKeys(): Promise<void>
  /** Counts of strangers' refusals and deferred records, written now instead of on the timer. */
  flushAudit(): Promise<void>
  /** Counts bytes that became no request, by the address they came from. */
  countUnread(reason: RejectionReason, peer: string): void
  /** Ends the feed, flushes what is counted, closes the store. */
  close(): Promise<void>
}

/** Everything but the socket. @throws StoreUnavailable, KeyFileError */
export async function createBroker(config: Config, options: BrokerOptions): Promise<Broker> {
  const { registry, clock = systemClock } = options
  const { settings, development } = config
  const log = pino({ level: config.log.level, base: { service: 'errand' } })
  const algs = ['ES256', 'RS256', ...registry.resources.map((resource) => resource.signingAlg)] as const
  const keys = await ensureKeys(config.keys.directory, {
    development,
    now: epochSeconds(clock),
    algs: [...new Set(algs)],
  })
  const ring = new KeyRing(keys)
  const store = await openStore(storeOptions(config, clock))
  const keeper = new KeyKeeper({ directory: config.keys.directory, development, ring, clock }, (problem) =>
    log.error({ problem }, 'signing keys'),
  )
  const cutoffs = new LiveCutoffs(clock, (kid) => keeper.killed(kid))
  const feed = await store.control.follow(cutoffs)
  keeper.start()
  const sessions = new SessionRepository(store)
  const audit = startAudit(store.audit, clock, (usage) =>
    log.warn({ ...usage }, 'the fullest audit outbox fills up: once full, it forgets its oldest records'),
  )
  const published = publishedKeys(config, clock, log)
  const common = { settings, registry, ring, keeper, store, sessions, cutoffs, auditor: audit.auditor, clock }
  const sourceOf = sourceReader(config.trustedProxies)
  const seen = new SeenSignatures(SEEN_SIGNATURES_MAX)
  const sources = { registry, ring, ...published, issuer: settings.issuer, seen }
  const app = createRouter({
    issuer: settings.issuer,
    registry,
    ring,
    clock,
    pipeline: new TokenPipeline({ ...common, evidence: sources, minter: new Minter(ring, settings) }),
    revocation: { ...common, clientKeys: published.clientKeys },
    listing: common,
    callers: { ...sources, cutoffs, clock },
    sourceOf,
    notReady: () => notReady({ store, cutoffs, ring, clock }),
    report: (fault) => reportFault(log, fault),
  })
  return {
    app,
    store,
    ring,
    cutoffs,
    flushAudit: audit.flush,
    reloadKeys: () => keeper.reload(),
    countUnread: (reason, peer) => audit.auditor.strangers.count(reason, sourceOf(peer, undefined)),
    close: async () => {
      await keeper.stop()
      await audit.stop()
      await feed.stop()
      await store.close()
    },
  }
}

/** Verification keys of others: of issuers, and of clients that publish theirs. */
function publishedKeys({ outbound }: Config, clock: Clock, log: Logger) {
  const network = { fetchJson: createGuardedFetch({ allowLoopback: outbound.allowLoopback }), clock }
  const keys = new IssuerKeys({
    ...network,
    onFailure: ({ slug }, error) =>
      log.warn({ issuer: slug, err: describeCause(error) }, 'keys of an issuer could not be read'),
  })
  const clientKeys = new ClientKeys({
    ...network,
    onFailure: ({ clientId }, error) =>
      log.warn({ client: clientId, err: describeCause(error) }, 'keys of a client could not be read'),
  })
  return { keys, clientKeys }
}

/** Why no token would be issued just now; `undefined`: ready. Asks nobody: a store that hangs must not hold this up. */
function notReady(parts: Pick<Broker, 'store' | 'cutoffs' | 'ring'> & { clock: Clock }): string | undefined {
  if (!parts.store.takesWrites) return 'the store does not answer, or takes no writes'
  if (!parts.cutoffs.fresh) return 'revocations are not confirmed, or the clock differs from the store’s'
  return parts.ring.ready(epochSeconds(parts.clock)) ? undefined : 'a signing key is missing'
}

/** An outage is a line for each refusal, by its reason; a fault of ours brings its stack, because somebody has to find it. */
function reportFault(log: Logger, fault: FaultReport): void {
  const { faultId, decisionId, cause } = fault
  if (cause instanceof Rejection) log.warn({ reason: cause.reason, decision: decisionId }, cause.message)
  else log.error({ fault: faultId, decision: decisionId, err: describeCause(cause) }, 'the broker failed')
}

/** Messages and stacks only: whatever else an error carries may hold what it was about. */
function describeCause(cause: unknown): { message: string; stack?: string | undefined; cause?: unknown } {
  if (!(cause instanceof Error)) return { message: 'not an Error' }
  return {
    message: cause.message,
    stack: cause.stack,
    ...(cause.cause === undefined ? {} : { cause: describeCause(cause.cause) }),
  }
}

function storeOptions(config: Config, clock: Clock) {
  const { store, org } = config
  return store.kind === 'embedded'
    ? ({ kind: 'embedded', directory: store.directory, org, clock } as const)
    : ({ kind: 'redis', url: store.url, org, clock } as const)
}
