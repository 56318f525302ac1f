/**
 * The configuration, from its file: read, decoded strictly, made absolute, frozen. The only place that looks at the process
 * environment, and only for the file's name: a setting that could also come from a variable would have two truths.
 */
import { existsSync, readFileSync } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'
import { Secret } from '../kernel/secret.ts'
import type { Registry } from '../model/registry.ts'
import { decodeRegistryDocuments, type RegistryDocument } from '../registry/load-registry.ts'
import { ConfigurationError, decodeStrictly, parseYamlText } from '../registry/strict-document.ts'
import { type Config, DEVELOPMENT_ENVIRONMENT, type StoreConfig } from './config.ts'
import { type ConfigDocument, configDocument, redisUrlProblem } from './schema.ts'

/** The path given, else `ERRAND_CONFIG`, else `./errand.yaml`. */
export function configPath(given: string | undefined): string {
  return given ?? process.env['ERRAND_CONFIG'] ?? './errand.yaml'
}

/** @throws ConfigurationError naming every problem */
export function loadConfig(path: string): Config {
  const absolute = resolve(path)
  if (!existsSync(absolute)) {
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
  const problems: string[] = []
  const decoded = decodeStrictly(configDocument, document, sourceName, problems)
  if (decoded === undefined) throw new ConfigurationError(problems)
  const config = configOf(decoded, (path) => resolve(directory, path), problems)
  if (problems.length > 0) throw new ConfigurationError(problems.map((problem) => `${sourceName}: ${problem}`))
  return config
}

/** The registry that `config.registryPaths` describe. @throws ConfigurationError naming every problem */
export function loadRegistryFiles(config: Config): Registry {
  const documents: RegistryDocument[] = []
  const problems: string[] = []
  for (const path of config.registryPaths) {
    try {
      documents.push({ document: parseYamlText(readText(path), basename(path)), sourceName: basename(path) })
    } catch (fault) {
      if (!(fault instanceof ConfigurationError)) throw fault
      problems.push(...fault.problems)
    }
  }
  if (problems.length > 0) throw new ConfigurationError(problems)
  const { issuer, accessTokenSeconds } = config.settings
  return decodeRegistryDocuments(documents, { issuer, accessTokenSeconds })
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
    }),
    listen: Object.freeze(document.listen),
    org: document.org,
    store: Object.freeze(storeOf(document.store, absolute, problems)),
    keys: Object.freeze({ directory: absolute(document.keys.directory) }),
    registryPaths: Object.freeze(registry.map(absolute)),
    log: Object.freeze(document.log),
    trustedProxies: Object.freeze(document.trusted_proxies),
    outbound: Object.freeze({ allowLoopback: document.outbound.allow_loopback }),
    development: environment === DEVELOPMENT_ENVIRONMENT,
  })
}

function storeOf(store: ConfigDocument['store'], absolute: (path: string) => string, problems: string[]): StoreConfig {
  if (store.kind === 'embedded') return { kind: 'embedded', directory: absolute(store.directory) }
  if (store.url_file === undefined) return { kind: 'redis', url: new Secret(store.url ?? '') }
  let url = ''
  try {
    url = readText(absolute(store.url_file)).trim()
    // Says what is wanted and never what is there: the text may be a password that was pasted into the wrong file.
    const problem = redisUrlProblem(url)
    if (problem !== undefined) problems.push(`store.url_file: the file's content ${problem}`)
  } catch (fault) {
    if (!(fault instanceof ConfigurationError)) throw fault
    problems.push(`store.url_file: ${fault.message}`)
  }
  return { kind: 'redis', url: new Secret(url) }
}

/** @throws ConfigurationError where there is no such file, or it may not be read */
function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (fault) {
    const code = fault instanceof Error && 'code' in fault ? String(fault.code) : 'unreadable'
    throw new ConfigurationError([`${path}: cannot be read (${code})`])
  }
}
