/**
 * Where a Redis store is: one server, a primary that Sentinels name, or a cluster. And how each server is connected to: with every
 * setting of the client library that decides what is queued, repeated or waited for written out.
 */
import type { RedisOptions } from 'ioredis'
import type { Secret } from '../kernel/secret.ts'
import { STORE_DEADLINE_MS } from '../kernel/store-limits.ts'
import { hostAndPort } from './redis-slots.ts'

export interface SentinelServers {
  /** What the Sentinels call the group. */
  readonly name: string
  /** `host:port` of each. */
  readonly hosts: readonly string[]
  /** Of the Sentinels and of the servers they name. */
  readonly tls: boolean
  readonly username?: string
  readonly password?: Secret
  readonly sentinelUsername?: string
  readonly sentinelPassword?: Secret
}

export type RedisServers<Url extends Secret | string = Secret | string> = (
  | { readonly url: Url }
  | { readonly sentinel: SentinelServers }
  /** URLs of some nodes: the others are learnt from them. */
  | { readonly cluster: readonly Url[] }
) & {
  /** PEM of a private CA that vouches for the servers. */
  readonly ca?: string
  /** How many replicas have whatever is acknowledged (0). */
  readonly replicas?: number
}

/** `once`: given up when it cannot be connected to at the first attempt, or is lost. */
export type SingleServer = Exclude<RedisServers, { cluster: unknown }> & { readonly once?: true }

const RECONNECT_MS_MAX = 250
/** Nothing received for this long while something is outstanding: the peer is gone, whatever TCP believes. */
const SILENCE_MS_MAX = 2 * STORE_DEADLINE_MS
const SENTINEL_DEADLINE_MS = 1_000
const CONNECT_MS_MAX = 2_000

export const OPTIONS = {
  lazyConnect: true,
  protocol: 2,
  // Nothing waits for a connection, and nothing that was sent is sent again on another.
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  enableAutoPipelining: false,
  connectTimeout: CONNECT_MS_MAX,
  socketTimeout: SILENCE_MS_MAX,
  retryStrategy: (times: number) => Math.min(25 * times, RECONNECT_MS_MAX),
  // A primary that has become a replica takes no writes any more: who is the primary now is found out anew. Not repeated.
  reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
} satisfies RedisOptions

export function revealed(text: Secret | string): string {
  return typeof text === 'string' ? text : text.reveal()
}

/** The URL of another node, reached in the same way and with the same credentials. */
export function nodeUrl(seed: string, address: string): string {
  const url = new URL(seed)
  const { host, port } = hostAndPort(address)
  url.hostname = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host
  url.port = String(port)
  return url.href
}

export function sentinelOptions({ name, hosts, tls, ...rest }: SentinelServers, ca: string | undefined) {
  const { username, password, sentinelUsername, sentinelPassword } = rest
  const secured = ca === undefined ? {} : { ca }
  return {
    name,
    role: 'master' as const,
    sentinels: hosts.map(hostAndPort),
    updateSentinels: true,
    // Hears of a failover from the Sentinels, also while the former primary still answers.
    failoverDetector: true,
    sentinelMaxConnections: 10,
    sentinelCommandTimeout: SENTINEL_DEADLINE_MS,
    sentinelRetryStrategy: (times: number) => Math.min(25 * times, RECONNECT_MS_MAX),
    sentinelReconnectStrategy: () => SENTINEL_DEADLINE_MS,
    enableTLSForSentinelMode: tls,
    ...(tls ? { tls: secured, sentinelTLS: secured } : {}),
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password: password.reveal() }),
    ...(sentinelUsername === undefined ? {} : { sentinelUsername }),
    ...(sentinelPassword === undefined ? {} : { sentinelPassword: sentinelPassword.reveal() }),
  } satisfies RedisOptions
}
