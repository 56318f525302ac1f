/**
 * An operator on the broker's own machine: whoever may read its signing keys may mint a short-lived management token. There
 * is no static admin key to steal; every use is recorded under the operator's name.
 */

import { userInfo } from 'node:os'
import type { Config } from '../config/config.ts'
import { configPath, loadConfig } from '../config/load-config.ts'
import { epochSeconds, systemClock } from '../kernel/clock.ts'
import { operatorPrincipal } from '../kernel/ids.ts'
import type { Secret } from '../kernel/secret.ts'
import { parseUserPrincipal } from '../kernel/user-name.ts'
import { loadKeys } from '../keys/key-files.ts'
import { KeyRing } from '../keys/key-ring.ts'
import { ADMIN_ROLES, type AdminRole } from '../model/admin-role.ts'
import { isLoopbackHost } from '../registry/url-rules.ts'
import { Minter } from '../tokens/minter.ts'
import type { Args } from './args.ts'
import { BrokerClient, BrokerRefusal } from './broker-client.ts'
import { UsageError } from './failures.ts'
import type { JsonObject } from './json-fields.ts'
import { readText } from './named-document.ts'
import type { OptionSpecs } from './options.ts'

/** For one command's own requests. */
const COMMAND_TOKEN_SECONDS = 60

export const BROKER_OPTION: OptionSpecs = {
  broker: { value: 'URL', help: 'where the broker answers (default: where the configuration says it listens)' },
}
export const NAME_OPTION: OptionSpecs = {
  name: { value: 'NAME', help: 'who you are, for the audit (default: your user name here)' },
}

export interface Operator {
  get(path: string): Promise<JsonObject>
  post(path: string, value: unknown): Promise<JsonObject>
  delete(path: string): Promise<JsonObject>
}

/** @throws ConfigurationError, KeyFileError, UsageError, Rejection `keys_not_ready` */
export async function connectOperator(args: Args): Promise<Operator> {
  const config = loadConfig(configPath(args.text('config')))
  const { base, certificate } = brokerAddress(config, args)
  const client = new BrokerClient(base, certificate)
  const bearer = await mintManagement(config, {
    name: operatorName(args),
    roles: ADMIN_ROLES,
    seconds: COMMAND_TOKEN_SECONDS,
  })
  return {
    get: (path) => client.get(`/admin/v1${path}`, bearer).catch(explainOwnToken),
    post: (path, value) => client.postJson(`/admin/v1${path}`, bearer, value).catch(explainOwnToken),
    delete: (path) => client.delete(`/admin/v1${path}`, bearer).catch(explainOwnToken),
  }
}

/** The token was made a moment ago, from the keys at hand: the broker does not have those. */
function explainOwnToken(fault: unknown): never {
  if (!(fault instanceof BrokerRefusal) || fault.body['error'] !== 'invalid_token') throw fault
  throw new BrokerRefusal(fault.status, fault.body, KEYS_DIFFER)
}

const KEYS_DIFFER =
  'the keys here are not (or not yet) the broker’s: try again in a few seconds, and check that --config is this broker’s'

interface ManagementWish {
  readonly name: string
  readonly roles: readonly AdminRole[]
  readonly seconds: number
}

export async function mintManagement(config: Config, { name, roles, seconds }: ManagementWish): Promise<Secret> {
  const now = epochSeconds(systemClock)
  const ring = new KeyRing(await loadKeys(config.keys.directory, { development: config.development }))
  const minter = new Minter(ring, config.settings)
  const { token } = await minter.management({ operator: operatorPrincipal(name), roles, now, expiresAt: now + seconds })
  return token
}

/** @throws UsageError */
export function operatorName(args: Args): string {
  const name = args.text('name') ?? userInfo().username
  if (/^[A-Za-z0-9][A-Za-z0-9@._-]{0,63}$/.test(name)) return name
  throw new UsageError('--name must be letters, digits, "@", ".", "_" or "-", at most 64')
}

/**
 * On this machine a broker is spoken to directly: its issuer's name may lead to a proxy, or nowhere yet.
 * @throws UsageError
 */
export function brokerAddress({ settings, listen }: Config, args: Args): BrokerAddress {
  const given = args.text('broker')
  if (given !== undefined) return { base: given, certificate: undefined }
  const wildcard = ['0.0.0.0', '::', ''].includes(listen.host)
  const host = wildcard ? '127.0.0.1' : listen.host
  if (listen.port === 0 || !isLoopbackHost(host)) return { base: settings.issuer, certificate: undefined }
  const bracketed = host.includes(':') ? `[${host}]` : host
  const scheme = listen.tls === undefined ? 'http' : 'https'
  const base = `${scheme}://${bracketed}:${listen.port}${new URL(settings.issuer).pathname.replace(/\/$/, '')}`
  return { base, certificate: listen.tls === undefined ? undefined : readText(listen.tls.certificateFile) }
}

export interface BrokerAddress {
  readonly base: string
  /** What it proves itself by where it is not reached under its name. */
  readonly certificate: string | undefined
}

/** @throws UsageError */
export function userId(text: string): string {
  if (parseUserPrincipal(text) !== undefined) return text
  throw new UsageError('a user is written user:<issuer slug>:<sub>, for example user:corp:alice')
}
