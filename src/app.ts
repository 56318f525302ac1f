/** The composition root: the only place that constructs the broker's parts and wires them by constructor arguments. */
import pino, { type Logger } from 'pino'
import type { CallerParts } from './admin/callers.ts'
import { stillMay } from './admin/operator-caller.ts'
import { openPolicy } from './admin/publication/open-policy.ts'
import { publishOwnFiles } from './admin/publication/policy-requests.ts'
import { UsageLedger } from './admin/reviews/usage-ledger.ts'
import { Admission } from './admission/admission.ts'
import { askingOthers, type Operated } from './asking-others.ts'
import { type AuditParts, type AuditService, startAudit } from './audit/audit-service.ts'
import { type CaptureParts, openCapture } from './audit/captured/open-capture.ts'
import type { Broker, BrokerOptions, WorkerPlace } from './broker.ts'
import type { ApprovalParts } from './calls/approvals/approval-parts.ts'
import { OverdueCalls } from './calls/overdue-calls.ts'
import type { Config } from './config/config.ts'
import { programVersion } from './config/version.ts'
import { DpopNonces } from './credentials/proof/dpop-nonces.ts'
import { exporting } from './exporting.ts'
import { TokenPipeline } from './flows/pipeline.ts'
import { certificatesReader } from './http/client-certificate.ts'
import { createRouter } from './http/router.ts'
import { sourceReader } from './http/source-address.ts'
import { turnAway } from './http/turned-away.ts'
import { SeenSignatures } from './jose/seen-signatures.ts'
import { type Clock, systemClock, systemTicks } from './kernel/clock.ts'
import { operatorPrincipal } from './kernel/ids.ts'
import { SEEN_SIGNATURES_MAX } from './kernel/limits.ts'
import { type OpenKeys, openKeys } from './keys/open-keys.ts'
import { seals } from './model/captured.ts'
import type { ExchangeObserver } from './model/exchange.ts'
import type { RegistrySource } from './model/published-registry.ts'
import type { Registry } from './model/registry.ts'
import { traceNames } from './model/trace.ts'
import { createGuardedPost } from './net/guarded-fetch.ts'
import { type Operations, startOperations } from './operate/operations.ts'
import { RevocationFeed } from './revocation/feed.ts'
import { type DriftParts, DriftWatch } from './sessions/drift-watch.ts'
import { LiveCutoffs } from './sessions/live-cutoffs.ts'
import { SessionRepository } from './sessions/session-repository.ts'
import { UnknownCommits } from './sessions/unknown-commits.ts'
import type { StorePeers } from './store/embedded-store.ts'
import { meteredStore } from './store/metered-store.ts'
import { namedDocument } from './store/named-document.ts'
import { openStore } from './store/open-store.ts'
import type { OutboxUsage, Store } from './store/ports.ts'
import { Minter } from './tokens/minter.ts'
import { openWatching } from './watching.ts'

const COMMIT_FORGOTTEN = 'too many commits of unknown outcome wait: one stays as it is, its token was never handed out'
const ON_SIGHUP = operatorPrincipal('SIGHUP')
const AT_START = operatorPrincipal('start')
const UNCOUNTED = { begin: () => undefined, exchange: () => undefined }
const LOG_CONTINUED = 'the audit log goes on without records that were signed'
const OUTBOX_FILLS = 'the fullest audit outbox fills up: once full, nothing is issued that would be recorded in it'

