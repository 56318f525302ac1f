/** Who answers for what, and which build of an agent a credential is of: owners are spelled as such, versions are registered. */
import type { Sliced } from '../../kernel/slices.ts'
import { parseOwner } from '../../model/owner.ts'
import type { AgentEntry } from '../entries/agent-entry.ts'

interface Written<T> {
  readonly at: string
  readonly entry: T
}

export function* checkOwners(
  owned: readonly Written<{ readonly owner: string }>[],
  refer: (owner: { readonly slug: string; readonly at: string }) => void,
  problems: string[],
): Sliced<undefined> {
  for (const { at, entry } of owned) {
    const owner = parseOwner(entry.owner)
    if (owner.kind === 'user') refer({ slug: owner.user.issuerSlug, at: `${at}.owner` })
    else if (owner.kind === 'team' && /^(user|group):/.test(entry.owner)) {
      problems.push(`${at}.owner: must be user:<issuer slug>:<sub>, group:<name>, or the name of a team`)
    }
    yield
  }
}

/** Where an agent registers its versions, it registers all of them: a credential of another would be nobody's to retire. */
export function* checkVersions(agents: readonly Written<AgentEntry>[], problems: string[]): Sliced<undefined> {
  for (const { at, entry } of agents) {
    yield
    if (entry.versions.length === 0) continue
    const versions = new Set<string>()
    for (const [index, { version }] of entry.versions.entries()) {
      if (versions.has(version)) problems.push(`${at}.versions[${index}].version: used twice by this agent`)
      versions.add(version)
    }
    for (const [member, version] of versionsNamed(entry)) {
      if (!versions.has(version)) problems.push(`${at}.${member}.version: ${version} is none of its versions`)
    }
  }
}

function versionsNamed(entry: AgentEntry): readonly (readonly [member: string, version: string])[] {
  const lists = ['keys', 'key_sets', 'client_secrets', 'workloads', 'spiffe_ids', 'api_keys'] as const
  const metadata =
    entry.client_metadata === undefined ? [] : [['client_metadata', entry.client_metadata.version] as const]
  return [
    ...metadata,
    ...lists.flatMap((list) => entry[list].map(({ version }, index) => [`${list}[${index}]`, version] as const)),
  ]
}
