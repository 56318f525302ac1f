/**
 * Agents whose client id is the URL of their metadata: their keys come from that document and from nowhere else, and the URL is
 * the name of nothing else, because names of clients stand beside names of servers and issuers in `aud` and `iss`.
 */
import type { Sliced } from '../../kernel/slices.ts'
import type { AgentEntry } from '../entries/agent-entry.ts'
import type { AuthorizationServerEntry } from '../entries/authorization-server-entry.ts'
import type { IssuerEntry } from '../entries/issuer-entry.ts'
import type { ResourceEntry } from '../entries/resource-entry.ts'
import type { WorkloadIssuerEntry } from '../entries/workload-entry.ts'

interface Written<T> {
  readonly at: string
  readonly entry: T
}

interface Named {
  readonly agents: readonly Written<AgentEntry>[]
  readonly issuers: readonly Written<IssuerEntry>[]
  readonly workloadIssuers: readonly Written<WorkloadIssuerEntry>[]
  readonly authorizationServers: readonly Written<AuthorizationServerEntry>[]
  readonly resources: readonly Written<ResourceEntry>[]
}

/** Adds a line to `problems` for each contradiction. */
export function* checkClientMetadata(
  { agents, resources, issuers, workloadIssuers, authorizationServers }: Named,
  issuer: string,
  problems: string[],
): Sliced<undefined> {
  const taken = new Map([
    ...[...issuers, ...workloadIssuers, ...authorizationServers].map(({ entry, at }) => [entry.issuer, at] as const),
    ...resources.map(({ entry, at }) => [entry.url, at] as const),
  ])
  for (const { at, entry } of agents) {
    yield
    const isUrl = entry.client_id.includes(':')
    if (isUrl && entry.client_metadata === undefined) {
      problems.push(`${at}.client_metadata: is needed where client_id is a URL: its keys are read there`)
    }
    if (!isUrl && entry.client_metadata !== undefined) {
      problems.push(`${at}.client_metadata: needs a client_id that is the URL of the document`)
    }
    if (!isUrl) continue
    for (const member of otherCredentials(entry)) {
      problems.push(`${at}.${member}: the document at its client_id says its keys; nothing beside it does`)
    }
    const other = taken.get(entry.client_id)
    if (other !== undefined) problems.push(`${at}.client_id: is the URL of ${other} already`)
    if (`${entry.client_id}/`.startsWith(`${issuer}/`)) problems.push(`${at}.client_id: belongs to the broker itself`)
  }
}

function otherCredentials(entry: AgentEntry): readonly string[] {
  const lists = ['keys', 'key_sets', 'client_secrets', 'api_keys'] as const
  return lists.filter((name) => entry[name].length > 0)
}
