/** The composition root: the only place that constructs the broker's parts and wires them by constructor arguments. */
import { basename, dirname } from 'node:path'
import pino, { type Logger } from 'pino'
import type { CallerParts } from './admin/callers.ts'
import { stillMay } from './admin/operator-caller.ts'
import { openPolicy } from './admin/publication/open-policy.ts'
import { publishOwnFiles } from './admin/publication/policy-requests.ts'
import { UsageLedger } from './admin/reviews/usage-ledger.ts'
import { Admission } from './admission/admission.ts'
import { type AuditService, startAudit } from './audit/audit-service.ts'
import type { Broker, BrokerOptions, WorkerPlace } from './broker.ts'
import type { ApprovalParts } from './calls/approvals/approval-parts.ts'
import { OverdueCalls } from './calls/overdue-calls.ts'
import type { Config } from './config/config.ts'
import { programVersion } from './config/version.ts'
import { DpopNonces } from './credentials/proof/dpop-nonces.ts'
import { TokenPipeline } from './flows/pipeline.ts'
import { certificatesReader } from './http/client-certificate.ts'
import { createRouter } from './http/router.ts'
import { sourceReader } from './http/source-address.ts'
import { SeenSignatures } from './jose/seen-signatures.ts'
import { type Clock, systemClock, systemTicks } from './kernel/clock.ts'
import { operatorPrincipal } from './kernel/ids.ts'
import { SEEN_SIGNATURES_MAX, X509_ISSUANCES_MAX } from './kernel/limits.ts'
import { Secret } from './kernel/secret.ts'
import { type OpenKeys, openKeys } from './keys/open-keys.ts'
import { readPrivate } from './keys/private-files.ts'
import type { RingDocument } from './keys/shared-ring.ts'
import type { ExchangeObserver } from './model/exchange.ts'
import type { RegistrySource } from './model/published-registry.ts'
import type { Registry } from './model/registry.ts'
import { ClientKeys } from './net/client-keys.ts'
import { ExternalPolicy } from './net/external-policy.ts'
import { createGuardedFetch } from './net/guarded-fetch.ts'
import { Introspections } from './net/introspections.ts'
import { IssuerKeys } from './net/issuer-keys.ts'
import { TokenReviews } from './net/token-reviews.ts'
import { TrustBundles } from './net/trust-bundles.ts'
import { type Operations, startOperations } from './operate/operations.ts'
import { RevocationFeed } from './revocation/feed.ts'
import { type DriftParts, DriftWatch } from './sessions/drift-watch.ts'
import { LiveCutoffs } from './sessions/live-cutoffs.ts'
import { SessionRepository } from './sessions/session-repository.ts'
import { UnknownCommits } from './sessions/unknown-commits.ts'
import type { StorePeers } from './store/embedded-store.ts'
import { meteredStore } from './store/metered-store.ts'
import { openStore } from './store/open-store.ts'
import type { DocumentStore, OutboxUsage, Store } from './store/ports.ts'
import { Minter } from './tokens/minter.ts'
import { Issuances } from './x509/issuances.ts'

const COMMIT_FORGOTTEN = 'too many commits of unknown outcome wait: one stays as it is, its token was never handed out'
const ON_SIGHUP = operatorPrincipal('SIGHUP')
const AT_START = operatorPrincipal('start')
const UNCOUNTED = { begin: () => undefined, exchange: () => undefined }
const OUTBOX_FILLS = 'the fullest audit outbox fills up: once full, it forgets its oldest records'

