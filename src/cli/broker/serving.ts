/** A broker with its sockets: wired, listening, and stopped in the right order. */
import type { Logger } from 'pino'
import { filesOf } from '../../admin/publication/open-policy.ts'
import type { Broker, WorkerPlace } from '../../broker.ts'
import type { Config } from '../../config/config.ts'
import { openFilesMax } from '../../config/environment.ts'
import { readAdminsNow, rereadRegistryFiles } from '../../config/load-config.ts'
import type { Listening } from '../../http/listener.ts'
import type { MetricsListening } from '../../http/metrics-listener.ts'
import { systemClock } from '../../kernel/clock.ts'
import { codeOf, messageOf } from '../../kernel/fault.ts'
import { Rejection } from '../../kernel/rejection.ts'
import type { AdminEntry } from '../../model/admin-role.ts'
import {
  CertificateProblem,
  type CertificateWatch,
  readCertificate,
  type ServedCertificate,
  watchCertificate,
} from '../../operate/certificate.ts'
import type { RegistryDocument } from '../../registry/load-registry.ts'
import { StoreUnavailable } from '../../store/ports.ts'
import { CommandFailure } from '../failures.ts'

export interface Serving {
  readonly port: number
  /** Reads admins, keys, policy and certificate again. Whichever cannot be read stays as it was, and is logged. */
  reload(): Promise<void>
  /** Stops accepting, lets requests in flight finish, closes the store. */
  stop(): Promise<void>
}

export interface ServedFiles {
  /** Of the policy. */
  readonly documents: readonly RegistryDocument[]
  /** Path of the configuration. */
  readonly configFile: string
}

/** @throws CommandFailure, ConfigurationError */
export async function startServing(
  config: Config,
  { documents, configFile }: ServedFiles,
  log: Logger,
  worker?: WorkerPlace,
): Promise<Serving> {
  // Loaded here: no other command needs the server, and each would wait for it.
  const [{ createBroker }, { boundsWithin, listen }] = await Promise.all([
    import('../../app.ts'),
    import('../../http/listener.ts'),
  ])
  const certificate = await certificateOf(config)
  // Asked of at every request, and replaced as a whole when they are read again.
  const admins = [...config.admins]
  // In the place of another: what its parent has read is not what the others have read again since.
  if (worker?.isFirst === false && !reloadAdmins(admins, configFile, log)) admins.length = 0
  let broker: Broker
  try {
    broker = await createBroker({ ...config, admins }, { documents, ...(worker && { worker }) })
  } catch (fault) {
    if (fault instanceof StoreUnavailable) throw new CommandFailure(`the store cannot be used: ${fault.message}`, fault)
    if (fault instanceof Rejection)
      throw new CommandFailure([`the policy files: ${fault.message}`, ...fault.missing].join('\n'), fault)
    throw fault
  }
  let listening: Listening
  let metrics: MetricsListening | undefined
  try {
    const { host, port } = config.listen
    metrics = await startMetrics(broker, config, worker)
    const tls =
      certificate === undefined ? {} : { tls: { ...certificate, asksForCertificates: asksForCertificates(config) } }
    const address = { host, port, ...tls }
    listening = await bound(() => listen(broker, address, boundsWithin(openFilesMax())), config.listen)
  } catch (fault) {
    await metrics?.stop()
    await broker.close()
    throw fault
  }
  const watch =
    certificate === undefined ? undefined : followCertificate({ config, certificate, broker, listening, log })
  return {
    port: listening.port,
    reload: async () => {
      reloadAdmins(admins, configFile, log)
      await Promise.all([reloadKeys(broker, log), reloadPolicy(broker, config, log), watch?.reload()])
    },
    stop: async () => {
      watch?.stop()
      await listening.stop()
      await metrics?.stop()
    },
  }
}

function asksForCertificates({ certificateSource }: Config): boolean {
  return certificateSource === 'tls'
}