/** Everything but the socket. @throws StoreUnavailable, KeyFileError */
export async function createBroker(config: Config, options: BrokerOptions): Promise<Broker> {
  const { documents, clock = systemClock, ticks = systemTicks, worker } = options
  const { settings, admins } = config
  const { log, store, metrics, telemetry } = await openState(config, clock, worker)
  const cutoffs = new LiveCutoffs(clock, (kid) => keeper.killed(kid))
  const parts = { ...settings, store, cutoffs, clock, log, documents, keeper: () => keeper }
  const { follower: registries, publisher, aside, begin } = openPolicy(parts)
  const { ring, keeper, shared, logKey, captured } = await openRing(config, registries.current, { store, clock, log })
  const feed = await RevocationFeed.open(store, { cutoffs, clock, ticks, observer: metrics })
  await shared?.sync()
  keeper.start()
  const audit = auditing(config, { store, clock, ticks, logKey, ...captured }, { log, metrics }, () => operations)
  await begin(filesAreTruth(config, worker) && ((files) => publishOwnFiles(files, AT_START, { ...audit, publisher })))
  const state = { store, sessions: new SessionRepository(store), cutoffs, clock, trail: audit.trail }
  const operations = startOperations({ store, cutoffs, ring, clock, audit, log, metrics, build: buildOf(registries) })
  const published = await askingOthers(config, registries.current, { clock, operations })
  const unknown = new UnknownCommits(store, state.sessions, () => log.warn(COMMIT_FORGOTTEN))
  const { usage, calls, drift } = startWatches({ ...state, settings, operations, log }, registries, audit, metrics)
  const common = { ...state, settings, drift, registries, ring, keeper, auditor: audit.auditor, ...aside, ...captured }
  const sourceOf = sourceReader(config.trustedProxies)
  const nonces = config.dpop.nonce === 'off' ? undefined : await DpopNonces.open(store.documents, clock)
  const sources = { ring, ...published, issuer: settings.issuer, seen: new SeenSignatures(SEEN_SIGNATURES_MAX), nonces }
  const issuing = { unknown, ...observing(metrics, usage), evidence: sources, ...minting(ring, settings, metrics) }
  const callers = { ...common, ...sources, ...settings, admins, claims: store.claims }
  const told = { tracing: telemetry?.tracing, accounted: metrics?.accounted }
  const entrance = { ...told, sourceOf, nonces, admission: new Admission(config.limits, ticks) }
  const app = createRouter({
    ...common,
    issuer: settings.issuer,
    pipeline: new TokenPipeline({ ...common, ...issuing, external: published.external }),
    revocation: { ...common, ...sources, feed },
    listing: { ...common, continuing: audit.continuing },
    callers,
    login: { ...callers, ...issuing },
    evaluation: { ...common, ...callsOf(store, metrics), external: published.external, approvals: approving(callers) },
    policy: { ...common, publisher, secondPerson: config.secondPerson, admins },
    certificatesOf: certificatesReader(config.certificateSource, config.trustedProxies),
    ...{ ...operations, ...entrance },
  })
  const ends = [await exporting(config, audit, { ...state, log, metrics, ticks }), keeper, unknown, audit, usage, feed]
  return {
    app,
    turnAway: turnAway({ ...entrance, issuer: settings.issuer, auditor: audit.auditor }),
    store,
    ring,
    cutoffs,
    flushAudit: audit.flush,
    flushUsage: () => usage.flush(),
    settleCommits: () => unknown.settle(),
    publisher,
    publishOwnFiles: (files) => publishOwnFiles(files, ON_SIGHUP, { ...audit, publisher }),
    reloadKeys: () => keeper.reload(),
    countUnread: (reason, peer) => audit.auditor.strangers.count(reason, sourceOf(peer, undefined)),
    readiness: operations.readiness,
    endStreams: () => feed.endStreams(),
    flushTraces: async () => telemetry?.flush(),
    metrics,
    close: () => stopAll([operations, calls, registries, ...Object.values(aside), ...ends, telemetry], store),
  }
}

const callsOf = ({ calls, windows }: Store, observer: Broker['metrics']) => ({ calls, windows, observer })

function buildOf(registries: RegistrySource) {
  return { version: programVersion(), policy: () => registries.current.version.slice(0, 12) }
}

/** An embedded store has one broker, and its files are its policy; a worker that replaces another takes what is published. */
function filesAreTruth({ store }: Config, worker: WorkerPlace | undefined): boolean {
  return store.kind === 'embedded' && worker?.isFirst !== false
}

function logOf(config: Config, worker: WorkerPlace | undefined): Logger {
  const base = { service: 'errand', ...(worker && { worker: worker.id }) }
  return pino({ level: config.log.level, base, mixin: traceNames })
}

type Told = { readonly log: Logger; readonly metrics: Broker['metrics'] }
/** @param operations there are none yet */
function auditing(
  config: Config,
  parts: Omit<AuditParts, 'retention'> & CaptureParts,
  { log, metrics }: Told,
  operations: () => Operations,
): AuditService {
  return startAudit(
    { ...parts, witnesses: witnessesOf(config), retention: retaining(config, parts) },
    {
      filling: (usage: OutboxUsage) => log.warn({ ...usage }, OUTBOX_FILLS),
      stranger: metrics?.stranger,
      recorded: metrics?.recorded,
      sequencing: (reason, error) => operations().sequencingFailed(reason, error),
      retention: (error) => operations().retentionFailed(error),
      witness: (name, error) => operations().witnessFailed(name, error),
      continued: ({ key: _key, ...continued }) => log.warn(continued, LOG_CONTINUED),
    },
  )
}