/** Everything but the socket. @throws StoreUnavailable, KeyFileError */
export async function createBroker(config: Config, options: BrokerOptions): Promise<Broker> {
  const { documents, clock = systemClock, ticks = systemTicks, worker } = options
  const { settings, admins } = config
  const log = logOf(config, worker)
  const { store, metrics } = await openState(config, clock, worker?.peers)
  const cutoffs = new LiveCutoffs(clock, (kid) => keeper.killed(kid))
  const parts = { ...settings, store, cutoffs, clock, log, documents, keeper: () => keeper }
  const { follower: registries, publisher, aside, begin } = openPolicy(parts)
  const { ring, keeper, shared } = await openRing(config, registries.current, { store, clock, log })
  const feed = await RevocationFeed.open(store, { cutoffs, clock, ticks, observer: metrics })
  await shared?.sync()
  keeper.start()
  const audit = startAudit(store.audit, clock, { filling: fillingTo(log), stranger: metrics?.stranger })
  await begin(filesAreTruth(config, worker) && ((files) => publishOwnFiles(files, AT_START, { ...audit, publisher })))
  const state = { store, sessions: new SessionRepository(store), cutoffs, clock }
  const operations = startOperations({ store, cutoffs, ring, clock, audit, log, metrics, build: buildOf(registries) })
  const published = await askingOthers(config, registries.current, { clock, operations })
  const unknown = new UnknownCommits(store, state.sessions, () => log.warn(COMMIT_FORGOTTEN))
  const { usage, calls, drift } = startWatches({ ...state, settings, operations, log }, registries, audit, metrics)
  const common = { ...state, settings, drift, registries, ring, keeper, auditor: audit.auditor, ...aside }
  const sourceOf = sourceReader(config.trustedProxies)
  const nonces = config.dpop.nonce === 'off' ? undefined : await DpopNonces.open(store.documents, clock)
  const sources = { ring, ...published, issuer: settings.issuer, seen: new SeenSignatures(SEEN_SIGNATURES_MAX), nonces }
  const issuing = { unknown, ...observing(metrics, usage), evidence: sources, minter: new Minter(ring, settings) }
  const callers = { ...common, ...sources, ...settings, admins, claims: store.claims }
  const app = createRouter({
    ...common,
    issuer: settings.issuer,
    pipeline: new TokenPipeline({ ...common, ...issuing, external: published.external }),
    revocation: { ...common, ...sources, feed },
    listing: common,
    callers,
    login: { ...callers, ...issuing },
    evaluation: { ...common, ...callsOf(store, metrics), external: published.external, approvals: approving(callers) },
    policy: { ...common, publisher, secondPerson: config.secondPerson, admins },
    nonces,
    admission: new Admission(config.limits, ticks),
    sourceOf,
    certificatesOf: certificatesReader(config.certificateSource, config.trustedProxies),
    ...operations,
  })
  return {
    app,
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
    metrics,
    close: () =>
      stopAll([operations, calls, registries, ...Object.values(aside), keeper, unknown, audit, usage, feed], store),
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
  return pino({ level: config.log.level, base: { service: 'errand', ...(worker && { worker: worker.id }) } })
}

const fillingTo = (log: Logger) => (usage: OutboxUsage) => log.warn({ ...usage }, OUTBOX_FILLS)

function observing(metrics: Broker['metrics'], usage: UsageLedger): { readonly observer: ExchangeObserver } {
  return { observer: { ...(metrics ?? UNCOUNTED), issued: usage.issued } }
}

function approving(callers: CallerParts & { readonly store: Store }): ApprovalParts {
  const { windows, indexes } = callers.store
  return { windows, indexes, stillApproves: (principal) => stillMay(principal, 'approve', callers) }
}

type Watched = Opened & Operated & Pick<Config, 'settings'> & Pick<DriftParts, 'sessions' | 'cutoffs'>
/** What is used, for reviews; calls whose end nobody has told; and asks outside an intent. The first two write on a timer. */
function startWatches(parts: Watched, registries: RegistrySource, audit: AuditService, observer: Broker['metrics']) {
  const { store, clock, settings, operations } = parts
  const usage = new UsageLedger(store.documents, registries, clock)
  const calls = new OverdueCalls({ ...parts, auditor: audit.auditor, calls: store.calls, observer })
  const drifting = { settings: settings.drift, recordOf: audit.recordOf, alarm: operations.sessionBraked }
  usage.start()
  calls.start()
  return { usage, calls, drift: new DriftWatch({ ...parts, ...drifting }) }
}

/** One after the other: what an earlier one still writes, a later one carries. */
async function stopAll(parts: readonly { stop(): void | Promise<void> }[], store: Store): Promise<void> {
  for (const part of parts) await part.stop()
  await store.close()
}

/** What others are asked: for verification keys, about tokens, and what they would allow. */
async function askingOthers(config: Config, { trustDomains }: Registry, { clock, operations }: Operated) {
  const { outbound, externalPdp } = config
  const network = { fetchJson: createGuardedFetch(outbound), clock }
  const keys = new IssuerKeys({
    ...network,
    onFailure: ({ slug }, error) => operations.keysUnread({ issuer: slug }, error),
  })
  const clientKeys = new ClientKeys({
    ...network,
    onFailure: ({ clientId }, error) => operations.keysUnread({ client: clientId }, error),
  })
  const bundles = new TrustBundles({
    ...network,
    onFailure: ({ name }, error) => operations.keysUnread({ trust_domain: name }, error),
  })
  const introspections = new Introspections({
    ...network,
    discovery: keys.discovery,
    readPrivateFile: readCredential,
    onFailure: ({ slug }, error) => operations.introspectionFailed({ issuer: slug }, error),
  })
  const reviews = new TokenReviews({
    ...network,
    onFailure: ({ url }, error) => operations.reviewFailed(url, error),
  })
  const external =
    externalPdp && new ExternalPolicy(externalPdp, { ...network, onFailure: operations.externalPolicyFailed })
  const issuances = new Issuances(X509_ISSUANCES_MAX)
  if (trustDomains.length > 0) await issuances.prepare()
  return { keys, clientKeys, bundles, reviews, introspections, external, issuances }
}

type Operated = { readonly clock: Clock; readonly operations: Operations }

async function readCredential(path: string): Promise<Secret> {
  const text = await readPrivate(dirname(path), basename(path))
  if (text === undefined) throw new Error('the file of the introspection credential is not there')
  return new Secret(text)
}

/** The store is closed again where there are no keys to work with. */
async function openRing(config: Config, registry: Registry, { store, clock, log }: Opened): Promise<OpenKeys> {
  const { keys, development, settings } = config
  const algs = [...registry.resources, ...registry.authorizationServers].map(({ signingAlg }) => signingAlg)
  // All who use an embedded store use one key directory.
  const document = config.store.kind === 'embedded' ? undefined : sharedDocument(store.documents, RING_DOCUMENT)
  const options = { directory: keys.directory, development, algs, issuer: settings.issuer, clock, document }
  try {
    return await openKeys(options, (problem) => log.error({ problem }, 'signing keys'))
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

function sharedDocument(documents: DocumentStore, name: string): RingDocument {
  return {
    read: () => documents.read(name),
    replace: (expected, text) => documents.replace(name, expected, text),
  }
}

/** The store, watched where metrics are read. */
async function openState(config: Config, clock: Clock, peers: StorePeers | undefined) {
  const store = await openStore(storeOptions(config, clock, peers))
  if (config.metrics === undefined) return { store, metrics: undefined }
  const { BrokerMetrics } = await import('./operate/metrics.ts')
  const metrics = new BrokerMetrics()
  return { store: meteredStore(store, metrics.storeCall), metrics }
}

function storeOptions(config: Config, clock: Clock, peers: StorePeers | undefined) {
  const { store, org } = config
  return store.kind === 'embedded'
    ? ({ kind: 'embedded', directory: store.directory, org, clock, ...(peers && { peers }) } as const)
    : ({ ...store, org } as const)
}
