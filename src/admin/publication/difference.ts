/** Two versions of the policy side by side: what changed, for people; and what is taken away, for the cut-offs. */
import { userPrincipal } from '../../kernel/ids.ts'
import { each, type Sliced } from '../../kernel/slices.ts'
import { parseUserName } from '../../kernel/user-name.ts'
import type { User } from '../../model/issuer.ts'
import type { Registry } from '../../model/registry.ts'
import { fingerprint, isSame } from './fingerprint.ts'
import { type Taken, TakenAway, type Versions } from './taken.ts'
import { ownersNamed, takenFromClient } from './taken-from-clients.ts'
import { takenByGrants } from './taken-from-grants.ts'
import { takenFromResource } from './taken-from-resources.ts'
import { narrowingNames, takenFromIssuer, takenFromUser } from './taken-from-users.ts'
import { type Unshared, unshared } from './unshared.ts'
import { widenedBy } from './widened.ts'

export interface Difference {
  /** `agent:researcher`, and so on. */
  readonly added: readonly string[]
  readonly changed: readonly string[]
  readonly removed: readonly string[]
  readonly taken: readonly Taken[]
  /** What it gives that was not given before, in lines for people. */
  readonly widened: readonly string[]
}

type Section = { [K in keyof Registry]: Registry[K] extends readonly unknown[] ? K : never }[keyof Registry]

/** What its entries are called. Every section of a registry: one that is added has to be compared below, too. */
const SECTIONS: Readonly<{ [K in Section]: (entry: Registry[K][number]) => string }> = {
  grants: ({ id }) => `grant:${id}`,
  agents: ({ clientId }) => `agent:${clientId}`,
  services: ({ clientId }) => `service:${clientId}`,
  resources: ({ id }) => `resource:${id}`,
  issuers: ({ slug }) => `issuer:${slug}`,
  projects: ({ id }) => `project:${id}`,
  roles: ({ name }) => `role:${name}`,
  users: ({ issuerSlug, sub }) => userPrincipal(issuerSlug, sub),
  authorizationServers: ({ issuer }) => `authorization_server:${issuer}`,
  workloadIssuers: ({ slug }) => `workload_issuer:${slug}`,
  trustDomains: ({ name }) => `trust_domain:${name}`,
}

type Changes = { readonly [K in Section]: Unshared<Registry[K][number]> }

export function* differenceOf(versions: Versions): Sliced<Difference> {
  const changes = yield* changesOf(versions)
  const taken = yield* takenAway(versions, changes)
  const added: string[] = []
  const changed: string[] = []
  const removed: string[] = []
  for (const section of Object.keys(SECTIONS) as Section[]) {
    const before = yield* named(changes[section].before, section)
    const after = yield* named(changes[section].after, section)
    yield* each(after, ([name, text]) => {
      const was = before.get(name)
      if (was === undefined) added.push(name)
      else if (was !== text) changed.push(name)
    })
    yield* each(before.keys(), (name) => {
      if (!after.has(name)) removed.push(name)
    })
  }
  return { added, changed, removed, taken, widened: yield* widenedBy(versions.before, versions.after, changes) }
}

function* changesOf({ before, after }: Versions): Sliced<Changes> {
  const changes: Partial<Record<Section, Unshared<object>>> = {}
  for (const section of Object.keys(SECTIONS) as Section[]) {
    const nameOf = SECTIONS[section] as (entry: object) => string
    changes[section] = yield* unshared<object>(before[section], after[section], nameOf)
  }
  return changes as Changes
}

function* named(entries: readonly object[], section: Section): Sliced<ReadonlyMap<string, string>> {
  const nameOf = SECTIONS[section] as (entry: object) => string
  const texts = new Map<string, string>()
  for (const entry of entries) {
    const { at: _at, ...rest } = entry as { readonly at?: string }
    texts.set(nameOf(entry), fingerprint(rest))
    yield
  }
  return texts
}

export function* takenBy(versions: Versions): Sliced<readonly Taken[]> {
  return yield* takenAway(versions, yield* changesOf(versions))
}

function* takenAway(versions: Versions, changes: Changes): Sliced<readonly Taken[]> {
  const { before, after } = versions
  const taken = new TakenAway()
  const compared = { ...versions, ownersNamed: yield* ownersNamed(versions) }
  const clients = [...changes.agents.before, ...changes.services.before]
  yield* each(clients, (client) => takenFromClient(client, compared, taken))
  for (const resource of changes.resources.before) {
    takenFromResource(resource, versions, taken)
    yield
  }
  for (const issuer of changes.issuers.before) takenFromIssuer(issuer, versions, taken)
  const hazards = yield* narrowingNames(after)
  for (const users of [changes.users.before, changes.users.after, bearersOf(before), bearersOf(after)]) {
    yield* each(users, (user) => takenFromUser(user, versions, hazards, taken))
  }
  yield* takenByGrants(versions, changes.grants, taken)
  yield* takenByVouchers(versions, taken)
  return taken.all()
}

/** Roles name users who may not be listed: their issuer vouches for them. */
function* bearersOf({ roles }: Registry): Generator<Pick<User, 'issuerSlug' | 'sub'>> {
  for (const { users } of roles) {
    for (const user of users) {
      const parsed = parseUserName(user)
      if (parsed !== undefined) yield parsed
    }
  }
}

/** Who vouches for workloads is who is believed: where that changes, whoever it vouched for begins anew. */
function* takenByVouchers({ before, after }: Versions, taken: TakenAway): Sliced<undefined> {
  const platforms = changedOf(before.workloadIssuers, after.workloadIssuers, ({ slug }) => slug)
  const domains = changedOf(before.trustDomains, after.trustDomains, ({ name }) => name)
  if (platforms.size + domains.size === 0) return
  for (const { clientId, workloads, spiffeIds } of [...before.agents, ...before.services]) {
    yield
    const isConcerned =
      workloads.some(({ issuer }) => platforms.has(issuer)) ||
      spiffeIds.some(({ id }) => domains.has(id.slice('spiffe://'.length).split('/')[0] ?? ''))
    if (isConcerned) taken.add('agent', clientId, `${clientId}: who vouches for its workloads`)
  }
}

function changedOf<T>(before: readonly T[], after: readonly T[], nameOf: (entry: T) => string): ReadonlySet<string> {
  const now = new Map(after.map((entry) => [nameOf(entry), entry]))
  return new Set(before.filter((entry) => !isSame(entry, now.get(nameOf(entry)))).map(nameOf))
}