function retaining({ retention: settings }: Config, { dataKeys }: CaptureParts): AuditParts['retention'] {
  return { settings, forgetKeys: (beforeMs) => dataKeys.forgetBefore(beforeMs) }
}

function witnessesOf({ witnesses, outbound }: Config): AuditParts['witnesses'] {
  return witnesses.length === 0 ? undefined : { witnesses, post: createGuardedPost(outbound) }
}

function minting(ring: Broker['ring'], settings: Config['settings'], metrics: Broker['metrics']) {
  return { minter: new Minter(ring, settings, metrics?.signed) }
}

function observing(metrics: Broker['metrics'], usage: UsageLedger): { readonly observer: ExchangeObserver } {
  return { observer: { ...(metrics ?? UNCOUNTED), issued: usage.issued } }
}

function approving(callers: CallerParts & { readonly store: Store }): ApprovalParts {
  const { windows, indexes } = callers.store
  return { windows, indexes, stillApproves: (principal) => stillMay(principal, 'approve', callers) }
}

type Watched = Opened & Operated & Pick<Config, 'settings'> & Pick<DriftParts, 'sessions' | 'cutoffs'>
/** What is used, for reviews; calls whose end nobody has told; records on their way into the log; and asks outside an intent. All but the last on a timer. */
function startWatches(parts: Watched, registries: RegistrySource, audit: AuditService, observer: Broker['metrics']) {
  const { store, clock, settings, operations } = parts
  const usage = new UsageLedger(store.documents, registries, clock)
  const calls = new OverdueCalls({ ...parts, auditor: audit.auditor, calls: store.calls, observer })
  const drifting = { settings: settings.drift, recordOf: audit.recordOf, alarm: operations.sessionBraked }
  usage.start()
  calls.start()
  audit.sequencer.start()
  audit.retention.start()
  return { usage, calls, drift: new DriftWatch({ ...parts, ...drifting }) }
}

/** One after the other: what an earlier one still writes, a later one carries. */
async function stopAll(parts: readonly ({ stop(): void | Promise<void> } | undefined)[], store: Store): Promise<void> {
  for (const part of parts) await part?.stop()
  await store.close()
}

type Keyed = OpenKeys & { readonly captured: CaptureParts }
/** The store is closed again where there are no keys to work with. */
async function openRing(config: Config, registry: Registry, { store, clock, log }: Opened): Promise<Keyed> {
  const { keys, development, settings } = config
  const algs = [...registry.resources, ...registry.authorizationServers].map(({ signingAlg }) => signingAlg)
  // All who use an embedded store use one key directory.
  const document = config.store.kind === 'embedded' ? undefined : namedDocument(store.documents, RING_DOCUMENT)
  const logKeys = namedDocument(store.documents, 'audit-keys')
  const sealing = seals(settings.capture)
  const shared = { document, logKeys, issuer: settings.issuer, clock }
  const options = { directory: keys.directory, development, algs, sealing, ...shared }
  try {
    const opened = await openKeys(options, (problem) => log.error({ problem }, 'signing keys'))
    const captured = openCapture(settings.capture, opened.keks, { documents: store.documents, clock })
    return { ...opened, captured }
  } catch (fault) {
    await store.close()
    throw fault
  }
}

interface Opened {
  readonly store: Store
  readonly clock: Clock
  readonly log: Logger
}

const RING_DOCUMENT = 'ring'

/** The store, watched where metrics are read or traces sent. */
async function openState(config: Config, clock: Clock, worker: WorkerPlace | undefined) {
  const log = logOf(config, worker)
  const store = await openStore(storeOptions(config, clock, worker?.peers))
  const { storeCall, ...watching } = await openWatching(config, log, worker)
  return { log, store: storeCall === undefined ? store : meteredStore(store, storeCall), ...watching }
}

function storeOptions(config: Config, clock: Clock, peers: StorePeers | undefined) {
  const { store, org } = config
  return store.kind === 'embedded'
    ? ({ kind: 'embedded', directory: store.directory, org, clock, ...(peers && { peers }) } as const)
    : ({ ...store, org } as const)
}
