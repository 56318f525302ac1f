/** Names of entries are unique: with two of one name, which of them is meant would depend on the order of the files. */
import type { Sliced } from '../../kernel/slices.ts'
import { userName } from '../../kernel/user-name.ts'
import { canonicalResource } from '../../protocol/resource.ts'
import type { ServiceEntry } from '../entries/client-entry.ts'
import type { Entries, Placed } from './placed-entries.ts'

/** Adds a line to `problems` for each name that is used twice. */
export function* checkUnique(entries: Entries, problems: string[]): Sliced<undefined> {
  function* unique<T>(placed: readonly Placed<T>[], nameOf: (entry: T) => string, member: string): Sliced<undefined> {
    const first = new Map<string, string>()
    for (const { at, entry } of placed) {
      const name = nameOf(entry)
      const before = first.get(name)
      if (before === undefined) first.set(name, at)
      else problems.push(`${at}.${member}: already used by ${before}`)
      yield
    }
  }
  yield* unique(entries.issuers, (entry) => entry.issuer, 'issuer')
  yield* unique<{ slug: string }>([...entries.issuers, ...entries.workloadIssuers], (entry) => entry.slug, 'slug')
  yield* unique(entries.workloadIssuers, (entry) => entry.issuer, 'issuer')
  yield* unique(entries.users, (entry) => userName({ issuerSlug: entry.issuer, sub: entry.sub }), 'sub')
  yield* unique(entries.projects, (entry) => entry.id, 'id')
  yield* unique(entries.roles, (entry) => entry.name, 'name')
  yield* unique(entries.resources, (entry) => entry.id, 'id')
  yield* unique(entries.resources, (entry) => canonicalOrRaw(entry.url), 'url')
  // One namespace: `client_id` alone says who a client is.
  yield* unique<ServiceEntry>([...entries.services, ...entries.agents], (entry) => entry.client_id, 'client_id')
  yield* unique(entries.grants, (entry) => entry.id, 'id')
}

/** A URL that is none is reported where URLs are checked. */
export function canonicalOrRaw(url: string): string {
  try {
    return canonicalResource(url)
  } catch {
    return url
  }
}
