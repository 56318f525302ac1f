/** What an operator may order: strictly decoded, and about what exists; a typing error must not look like a kill. */

import { z } from 'zod'
import { NAME_CHARS_MAX } from '../kernel/limits.ts'
import { Rejection } from '../kernel/rejection.ts'
import { parseUserPrincipal } from '../kernel/user-name.ts'
import { type Agent, versionsOf } from '../model/client.ts'
import type { Registry } from '../model/registry.ts'
import type { Resource } from '../model/resource.ts'

const name = z.string().min(1).max(NAME_CHARS_MAX)
const url = z
  .string()
  .min(1)
  .max(4 * NAME_CHARS_MAX)
/** With it nothing is done: the answer says what would be. */
const dry_run = z.boolean().default(false)
const block = z.boolean().default(false)

export const killOrder = z.discriminatedUnion('dimension', [
  z.strictObject({ dimension: z.literal('session'), session: name, dry_run }),
  z.strictObject({ dimension: z.literal('session_access'), session: name, dry_run }),
  z.strictObject({ dimension: z.literal('node'), session: name, node: name, dry_run }),
  z.strictObject({ dimension: z.literal('key'), kid: name, dry_run }),
  z.strictObject({ dimension: z.literal('everything'), dry_run }),
  z.strictObject({ dimension: z.literal('agent'), agent: name, block, dry_run }),
  z.strictObject({ dimension: z.literal('agent_version'), agent: name, version: name, block, dry_run }),
  z.strictObject({ dimension: z.literal('owner'), owner: name, block, dry_run }),
  z.strictObject({ dimension: z.literal('user'), user: name, block, dry_run }),
  z.strictObject({ dimension: z.literal('user_agent'), user: name, agent: name, block, dry_run }),
  z.strictObject({ dimension: z.literal('issuer'), issuer: name, block, dry_run }),
  z.strictObject({ dimension: z.literal('resource'), resource: url, block, dry_run }),
  z.strictObject({ dimension: z.literal('tool'), resource: url, tool: name, dry_run }),
])
export type KillOrder = z.infer<typeof killOrder>

export const liftOrder = z.strictObject({
  kind: z.enum(['agent', 'agent_version', 'user', 'issuer', 'resource', 'evidence', 'pair', 'halt']),
  id: z
    .string()
    .min(1)
    .max(4 * NAME_CHARS_MAX),
})
export type LiftOrder = z.infer<typeof liftOrder>

/** @throws Rejection `not_found` for a client or user that the registry cannot know */
export function assertKnown(named: { readonly agent?: string; readonly user?: string }, registry: Registry): void {
  if (named.agent !== undefined && registry.client(named.agent) === undefined) {
    throw absent('no such agent or service: name it by its client id')
  }
  if (named.user === undefined) return
  const user = parseUserPrincipal(named.user)
  if (user === undefined || registry.issuerBySlug(user.issuerSlug) === undefined) {
    throw absent('no such user: write user:, the slug of a configured issuer, a colon, and the sub')
  }
}

/** @throws Rejection `not_found` for a version that no credential of this agent is bound to */
export function assertVersionKnown(agent: string, version: string, registry: Registry): void {
  const client = registry.client(agent)
  if (client?.kind !== 'agent') throw absent('no such agent: name it by its client id')
  if (!versionsOf(client).has(version)) throw absent('no such version: no credential of this agent is bound to it')
}

/** @throws Rejection `not_found` where nobody of this name owns an agent */
export function agentsOwnedBy(owner: string, registry: Registry): readonly Agent[] {
  const owned = registry.agents.filter((agent) => agent.owner === owner)
  if (owned.length === 0) throw absent('no agent has this owner')
  return owned
}

/** @throws Rejection `not_found` */
export function assertIssuerKnown(slug: string, registry: Registry): void {
  if (registry.issuerBySlug(slug) === undefined) throw absent('no such issuer of users: name it by its slug')
}

/** By its id or URL, with this tool where one is named. @throws Rejection `not_found`, `resource_malformed` */
export function resourceNamed(idOrUrl: string, registry: Registry, tool?: string): Resource {
  const resource = registry.resourceByName(idOrUrl)
  if (resource === undefined) throw absent('no such resource: name it by its id or its URL')
  if (tool !== undefined && !resource.tools.has(tool)) throw absent('this resource has no such tool')
  return resource
}

function absent(says: string): Rejection {
  return new Rejection('not_found', says)
}
