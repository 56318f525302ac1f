/**
 * An operator: on the broker's own machine whoever may read its signing keys, and so may mint a short-lived management token;
 * anywhere else whoever has signed in. There is no static admin key to steal; every use is recorded under the operator's name.
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
import { proofMaker, withProof } from './agent/dpop-key.ts'
import type { Args } from './args.ts'
import { BrokerClient, BrokerRefusal } from './broker-client.ts'
import { UsageError } from './failures.ts'
import type { JsonObject } from './json-fields.ts'
import { readText } from './named-document.ts'
import { CONFIG_OPTION, type OptionSpecs } from './options.ts'
import { readSignIn } from './sign-in-file.ts'

/** For one command's own requests. */
const COMMAND_TOKEN_SECONDS = 60

export const BROKER_OPTION: OptionSpecs = {
  broker: { value: 'URL', help: 'where the broker answers (default: where the configuration says it listens)' },
}
export const NAME_OPTION: OptionSpecs = {
  name: { value: 'NAME', help: 'who you are, for the audit (default: your user name here)' },
}
/** Of every command that asks a broker as its operator. */
export const OPERATOR_OPTIONS: OptionSpecs = {
  ...CONFIG_OPTION,
  ...BROKER_OPTION,
  ...NAME_OPTION,
  admin: { value: 'FILE', help: 'from any machine, as who has signed in: the file that errand admin login wrote' },
}

export const ADMIN_API = '/admin/v1'

export interface Operator {
  get(path: string): Promise<JsonObject>
  post(path: string, value: unknown): Promise<JsonObject>
  delete(path: string): Promise<JsonObject>
}

/** @throws ConfigurationError, KeyFileError, UsageError, CommandFailure, Rejection `keys_not_ready` */
export function connectOperator(args: Args): Promise<Operator> {
  const file = args.text('admin')
  return file === undefined ? onOwnMachine(args) : signedIn(file, args)
}

async function onOwnMachine(args: Args): Promise<Operator> {
  const config = loadConfig(configPath(args.text('config')))
  const { base, certificate } = brokerAddress(config, args)
  const client = new BrokerClient(base, certificate)
  const bearer = await mintManagement(config, {
    name: operatorName(args),
    roles: ADMIN_ROLES,
    seconds: COMMAND_TOKEN_SECONDS,
  })
  const ask = (asked: Promise<JsonObject>) => asked.catch(explainToken(KEYS_DIFFER))
  return {
    get: (path) => ask(client.get(ADMIN_API + path, bearer)),
    post: (path, value) => ask(client.postJson(ADMIN_API + path, bearer, value)),
    delete: (path) => ask(client.delete(ADMIN_API + path, bearer)),
  }
}

async function signedIn(file: string, args: Args): Promise<Operator> {
  for (const name of ['broker', 'name']) {
    if (args.flag(name)) throw new UsageError(`--${name} goes without --admin: the sign-in says it`)
  }
  const { issuer, broker, token, dpopKey } = await readSignIn(file, epochSeconds(systemClock))
  const client = new BrokerClient(broker)
  const make = dpopKey === undefined ? undefined : await proofMaker(dpopKey)
  const ask = (method: string, path: string, send: (proof: Secret | undefined) => Promise<JsonObject>) => {
    // A proof names the endpoint without its query (RFC 9449 §4.2).
    const url = `${issuer}${ADMIN_API}${path.replace(/\?.*$/s, '')}`
    return withProof(make, { method, url, token }, send).catch(explainToken(SIGN_IN_AGAIN))
  }
  return {
    get: (path) => ask('GET', path, (proof) => client.get(ADMIN_API + path, token, proof)),
    post: (path, value) => ask('POST', path, (proof) => client.postJson(ADMIN_API + path, token, value, proof)),
    delete: (path) => ask('DELETE', path, (proof) => client.delete(ADMIN_API + path, token, proof)),
  }
}

/** The broker does not take the token: what the person at the keyboard may do about it. */
function explainToken(advice: string): (fault: unknown) => never {
  return (fault) => {
    if (!(fault instanceof BrokerRefusal) || fault.body['error'] !== 'invalid_token') throw fault
    throw new BrokerRefusal(fault.status, fault.body, advice)
  }
}

/** That token was made a moment ago, from the keys at hand: the broker does not have those. */
const KEYS_DIFFER =
  'the keys here are not (or not yet) the broker’s: try again in a few seconds, and check that --config is this broker’s'
const SIGN_IN_AGAIN = 'sign in again with errand admin login: it has ended, or was cut off'

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
