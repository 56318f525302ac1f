/** What the stages need to know of the configuration, and the environments that mean something by themselves. */

import type { CaptureSettings } from './captured.ts'

/** Dev keys and loopback are for this environment only. */
export const DEVELOPMENT_ENVIRONMENT = 'development'
/** What is still being tested gets nothing in this one. */
export const PRODUCTION_ENVIRONMENT = 'production'

export interface DriftSettings {
  /** After so many a session is left with tools that read; 0: never. */
  readonly contractAfter: number
  /** After so many it issues nothing, nor does anything else that the agent has for the subject; 0: never. */
  readonly haltAfter: number
  /** Those of one agent for one subject are counted over so long, whatever sessions they were in. */
  readonly windowSeconds: number
}

export interface BrokerSettings {
  /** The issuer identifier: from configuration only, byte for byte the same wherever it is printed. */
  readonly issuer: string
  readonly environment: string
  readonly accessTokenSeconds: number
  readonly sessionSeconds: number
  readonly delegationAcceptSeconds: number
  /** Delegations must be strictly narrower than what they come from. */
  readonly strictlyNarrower: boolean
  readonly maxChainDepth: number
  /** Whether clients that have secrets may authenticate with them. */
  readonly clientSecretBasic: boolean
  /** Whether agents that have API keys may authenticate with them. */
  readonly apiKeys: boolean
  /** Whether an agent that is not certified for today is issued nothing. */
  readonly suspendOverdue: boolean
  /** How long an agent whose owner has left is issued tokens all the same. */
  readonly orphanGraceSeconds: number
  /** How long a server has to tell how a call ended. */
  readonly callOutcomeSeconds: number
  /** How long a person's yes to a call lasts, and how long one is waited for. */
  readonly approvalSeconds: number
  readonly approvalPendingSeconds: number
  readonly drift: DriftSettings
  readonly capture: CaptureSettings
  /** Whether a session is opened only for work that has a trace, or an id, already. */
  readonly requireCorrelation: boolean
  /** Whether anybody may read the tree of the audit log; its records nobody without a permission. */
  readonly publicLog: boolean
  /** Set where clients can show certificates. `endpoints`: base of the URLs where they are asked for them, if others than everybody's. */
  readonly mutualTls?: { readonly endpoints: string | undefined }
}

/** The URL of an endpoint, and the one by which clients with certificates may know it (RFC 8705 §5). */
export function endpointUrls(
  { issuer, mutualTls }: Pick<BrokerSettings, 'issuer' | 'mutualTls'>,
  endpoint: string,
): { readonly url: string; readonly alias: string | undefined } {
  const base = mutualTls?.endpoints
  return { url: issuer + endpoint, alias: base === undefined ? undefined : base + endpoint }
}

/** The broker's own API and its administration, as `aud` (DESIGN §2). */
export const apiAudience = (issuer: string): string => `${issuer}/api`
export const adminAudience = (issuer: string): string => `${issuer}/admin`

/** Scopes of the broker's own API: the words are fixed (DESIGN §2). */
export const API_SCOPES = ['evaluate', 'revocations', 'sessions'] as const
