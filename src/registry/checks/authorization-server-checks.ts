/** What authorization servers of others, and the MCP servers that take their tokens, say about this broker's own. */

import { each, type Sliced } from '../../kernel/slices.ts'
import { isSameServer } from '../decode/decode-authorization-server.ts'
import type { AgentEntry } from '../entries/agent-entry.ts'
import type { AuthorizationServerEntry } from '../entries/authorization-server-entry.ts'
import type { ResourceEntry } from '../entries/resource-entry.ts'

interface Placed<T> {
  readonly at: string
  readonly entry: T
}

interface Elsewhere {
  readonly authorizationServers: readonly Placed<AuthorizationServerEntry>[]
  readonly resources: readonly Placed<ResourceEntry>[]
  readonly agents: readonly Placed<AgentEntry>[]
}

/** What only a server has that takes tokens of this broker. */
const OURS_ONLY = ['server_client', 'access_token_seconds', 'revocation_check', 'standing_intent'] as const

/** Adds a line to `problems` for each contradiction. @param broker its own issuer identifier */
export function* checkAuthorizationServers(entries: Elsewhere, broker: string, problems: string[]): Sliced<undefined> {
  const { authorizationServers, resources, agents } = entries
  const slugs = new Set(authorizationServers.map(({ entry }) => entry.slug))
  const clientIds = new Set<string>()
  yield* each(agents, ({ entry }) => clientIds.add(entry.client_id))
  for (const [index, { at, entry }] of authorizationServers.entries()) {
    // An assertion for this broker by this broker would be authority out of nothing (ID-JAG, Cross-Domain Use).
    if (isSameServer(entry.issuer, broker)) problems.push(`${at}.issuer: is the broker itself`)
    for (const before of authorizationServers.slice(0, index)) {
      if (isSameServer(before.entry.issuer, entry.issuer)) problems.push(`${at}.issuer: already used by ${before.at}`)
      if (before.entry.slug === entry.slug) problems.push(`${at}.slug: already used by ${before.at}`)
    }
    for (const id of Object.keys(entry.clients)) {
      if (!clientIds.has(id)) problems.push(`${at}.clients.${id}: no agent is named ${id}`)
    }
  }
  for (const { at, entry } of resources) {
    yield
    const { authorization_server: slug } = entry
    if (slug === undefined) {
      checkOwnServer({ at, entry }, authorizationServers, problems)
      continue
    }
    if (!slugs.has(slug)) problems.push(`${at}.authorization_server: no authorization server is named ${slug}`)
    for (const member of OURS_ONLY) {
      if (entry[member] !== undefined) problems.push(`${at}.${member}: no token of this broker is for this server`)
    }
    if (entry.enforces === 'calls') problems.push(`${at}.enforces: this broker is not asked about calls of this server`)
  }
}

/**
 * An unmodified MCP server tells tokens of this broker apart by `aud` alone, and not by `typ`: an assertion that names its URL
 * would open it like an access token, with scopes that mean something else there.
 */
function checkOwnServer(
  { at, entry }: Placed<ResourceEntry>,
  authorizationServers: Elsewhere['authorizationServers'],
  problems: string[],
): void {
  const other = authorizationServers.find((server) => isSameServer(server.entry.issuer, entry.url))
  if (other !== undefined)
    problems.push(`${at}.url: is the issuer of ${other.at}; what is made for one opens the other`)
}