async function certificateOf({ listen }: Config): Promise<ServedCertificate | undefined> {
  if (listen.tls === undefined) return undefined
  try {
    return await readCertificate(listen.tls, systemClock)
  } catch (fault) {
    if (fault instanceof CertificateProblem) throw new CommandFailure(`listen.tls: ${fault.message}`, fault)
    throw fault
  }
}

interface Followed {
  readonly config: Config
  readonly certificate: ServedCertificate
  readonly broker: Broker
  readonly listening: Listening
  readonly log: Logger
}

function followCertificate({ config, certificate, broker, listening, log }: Followed): CertificateWatch | undefined {
  if (config.listen.tls === undefined) return undefined
  const day = (epoch: number) => new Date(epoch * 1000).toISOString()
  broker.readiness.certificateEndsAt = certificate.endsAt
  return watchCertificate(config.listen.tls, certificate, {
    clock: systemClock,
    listener: {
      changed(next) {
        listening.replaceCertificate({ ...next, asksForCertificates: asksForCertificates(config) })
        broker.readiness.certificateEndsAt = next.endsAt
        log.info({ ends: day(next.endsAt) }, 'certificate read again')
      },
      refused: (problem) => log.error({ problem }, 'the new certificate cannot be used; the old one stays'),
      ending: (endsAt) => log.warn({ ends: day(endsAt) }, 'the certificate ends soon: renew it'),
    },
  })
}

/** Each worker counts for itself, and is read at a port of its own: the one configured, and those after it. */
async function startMetrics(
  broker: Broker,
  { metrics: configured }: Config,
  worker: WorkerPlace | undefined,
): Promise<MetricsListening | undefined> {
  const { metrics } = broker
  if (configured === undefined || metrics === undefined) return undefined
  const { port } = configured
  const address = { ...configured, port: port === 0 ? 0 : port + (worker === undefined ? 0 : worker.id - 1) }
  const { listenForMetrics } = await import('../../http/metrics-listener.ts')
  return bound(() => listenForMetrics(address, metrics), address)
}

/** @throws CommandFailure that says what to do about an address that cannot be had */
async function bound<T>(
  start: () => Promise<T>,
  address: { readonly host: string; readonly port: number },
): Promise<T> {
  try {
    return await start()
  } catch (fault) {
    const { host, port } = address
    const why =
      codeOf(fault) === 'EADDRINUSE'
        ? 'is in use: choose another with --port'
        : `cannot be listened on (${codeOf(fault)})`
    throw new CommandFailure(`port ${port} of ${host} ${why}`, fault)
  }
}

/** With several processes on one store each publishes the same, and one of them is first. */
async function reloadPolicy(broker: Broker, config: Config, log: Logger): Promise<void> {
  try {
    const files = filesOf(await rereadRegistryFiles(config))
    const { version, before, seq, difference } = await broker.publishOwnFiles(files)
    const { taken } = difference
    if (seq !== undefined)
      log.info({ policy: version, before, cut_off: taken.length }, 'the policy files are published')
  } catch (fault) {
    const problems = fault instanceof Rejection ? fault.missing : []
    log.error({ problem: messageOf(fault), problems }, 'policy files not published; the published policy stays')
  }
}

/** Whoever is taken out may nothing more from their next request on. */
function reloadAdmins(admins: AdminEntry[], configFile: string, log: Logger): boolean {
  try {
    admins.splice(0, admins.length, ...readAdminsNow(configFile))
    log.info({ admins: admins.length }, 'admins read again')
    return true
  } catch (fault) {
    log.error({ problem: messageOf(fault) }, 'admins not read')
    return false
  }
}

async function reloadKeys(broker: Broker, log: Logger): Promise<void> {
  try {
    await broker.reloadKeys()
    log.info('keys read again')
  } catch (fault) {
    log.error({ problem: messageOf(fault) }, 'keys not read; the old ones stay')
  }
}
