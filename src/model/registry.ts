/** The registry: every noun of it by name, and the grants. Decoded and checked by `registry/`; immutable and complete. */
import type { ToolConstraints } from '../authority/authority.ts'
import type { AuthorizationServer } from './authorization-server.ts'
import type { Agent, Client, Service } from './client.ts'
import type { Issuer, User } from './issuer.ts'
import type { Project, Resource, ToolSelector } from './resource.ts'
import type { RiskCondition } from './risk.ts'
import type { SpiffeBinding, TrustDomain } from './trust-domain.ts'
import type { WorkloadIssuer } from './workload.ts'

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
  readonly risk?: RiskCondition
}

/** A policy rule. Deny wins; order never matters. */
export interface Grant {
  readonly id: string
  /** Where it was written: `registry.yaml: grants[2]`. */
  readonly at: string
  readonly effect: 'allow' | 'deny'
  readonly principals: readonly PrincipalSelector[]
  readonly resources: readonly ToolSelector[]
  readonly when: GrantConditions
  readonly constraints: ToolConstraints
  readonly reason: string
}

/** Who has it, beside those it is listed for: everybody in these groups, and these users (`<issuer slug>:<sub>`). */
export interface Role {
  readonly name: string
  readonly groups: readonly string[]
  readonly users: readonly string[]
}

/** A client, and the version of it that a token is for. */
export interface WorkloadMatch {
  readonly client: Client
  readonly version: string
}

/** One content-addressed version of everything decisions are made from. Look-ups of unknown names give `undefined`. */
export interface Registry {
  /** SHA-256 of the decoded documents. */
  readonly version: string
  readonly grants: readonly Grant[]
  readonly agents: readonly Agent[]
  readonly services: readonly Service[]
  readonly projects: readonly Project[]
  readonly resources: readonly Resource[]
  readonly issuers: readonly Issuer[]
  /** Those listed, each with every role they have. Nobody else is in a group. */
  readonly users: readonly User[]
  readonly roles: readonly Role[]
  readonly authorizationServers: readonly AuthorizationServer[]
  readonly workloadIssuers: readonly WorkloadIssuer[]
  readonly trustDomains: readonly TrustDomain[]
  client(clientId: string): Client | undefined
  issuer(issuer: string): Issuer | undefined
  issuerBySlug(slug: string): Issuer | undefined
  /** With or without one slash at the end. */
  authorizationServer(issuer: string): AuthorizationServer | undefined
  workloadIssuer(issuer: string): WorkloadIssuer | undefined
  /** Every version of every client that a token of this platform with these claims is for; nobody may be more than one. */
  workloads(issuer: WorkloadIssuer, claims: Readonly<Record<string, unknown>>): readonly WorkloadMatch[]
  trustDomain(name: string): TrustDomain | undefined
  /** The one client that this SPIFFE ID is registered for, character for character. */
  clientBySpiffeId(id: string): { readonly client: Client; readonly binding: SpiffeBinding } | undefined
  /** By any spelling of the URL. @throws Rejection `resource_malformed` */
  resource(url: string): Resource | undefined
  /** By registered id or by URL. */
  resourceByName(idOrUrl: string): Resource | undefined
  /** `undefined`: not listed, and the issuer does not vouch for its users by itself. */
  user(issuer: Issuer, sub: string): User | undefined
}
