/** The registry's nouns, as decoded and checked by `registry/`. Everything here is immutable and complete. */
import type { KeyObject } from 'node:crypto'
import type { ToolConstraints } from '../authority/authority.ts'
import type { ClientId, ResourceUrl } from '../kernel/ids.ts'
import type { GrantType } from '../protocol/oauth.ts'
import type { ScopeSet } from '../protocol/scope.ts'
import type { Intent } from './intent.ts'

export type LifecycleState = 'active' | 'suspended' | 'retired'
export type ToolCategory = 'read' | 'write' | 'destructive' | 'admin'
/** What a resource checks by itself (DESIGN §3): its scope only, the tool's name too, or the arguments too. */
export type Enforcement = 'scope' | 'tools' | 'arguments'
export type SigningAlg = 'ES256' | 'RS256' | 'Ed25519'

export interface Tool {
  readonly name: string
  readonly category: ToolCategory
  /** The scope that opens it. */
  readonly scope: string
  /** Whether it may be delegated to agents at all. */
  readonly delegable: boolean
}

/** A registered MCP server. */
export interface Resource {
  readonly id: string
  readonly url: ResourceUrl
  readonly owner: string
  readonly project: string
  readonly state: LifecycleState
  /** The service that this server authenticates as; it alone may introspect tokens for `url`. */
  readonly serverClient: ClientId | undefined
  readonly enforces: Enforcement
  /** `personal` servers hold a person's data: they need a user subject. */
  readonly mode: 'shared' | 'personal'
  readonly signingAlg: SigningAlg
  readonly accessTokenLifetimeSeconds: number
  readonly tools: ReadonlyMap<string, Tool>
}

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

/** Which tools a rule reaches. All members given must match; at least one is; `*` is written where all is meant. */
export interface ToolSelector {
  readonly project?: string
  readonly server?: string
  readonly tool?: string
  readonly category?: ToolCategory
}

export interface ManifestEntry {
  readonly selector: ToolSelector
  readonly constraints: ToolConstraints
}

interface ClientRecord {
  readonly clientId: ClientId
  readonly state: LifecycleState
  readonly keys: readonly ClientKey[]
  readonly keySets: readonly ClientKeySet[]
  /** For `client_secret_basic`, where the configuration switches that on. */
  readonly secrets: readonly ClientSecret[]
  /** Whether an assertion may name the endpoint it is sent to as its audience, instead of the issuer. */
  readonly legacyAssertionAudience: boolean
  /** `until_exp`: one assertion may be presented again and again until it expires. */
  readonly assertionReuse: 'until_exp' | undefined
  readonly grantTypes: readonly GrantType[]
  /** Scopes of the broker's own API this client may be given. */
  readonly apiScopes: ScopeSet
}

export interface Agent extends ClientRecord {
  readonly kind: 'agent'
  /** Who answers for it: a person or team, and the accountable owner of its autonomous work. */
  readonly owner: string
  readonly environment: string
  readonly manifest: readonly ManifestEntry[]
  /** Agents it may delegate to. */
  readonly delegates: readonly ClientId[]
  /** Issuer slug → the client id this agent has there: whose tokens were meant for it. */
  readonly upstreamClientIds: ReadonlyMap<string, string>
  readonly standingIntent: Intent | undefined
  readonly issuance: readonly IssuanceRule[]
}

/** At most so many access tokens with this scope within any minute. */
export interface IssuanceRule {
  readonly scope: string
  readonly perMinute: number
}

export interface Service extends ClientRecord {
  readonly kind: 'service'
}

export type Client = Agent | Service

/** An IdP whose tokens are evidence. Nothing about it is learned from a token. */
export interface Issuer {
  readonly issuer: string
  /** Names it in `user:<slug>:<sub>`. */
  readonly slug: string
  readonly jwksUri: string
  readonly algorithms: readonly string[]
  readonly acceptsIdTokens: boolean
  /** What an access token's scope means: a ceiling, or nothing (identity only); `undefined`: not accepted at all. */
  readonly accessTokenScope: 'ceiling' | 'identity_only' | undefined
  /** Audiences a token may name beside the one that makes it ours. */
  readonly otherAudiences: readonly string[]
  /** Audience of tokens that users present to the broker itself (sessions API); `undefined`: they cannot. */
  readonly userAudience: string | undefined
  readonly users: 'listed' | 'from_issuer'
  readonly acceptsForeignActors: boolean
  readonly sessionMayOutliveSubject: boolean
  /**
   * Whether its tokens say when the user signed in (`auth_time`). Then one that does not say it counts as older than any
   * revocation: an agent must not choose, among a user's tokens, the one that hides it.
   */
  readonly givesAuthTime: boolean
}

export interface User {
  readonly issuerSlug: string
  readonly sub: string
  readonly active: boolean
  readonly groups: readonly string[]
  readonly roles: readonly string[]
}

export type PrincipalSelector =
  | { readonly user: string }
  | { readonly group: string }
  | { readonly role: string }
  | { readonly agent: string }
  | { readonly owner: string }

export interface GrantConditions {
  readonly notBefore?: number
  readonly notAfter?: number
  readonly environment?: string
}

/** A policy rule. Deny wins; order never matters. */
export interface Grant {
  readonly id: string
  readonly effect: 'allow' | 'deny'
  readonly principals: readonly PrincipalSelector[]
  readonly resources: readonly ToolSelector[]
  readonly when: GrantConditions
  readonly constraints: ToolConstraints
  readonly reason: string
}

/** One content-addressed version of everything decisions are made from. Look-ups of unknown names give `undefined`. */
export interface Registry {
  /** SHA-256 of the decoded documents. */
  readonly version: string
  readonly grants: readonly Grant[]
  readonly agents: readonly Agent[]
  readonly services: readonly Service[]
  readonly resources: readonly Resource[]
  readonly issuers: readonly Issuer[]
  client(clientId: string): Client | undefined
  issuer(issuer: string): Issuer | undefined
  issuerBySlug(slug: string): Issuer | undefined
  /** By any spelling of the URL. @throws Rejection `resource_malformed` */
  resource(url: string): Resource | undefined
  /** By registered id or by URL. */
  resourceByName(idOrUrl: string): Resource | undefined
  /** `undefined`: not listed, and the issuer does not vouch for its users by itself. */
  user(issuer: Issuer, sub: string): User | undefined
}
