/**
 * The shape of a policy document, key by key. An absent list is empty and an absent permission is refused; every key that is
 * not written here is an error. What entries say about each other is checked in `cross-checks.ts`.
 */
import { z } from 'zod'
import { strictObject } from '../strict-document.ts'
import { agent } from './agent-entry.ts'
import { authorizationServer } from './authorization-server-entry.ts'
import { service } from './client-entry.ts'
import { grant } from './grant-entry.ts'
import { issuer, user } from './issuer-entry.ts'
import { project } from './project-entry.ts'
import { resource } from './resource-entry.ts'
import { role } from './role-entry.ts'
import { trustDomain } from './trust-domain-entry.ts'
import { workloadIssuer } from './workload-entry.ts'

export const registryDocument = strictObject({
  issuers: z.array(issuer).default([]),
  workload_issuers: z.array(workloadIssuer).default([]),
  trust_domains: z.array(trustDomain).default([]),
  users: z.array(user).default([]),
  roles: z.array(role).default([]),
  authorization_servers: z.array(authorizationServer).default([]),
  services: z.array(service).default([]),
  projects: z.array(project).default([]),
  resources: z.array(resource).default([]),
  agents: z.array(agent).default([]),
  grants: z.array(grant).default([]),
})

export type DecodedDocument = z.output<typeof registryDocument>
