/** The configuration, from its file: read, decoded strictly, made absolute, frozen. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'
import type { Rate } from '../admission/cells.ts'
import { codeOf } from '../kernel/fault.ts'
import { Secret } from '../kernel/secret.ts'
import type { AdminEntry } from '../model/admin-role.ts'
import type { Registry } from '../model/registry.ts'
import { DEVELOPMENT_ENVIRONMENT } from '../model/settings.ts'
import { decodeRegistryDocuments, type RegistryDocument } from '../registry/load-registry.ts'
import { readDocument } from '../registry/reading/reading-thread.ts'
import { ConfigurationError, decodeStrictly, parseYamlText } from '../registry/strict-document.ts'
import { recordSettingsOf, retentionOf, sinksOf } from './audit-schema.ts'
import type { Config, MetricsConfig } from './config.ts'
import { configInEnvironment } from './environment.ts'
import { externalPdpOf, telemetryOf } from './others-config.ts'
import { type ConfigDocument, configDocument } from './schema.ts'
import { staticKeySettings } from './static-keys.ts'
import { type NamedFiles, storeOf } from './store-config.ts'

/** By absolute path: what this process has read, or what its parent had read when it was started. */
const texts = new Map<string, string>()
let isTold = false

/** For workers: whoever is started later must not believe in another configuration than its siblings. */
export function filesRead(): ReadonlyMap<string, string> {
  return texts
}

/** From now on these are the files, whatever is on the disk. */
export function readAsParent(files: readonly (readonly [string, string])[]): void {
  isTold = true
  for (const [path, text] of files) texts.set(path, text)
}

/** The path given, else `ERRAND_CONFIG`, else `./errand.yaml`. */
export function configPath(given: string | undefined): string {
  return given ?? configInEnvironment() ?? './errand.yaml'
}

/** @throws ConfigurationError naming every problem */
export function loadConfig(path: string): Config {
  const absolute = resolve(path)
  if (!isTold && !existsSync(absolute)) {
    const how = 'name one with --config, or write one with errand init'
    throw new ConfigurationError([`no configuration at ${absolute}: ${how}`])
  }
  return decodeConfig(parseYamlText(readText(absolute), basename(absolute)), basename(absolute), dirname(absolute))
}

/**
 * @param directory what relative paths are relative to
 * @throws ConfigurationError naming every problem
 */
export function decodeConfig(document: unknown, sourceName: string, directory: string): Config {
  const keys = staticKeySettings(document)
  if (keys.length > 0) throw new ConfigurationError(keys.map((line) => `${sourceName}: ${line}`))
  const problems: string[] = []
  const decoded = decodeStrictly(configDocument, document, sourceName, problems)
  if (decoded === undefined) throw new ConfigurationError(problems)
  const config = configOf(decoded, (path) => resolve(directory, path), problems)
  if (problems.length > 0) throw new ConfigurationError(problems.map((problem) => `${sourceName}: ${problem}`))
  return config
}

/** Who may sign in as what, by the file as it is now: all of it has to be right. @throws ConfigurationError naming every problem */
export function readAdminsNow(path: string): readonly AdminEntry[] {
  texts.delete(resolve(path))
  return loadConfig(path).admins
}

/** The registry that `config.registryPaths` describe. @throws ConfigurationError naming every problem */
export function loadRegistryFiles(config: Config): Registry {
  const { issuer, accessTokenSeconds } = config.settings
  return decodeRegistryDocuments(readRegistryFiles(config), { issuer, accessTokenSeconds })
}

/**
 * The documents of `config.registryPaths`, parsed and not yet trusted.
 * @throws ConfigurationError naming every problem
 */
export function readRegistryFiles(config: Config): readonly RegistryDocument[] {
  const documents: RegistryDocument[] = []
  const problems: string[] = []
  for (const path of config.registryPaths) {
    try {
      const document = parseYamlText(readText(path), basename(path))
      documents.push({ document, sourceName: basename(path), directory: dirname(path) })
    } catch (fault) {
      if (!(fault instanceof ConfigurationError)) throw fault
      problems.push(...fault.problems)
    }
  }
  if (problems.length > 0) throw new ConfigurationError(problems)
  return documents
}

/** As `readRegistryFiles`, as they are now, by a broker that answers requests meanwhile. @throws ConfigurationError */
export async function rereadRegistryFiles(config: Config): Promise<readonly RegistryDocument[]> {
  const documents: RegistryDocument[] = []
  const problems: string[] = []
  for (const path of config.registryPaths) {
    texts.delete(path)
    try {
      const document = await readDocument((take) => take(Buffer.from(readText(path))), 'yaml', basename(path))
      documents.push({ document, sourceName: basename(path), directory: dirname(path) })
    } catch (fault) {
      if (!(fault instanceof ConfigurationError)) throw fault
      problems.push(...fault.problems)
    }
  }
  if (problems.length > 0) throw new ConfigurationError(problems)
  return documents
}

