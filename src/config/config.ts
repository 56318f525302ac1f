/** Config: everything a broker is told at start, decoded, checked and frozen. Only `config/` makes one. */
import type { AdmissionLimits } from '../admission/admission.ts'
import type { SinkSettings } from '../audit/export/start-export.ts'
import type { RetentionSettings } from '../audit/retention/old-bundles.ts'
import type { CertificateSource } from '../http/client-certificate.ts'
import type { Secret } from '../kernel/secret.ts'
import type { AdminEntry } from '../model/admin-role.ts'
import type { BrokerSettings } from '../model/settings.ts'
import type { ExternalPdp } from '../net/external-policy.ts'
import type { WitnessAddress } from '../net/witness-client.ts'
import type { RedisServers } from '../store/redis-servers.ts'

export type StoreConfig =
  | { readonly kind: 'embedded'; readonly directory: string }
  /** A URL may hold a password: it is a secret from the moment it is read. */
  | ({ readonly kind: 'redis' } & RedisServers<Secret>)

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

export interface TlsFiles {
  readonly certificateFile: string
  readonly keyFile: string
}

export interface MetricsConfig {
  readonly host: string
  readonly port: number
  /** Asked of whoever reads, wherever others than this machine could. */
  readonly token: Secret | undefined
}

export interface TelemetryConfig {
  /** The collector's base URL: spans go to `/v1/traces` below it. */
  readonly otlpEndpoint: string
  /** Absolute path of a file with headers for it. */
  readonly headersFile: string | undefined
  /** Absolute path of the authorities (PEM) that its certificate is from; `undefined`: the public ones. */
  readonly caFile: string | undefined
  /** The share of traces that is recorded: 0 to 1. */
  readonly sampleRatio: number
}

export interface Config {
  /** What the stages need to know; `settings.issuer` is the issuer identifier. */
  readonly settings: BrokerSettings
  /** Without `tls` it is spoken to in plain http: by this machine, or by the proxy that ends TLS. */
  readonly listen: { readonly host: string; readonly port: number; readonly tls?: TlsFiles }
  /** Where metrics are read; absent: nowhere, and nothing is counted. */
  readonly metrics?: MetricsConfig
  /** Where traces are sent; absent: nowhere, and nothing is traced. */
  readonly telemetry?: TelemetryConfig
  /** Who co-signs the audit log. */
  readonly witnesses: readonly WitnessAddress[]
  /** First segment of every store key. */
  readonly org: string
  readonly store: StoreConfig
  readonly keys: { readonly directory: string }
  /** Absolute paths of the policy documents; together they are one registry. */
  readonly registryPaths: readonly string[]
  readonly limits: AdmissionLimits
  /** Who may sign in to the admin API, and as what. */
  readonly admins: readonly AdminEntry[]
  readonly log: { readonly level: LogLevel }
  /** How long the records of the audit log are kept. */
  readonly retention: RetentionSettings
  /** Whom the audit log is sent to. */
  readonly auditExport: readonly SinkSettings[]
  /** Whether what one approver grants from a challenge has to be confirmed by another. */
  readonly secondPerson: boolean
  /** Whether DPoP proofs must carry a nonce of the broker's (RFC 9449 §8). */
  readonly dpop: { readonly nonce: 'off' | 'required' }
  /** Addresses or networks (CIDR) whose `X-Forwarded-For` is believed. */
  readonly trustedProxies: readonly string[]
  /** Where clients' certificates are read; absent: nowhere. */
  readonly certificateSource?: CertificateSource
  readonly outbound: OutboundConfig
  /** Absent: no other policy than the registry's is asked. */
  readonly externalPdp?: ExternalPdp
  /** True only for the environment named `development`: dev keys and loopback are refused elsewhere. */
  readonly development: boolean
}

export interface OutboundConfig {
  /** Whether issuers on loopback may be fetched from: development only. */
  readonly allowLoopback: boolean
  /** Hosts of this document's own naming that may have private addresses. */
  readonly internalHosts: ReadonlySet<string>
}
