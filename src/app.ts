/** The composition root: the only place that constructs the broker's parts and wires them by constructor arguments. */
import { serve } from '@hono/node-server'
import type { Hono } from 'hono'
import pino, { type Logger } from 'pino'
import { AuditLog } from './audit/audit-log.ts'
import { Auditor } from './audit/auditor.ts'
import { OutboxWatch } from './audit/outbox-watch.ts'
import { StrangerCounts } from './audit/stranger-counts.ts'
import type { Config } from './config/config.ts'
import { TokenPipeline } from './flows/pipeline.ts'
import type { FaultReport } from './http/error-response.ts'
import { createRouter } from './http/router.ts'
import { sourceReader } from './http/source-address.ts'
import { type Clock, epochSeconds, systemClock } from './kernel/clock.ts'
import { REQUEST_TIMEOUT_MS, SHUTDOWN_GRACE_MS, SHUTDOWN_POLL_MS, STRANGER_FLUSH_MS } from './kernel/limits.ts'
import { Rejection } from './kernel/rejection.ts'
import { ensureKeys, loadKeys } from './keys/key-files.ts'
import { KeyRing } from './keys/key-ring.ts'
import type { Registry } from './model/registry.ts'
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
  const cutoffs = new LiveCutoffs(clock)
  const feed = await store.control.follow(cutoffs)
  const sessions = new SessionRepository(store)
  const { auditor, flushAudit, stopAudit } = startAudit(store, clock, log)
  const fetchJson = createGuardedFetch({ allowLoopback: config.outbound.allowLoopback })
  const onFailure = (issuer: { readonly slug: string }, error: unknown) =>
    log.warn({ issuer: issuer.slug, err: describeCause(error) }, 'keys of an issuer could not be read')
  const issuerKeys = new IssuerKeys({ fetchJson, clock, onFailure })
  const common = { settings, registry, ring, store, sessions, cutoffs, auditor, clock }
  const sources = { registry, ring, keys: issuerKeys, issuer: settings.issuer }
  const app = createRouter({
    issuer: settings.issuer,
    registry,
    ring,
    clock,
    pipeline: new TokenPipeline({ ...common, evidence: sources, minter: new Minter(ring, settings) }),
    revocation: common,
    listing: common,
    callers: { ...sources, cutoffs, clock },
    sourceOf: sourceReader(config.trustedProxies),
    notReady: () => notReady({ store, cutoffs, ring, clock }),
    report: (fault) => reportFault(log, fault),
  })
  return {
    app,
    store,
    ring,
    cutoffs,
    flushAudit,
    reloadKeys: async () => ring.replace(await loadKeys(config.keys.directory, { development })),
    close: async () => {
      await stopAudit()
      await feed.stop()
      await store.close()
    },
  }
}

/** What writes the records, and the timer that writes what waits and watches how full the outbox is. */
function startAudit(store: Store, clock: Clock, log: pino.Logger) {
  const auditLog = new AuditLog(store.audit)
  const strangers = new StrangerCounts(store.audit, clock)
  const flushAudit = async () => {
    await auditLog.flush()
    await strangers.flush()
  }
  const outbox = new OutboxWatch(store.audit, (usage) =>
    log.warn({ ...usage }, 'the fullest audit outbox fills up: once full, it forgets its oldest records'),
  )
  const timer = setInterval(() => {
    void flushAudit()
    void outbox.look()
  }, STRANGER_FLUSH_MS)
  timer.unref()
  const stopAudit = async () => {
    clearInterval(timer)
    await flushAudit()
  }
  return { auditor: new Auditor(auditLog, strangers, clock), flushAudit, stopAudit }
}

/** Why no token would be issued just now; `undefined`: ready. */
async function notReady(
  parts: Pick<Broker, 'store' | 'cutoffs' | 'ring'> & { clock: Clock },
): Promise<string | undefined> {
  try {
    await parts.store.ping()
  } catch {
    return 'the store does not answer'
  }
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

export interface Listening {
  readonly port: number
  /** Stops accepting, lets requests in flight finish, then closes the broker. */
  stop(): Promise<void>
}

export function listen(broker: Broker, address: { readonly host: string; readonly port: number }): Promise<Listening> {
  return new Promise((resolve, reject) => {
    const server = serve({ fetch: broker.app.fetch, hostname: address.host, port: address.port }, (info) => {
      server.off('error', reject)
      resolve({ port: info.port, stop })
    })
    server.once('error', reject)
    if ('requestTimeout' in server) {
      server.requestTimeout = REQUEST_TIMEOUT_MS
      server.headersTimeout = REQUEST_TIMEOUT_MS
    }
    let stopping = false
    // Whoever keeps a connection and asks again while we stop is answered, and told that this was the last time.
    server.prependListener('request', (_request, response) => {
      if (stopping) response.setHeader('Connection', 'close')
    })
    const stop = async () => {
      stopping = true
      const closed = new Promise<void>((done) => server.close(() => done()))
      // Again and again: a connection whose last answer has just been sent would hold us up for its keep-alive time.
      const closeIdle = () => 'closeIdleConnections' in server && server.closeIdleConnections()
      closeIdle()
      const idle = setInterval(closeIdle, SHUTDOWN_POLL_MS)
      const grace = setTimeout(() => 'closeAllConnections' in server && server.closeAllConnections(), SHUTDOWN_GRACE_MS)
      await closed
      clearInterval(idle)
      clearTimeout(grace)
      await broker.close()
    }
  })
}
