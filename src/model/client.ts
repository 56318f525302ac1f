/** Who may ask: agents and services, and what they authenticate with. Decoded and checked by `registry/`; immutable. */
import type { KeyObject } from 'node:crypto'
import type { ClientId, ResourceUrl } from '../kernel/ids.ts'
import type { GrantType } from '../protocol/oauth.ts'
import type { ScopeSet } from '../protocol/scope.ts'
import type { Intent } from './intent.ts'
import { type LifecycleState, mayIssue } from './lifecycle.ts'
import type { ManifestEntry } from './resource.ts'
import type { SpiffeBinding } from './trust-domain.ts'
import type { WorkloadBinding } from './workload.ts'

/** A public key a client authenticates with, bound to one algorithm and one version of the agent. */
export interface ClientKey {
  /** `undefined`: only a published set may hold a key without a name, and only where it is the sole one. */
  readonly kid: string | undefined
  readonly alg: string
  readonly key: KeyObject
  readonly version: string
}

/** Where a client publishes its keys, all of them bound to one version of the agent. */
export interface ClientKeySet {
  /** `client_metadata`: what is there is the client's metadata document, which has or names its keys. */
  readonly document: 'jwks' | 'client_metadata'
  readonly jwksUri: string
  /** What keys that do not say their own algorithm may verify, and the only ones any of them may. */
  readonly algorithms: readonly string[]
  readonly version: string
}

/** A shared secret that the broker's own command has made: known by its digest only, bound to a version, never without end. */
export interface ClientSecret {
  readonly id: string
  /** SHA-256 of the secret's text. */
  readonly digest: Buffer
  readonly version: string
  /** Epoch seconds. */
  readonly issuedAt: number
  readonly expiresAt: number
}

/** The last resort: a shared secret that opens less than its agent may, for the agent's own work only. */
export interface ApiKey extends ClientSecret {
  readonly confinement: Confinement
}

/** What a credential is good for, whatever else its agent may do: these servers, these scopes, `client_credentials` alone. */
export interface Confinement {
  readonly resources: ReadonlySet<ResourceUrl>
  readonly scopes: ScopeSet
}

interface ClientRecord {
  readonly clientId: ClientId
  readonly state: LifecycleState
  readonly keys: readonly ClientKey[]
  readonly keySets: readonly ClientKeySet[]
  /** For `client_secret_basic`, where the configuration switches that on. */
  readonly secrets: readonly ClientSecret[]
  /** Which tokens of platforms it authenticates with. */
  readonly workloads: readonly WorkloadBinding[]
  /** Workloads that are this client, wherever SPIFFE vouches for them. */
  readonly spiffeIds: readonly SpiffeBinding[]
  /** Whether an assertion may name the endpoint it is sent to as its audience, instead of the issuer. */
  readonly legacyAssertionAudience: boolean
  /** `until_exp`: one assertion may be presented again and again until it expires. */
  readonly assertionReuse: 'until_exp' | undefined
  /** Whether its tokens must be bound to the certificate it shows, or to a key it proves (RFC 8705 §3.4). */
  readonly certificateBound: boolean
  readonly grantTypes: readonly GrantType[]
  /** Scopes of the broker's own API this client may be given. */
  readonly apiScopes: ScopeSet
}

/** One build of an agent, which its credentials name: what thinks in it, and how far it has come. */
export interface AgentVersion {
  readonly version: string
  readonly state: LifecycleState
  /** The model behind it, as its maker names it. */
  readonly model: string | undefined
  /** `sha256:…` of what runs. */
  readonly imageDigest: string | undefined
}

export interface Agent extends ClientRecord {
  readonly kind: 'agent'
  /** Who answers for it: a person or team, and the accountable owner of its autonomous work. */
  readonly owner: string
  readonly environment: string
  /** Epoch seconds; `undefined`: nobody has certified it. */
  readonly certifiedUntil: number | undefined
  readonly manifest: readonly ManifestEntry[]
  /** By name; empty: versions have no life of their own, and each credential is as good as its agent. */
  readonly versions: ReadonlyMap<string, AgentVersion>
  /** Agents it may delegate to. */
  readonly delegates: readonly ClientId[]
  /** Issuer slug → the client id this agent has there: whose tokens were meant for it. */
  readonly upstreamClientIds: ReadonlyMap<string, string>
  readonly standingIntent: Intent | undefined
  readonly issuance: readonly IssuanceRule[]
  /** Used only where the configuration switches API keys on. */
  readonly apiKeys: readonly ApiKey[]
}

/** At most so many access tokens with this scope within any minute. */
export interface IssuanceRule {
  readonly scope: string
  readonly perMinute: number
}

/** A client that is no agent; as the `server_client` of a resource, that server. */
export interface Service extends ClientRecord {
  readonly kind: 'service'
  /** Slug of the issuer whose users it names by their `sub` alone in evaluations; `undefined`: it names them as `slug:sub`. */
  readonly usersOf: string | undefined
  /** What it may call at other servers in the name of those who call it; empty: nothing. */
  readonly manifest: readonly ManifestEntry[]
}

export type Client = Agent | Service

/** Whether a broker of this environment serves it at all: an agent belongs to one environment, services answer in each. */
export function isInService(client: Client, environment: string): boolean {
  return mayIssue(client.state, environment) && (client.kind === 'service' || client.environment === environment)
}

/** Every version that it is registered in, or that a credential of it is bound to. */
export function versionsOf(agent: Agent): ReadonlySet<string> {
  const { keys, keySets, secrets, workloads, spiffeIds, apiKeys } = agent
  const bound = [...keys, ...keySets, ...secrets, ...workloads, ...spiffeIds, ...apiKeys].map(({ version }) => version)
  return new Set([...agent.versions.keys(), ...bound])
}

/** How far a version of a client has come; what is not registered among others that are, has never begun. */
export function versionState(client: Client, version: string): LifecycleState {
  if (client.kind === 'service' || client.versions.size === 0) return client.state
  return client.versions.get(version)?.state ?? 'draft'
}
