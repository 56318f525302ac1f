/** Every name that an entry may refer to. */
import { each, type Sliced } from '../../kernel/slices.ts'
import { userName } from '../../kernel/user-name.ts'
import type { Entries } from './placed-entries.ts'
import { type TreeNames, treeNames } from './tree-checks.ts'

export interface Names extends TreeNames {
  readonly slugs: ReadonlySet<string>
  readonly listedSlugs: ReadonlySet<string>
  readonly users: ReadonlySet<string>
  readonly services: ReadonlySet<string>
  readonly agents: ReadonlySet<string>
  readonly owners: ReadonlySet<string>
  readonly toolsByServer: ReadonlyMap<string, ReadonlySet<string>>
  readonly tools: ReadonlySet<string>
}

export function* namesOf(entries: Entries): Sliced<Names> {
  const { issuers, users, services, resources, agents } = entries
  const tree = yield* treeNames(entries)
  const tools = new Set<string>()
  const toolsByServer = new Map<string, ReadonlySet<string>>()
  yield* each(resources, ({ entry }) => {
    const named = Object.keys(entry.tools)
    for (const tool of named) tools.add(tool)
    toolsByServer.set(entry.id, new Set(named))
  })
  return {
    ...tree,
    slugs: yield* setOf(issuers, ({ entry }) => entry.slug),
    listedSlugs: yield* setOf(
      issuers.filter(({ entry }) => entry.users === 'listed'),
      ({ entry }) => entry.slug,
    ),
    users: yield* setOf(users, ({ entry }) => userName({ issuerSlug: entry.issuer, sub: entry.sub })),
    services: yield* setOf(services, ({ entry }) => entry.client_id),
    agents: yield* setOf(agents, ({ entry }) => entry.client_id),
    owners: yield* setOf(agents, ({ entry }) => entry.owner),
    toolsByServer,
    tools,
  }
}

function* setOf<T>(items: readonly T[], nameOf: (item: T) => string): Sliced<ReadonlySet<string>> {
  const names = new Set<string>()
  yield* each(items, (item) => names.add(nameOf(item)))
  return names
}
