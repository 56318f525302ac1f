/** The entries of all documents, section by section, each with its place. */
import type { AgentEntry } from '../entries/agent-entry.ts'
import type { AuthorizationServerEntry } from '../entries/authorization-server-entry.ts'
import type { ServiceEntry } from '../entries/client-entry.ts'
import type { GrantEntry } from '../entries/grant-entry.ts'
import type { IssuerEntry, UserEntry } from '../entries/issuer-entry.ts'
import type { ProjectEntry } from '../entries/project-entry.ts'
import type { ResourceEntry } from '../entries/resource-entry.ts'
import type { RoleEntry } from '../entries/role-entry.ts'
import type { TrustDomainEntry } from '../entries/trust-domain-entry.ts'
import type { WorkloadIssuerEntry } from '../entries/workload-entry.ts'

/** An entry and where it was written: `registry.yaml: agents[2]`. */
export interface Placed<T> {
  readonly at: string
  /** What relative paths in it are relative to. */
  readonly directory: string
  /** Before it was decoded. */
  readonly written: unknown
  readonly entry: T
}

export interface Entries {
  readonly issuers: readonly Placed<IssuerEntry>[]
  readonly workloadIssuers: readonly Placed<WorkloadIssuerEntry>[]
  readonly trustDomains: readonly Placed<TrustDomainEntry>[]
  readonly users: readonly Placed<UserEntry>[]
  readonly roles: readonly Placed<RoleEntry>[]
  readonly authorizationServers: readonly Placed<AuthorizationServerEntry>[]
  readonly services: readonly Placed<ServiceEntry>[]
  readonly projects: readonly Placed<ProjectEntry>[]
  readonly resources: readonly Placed<ResourceEntry>[]
  readonly agents: readonly Placed<AgentEntry>[]
  readonly grants: readonly Placed<GrantEntry>[]
}
