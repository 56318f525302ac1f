/**
 * Who says what a server's tools are, over the admin API: the user, or a member of the group, that answers for it. What a tool is
 * called there (`read`, delegable) is what grants take it for, so that whoever writes grants does not write that, too. With the
 * permission for security it may be taken from an owner; a team is a name that nobody can be asked for, and binds nobody.
 */
import { Rejection } from '../../kernel/rejection.ts'
import { parseUserPrincipal } from '../../kernel/user-name.ts'
import { permits } from '../../model/admin-role.ts'
import type { OperatorCaller } from '../../model/caller.ts'
import { findUser } from '../../model/find-user.ts'
import { parseOwner } from '../../model/owner.ts'
import type { Registry } from '../../model/registry.ts'
import { canonicalJson } from '../../registry/canonical-json.ts'
import { nameOf, type Written } from '../../registry/sections.ts'

/** What is theirs: the tools, and who owns them. Whoever takes a server out could put another in its place. */
const OWNED = ['owner', 'tools', 'manifest_digest'] as const

/**
 * @param before resources as they are published, or as many of them as are changed; `after`: as they are to be
 * @throws Rejection `admin_forbidden`, recorded as theirs
 */
export function assertOwnersChange(
  before: readonly Written[],
  after: readonly Written[],
  caller: OperatorCaller,
  people: Registry,
): void {
  if (permits(caller.roles, 'security')) return
  const later = new Map(after.map((entry) => [nameOf('resources', entry), entry]))
  for (const entry of before) {
    const id = nameOf('resources', entry)
    const { owner } = entry
    if (typeof owner !== 'string' || !isTouched(entry, later.get(id)) || answersFor(owner, caller, people)) continue
    throw new Rejection('admin_forbidden', 'the tools of this server are for its owner to change', {
      by: caller.principal,
      missing: [`owner of resource ${id}, or permission security`],
    })
  }
}

function isTouched(before: Written, after: Written | undefined): boolean {
  const text = (value: unknown) => canonicalJson(value ?? null)
  return after === undefined || OWNED.some((member) => text(before[member]) !== text(after[member]))
}

function answersFor(owner: string, { principal }: OperatorCaller, people: Registry): boolean {
  const parsed = parseOwner(owner)
  if (parsed.kind === 'team') return true
  if (parsed.kind === 'user') return owner === principal
  const name = parseUserPrincipal(principal)
  const user = name === undefined ? undefined : findUser(people, name)
  return user?.active === true && user.groups.includes(parsed.group)
}
