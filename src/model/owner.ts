/**
 * Who answers for an agent or a server: a user (`user:<slug>:<sub>`), a group (`group:<name>`), or a team by a name that only
 * people know. An owner who has left leaves orphans behind.
 */
import type { Sliced } from '../kernel/slices.ts'
import { parseUserPrincipal, type UserName } from '../kernel/user-name.ts'
import { findUser } from './find-user.ts'
import type { User } from './issuer.ts'
import type { Registry } from './registry.ts'

/** `unverified`: a team's name, of which the registry cannot tell. */
export type OwnerStanding = 'active' | 'left' | 'unverified'

export type Owner =
  | { readonly kind: 'user'; readonly user: UserName }
  | { readonly kind: 'group'; readonly group: string }
  | { readonly kind: 'team' }

export interface Orphan {
  readonly kind: 'agent' | 'project' | 'resource'
  readonly id: string
  readonly owner: string
}

/** Agents whose owner has left. */
export interface Orphans {
  /** Epoch milliseconds; `undefined`: somebody answers for it. */
  since(clientId: string): number | undefined
}

type People = Pick<Registry, 'users' | 'issuerBySlug' | 'user'>

export function parseOwner(owner: string): Owner {
  const user = parseUserPrincipal(owner)
  if (user !== undefined) return { kind: 'user', user }
  const group = /^group:(.+)$/s.exec(owner)
  return group === null ? { kind: 'team' } : { kind: 'group', group: group[1] ?? '' }
}

/** Whether somebody is whom this names, or of the group; of a team nobody can tell. */
export function answersFor(registry: People, owner: string, principal: string): boolean {
  const parsed = parseOwner(owner)
  if (parsed.kind === 'user') return owner === principal
  if (parsed.kind === 'team') return false
  const name = parseUserPrincipal(principal)
  return name !== undefined && findUser(registry, name)?.groups.includes(parsed.group) === true
}

/** A user who is not active or not listed has left; so has a group without an active member. */
export function ownerStanding(registry: People, owner: string): OwnerStanding {
  const parsed = parseOwner(owner)
  if (parsed.kind === 'team') return 'unverified'
  if (parsed.kind === 'group') return activeGroups(registry.users).has(parsed.group) ? 'active' : 'left'
  return findUser(registry, parsed.user)?.active === true ? 'active' : 'left'
}

/** What is owned by nobody any more; what is retired needs no owner. */
export function* orphaned(registry: Registry): Sliced<readonly Orphan[]> {
  const orphans: Orphan[] = []
  for (const orphan of owned(registry)) {
    if (ownerStanding(registry, orphan.owner) === 'left') orphans.push(orphan)
    yield
  }
  return orphans
}

function* owned({ agents, resources, projects }: Registry): Generator<Orphan> {
  for (const { clientId: id, state, owner } of agents) if (state !== 'retired') yield { kind: 'agent', id, owner }
  for (const { id, state, owner } of resources) if (state !== 'retired') yield { kind: 'resource', id, owner }
  for (const { id, owner } of projects) yield { kind: 'project', id, owner }
}

const groupsOf = new WeakMap<readonly User[], ReadonlySet<string>>()

function activeGroups(users: readonly User[]): ReadonlySet<string> {
  const known = groupsOf.get(users)
  if (known !== undefined) return known
  const groups = new Set(users.flatMap(({ active, groups }) => (active ? groups : [])))
  groupsOf.set(users, groups)
  return groups
}