function configOf(document: ConfigDocument, absolute: (path: string) => string, problems: string[]): Config {
  const { tokens, environment } = document
  const registry = typeof document.registry === 'string' ? [document.registry] : document.registry
  return Object.freeze({
    settings: Object.freeze({
      issuer: document.issuer,
      environment,
      accessTokenSeconds: tokens.access_token_seconds,
      sessionSeconds: tokens.session_seconds,
      delegationAcceptSeconds: tokens.delegation_accept_seconds,
      strictlyNarrower: tokens.strictly_narrower,
      maxChainDepth: tokens.max_chain_depth,
      clientSecretBasic: document.client_authentication.client_secret_basic,
      apiKeys: document.client_authentication.api_keys,
      suspendOverdue: document.reviews.suspend_overdue,
      orphanGraceSeconds: document.reviews.orphan_grace_days * 86_400,
      callOutcomeSeconds: document.calls.outcome_within_seconds,
      approvalSeconds: document.approvals.valid_seconds,
      approvalPendingSeconds: document.approvals.pending_seconds,
      drift: Object.freeze({
        contractAfter: document.drift.contract_after,
        haltAfter: document.drift.halt_after,
        windowSeconds: document.drift.window_seconds,
      }),
      ...recordSettingsOf(document.audit),
      ...mutualTlsOf(document.client_certificates),
    }),
    listen: Object.freeze(listenOf(document.listen, absolute)),
    ...(document.metrics === undefined ? {} : { metrics: metricsOf(document.metrics, absolute, problems) }),
    witnesses: Object.freeze(document.audit.witness),
    org: document.org,
    store: Object.freeze(storeOf(document.store, namedFiles(absolute, problems), problems)),
    keys: Object.freeze({ directory: absolute(document.keys.directory) }),
    registryPaths: Object.freeze(registry.map(absolute)),
    limits: Object.freeze({
      perSource: rateOf(document.limits.per_source),
      perSourceAndClient: rateOf(document.limits.per_source_and_client),
      perClient: rateOf(document.limits.per_client),
      perIssuer: rateOf(document.limits.per_issuer),
      refusalDelayMs: document.limits.refusal_delay_ms,
    }),
    admins: Object.freeze(
      document.admins.map(({ user, group, roles }) => ({ ...(user && { user }), ...(group && { group }), roles })),
    ),
    log: Object.freeze(document.log),
    retention: retentionOf(document.audit),
    auditExport: Object.freeze(sinksOf(document.audit, absolute)),
    secondPerson: document.challenges.second_person,
    dpop: Object.freeze(document.dpop),
    trustedProxies: Object.freeze(document.trusted_proxies),
    ...(document.client_certificates === undefined ? {} : { certificateSource: document.client_certificates.from }),
    outbound: Object.freeze({
      allowLoopback: document.outbound.allow_loopback,
      internalHosts: new Set(document.outbound.internal_hosts),
    }),
    ...externalPdpOf(document.external_pdp, absolute),
    ...telemetryOf(document.telemetry, absolute),
    development: environment === DEVELOPMENT_ENVIRONMENT,
  })
}

function mutualTlsOf(given: ConfigDocument['client_certificates']): Pick<Config['settings'], 'mutualTls'> {
  return given === undefined ? {} : { mutualTls: { endpoints: given.endpoints } }
}

function listenOf({ host, port, tls }: ConfigDocument['listen'], absolute: (path: string) => string): Config['listen'] {
  if (tls === undefined) return { host, port }
  const { certificate_file, key_file } = tls
  return { host, port, tls: { certificateFile: absolute(certificate_file), keyFile: absolute(key_file) } }
}

function metricsOf(
  { host, port, token_file }: NonNullable<ConfigDocument['metrics']>,
  absolute: (path: string) => string,
  problems: string[],
): MetricsConfig {
  if (token_file === undefined) return { host, port, token: undefined }
  const read = () => readSecretText(absolute(token_file))
  const token = tried('metrics.token_file', read, problems)
  if (token !== undefined && !/^[A-Za-z0-9._~+/-]{16,256}$/.test(token)) {
    problems.push('metrics.token_file: the file must hold one token of 16 to 256 characters A-Z a-z 0-9 . _ ~ + / -')
  }
  return { host, port, token: new Secret(token ?? '') }
}

function rateOf(limit: ConfigDocument['limits']['per_source']): Rate | undefined {
  return limit === 'off' ? undefined : { perSecond: limit.per_second, burst: limit.burst }
}

function namedFiles(absolute: (path: string) => string, problems: string[]): NamedFiles {
  return {
    path: absolute,
    text: (setting, path) => tried(setting, () => readText(absolute(path)), problems),
    secret: (setting, path) => tried(setting, () => readSecretText(absolute(path)), problems),
  }
}

function tried(setting: string, read: () => string, problems: string[]): string | undefined {
  try {
    return read()
  } catch (fault) {
    if (!(fault instanceof ConfigurationError)) throw fault
    problems.push(`${setting}: ${fault.message}`)
    return undefined
  }
}

/** A secret that everybody on the machine may read is none. @throws ConfigurationError */
function readSecretText(path: string): string {
  const text = readText(path).trim()
  if (isTold) return text
  const mode = statSync(path).mode & 0o777
  if ((mode & 0o007) === 0) return text
  const found = mode.toString(8).padStart(3, '0')
  throw new ConfigurationError([`${path}: mode ${found} lets everybody read a secret; run chmod 600 on it`])
}

/** @throws ConfigurationError where there is no such file, or it may not be read */
function readText(path: string): string {
  const told = isTold ? texts.get(path) : undefined
  if (told !== undefined) return told
  try {
    const text = readFileSync(path, 'utf8')
    texts.set(path, text)
    return text
  } catch (fault) {
    throw new ConfigurationError([`${path}: cannot be read (${codeOf(fault)})`])
  }
}
