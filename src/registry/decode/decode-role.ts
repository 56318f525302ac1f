/** Roles by whom they are given to: what makes the roles of a user. */

import { getOrInsertComputed } from '../../kernel/maps.ts'
import { userName } from '../../kernel/user-name.ts'
import type { User } from '../../model/issuer.ts'
import type { RoleEntry } from '../entries/role-entry.ts'

/** The same user, with the roles that are listed for them and those that their groups and their name bring. */
export function rolesGiven(entries: readonly RoleEntry[]): (user: User) => User {
  const byGroup = new Map<string, string[]>()
  const byUser = new Map<string, string[]>()
  for (const { name, groups, users } of entries) {
    for (const group of groups) getOrInsertComputed(byGroup, group, () => []).push(name)
    for (const user of users) getOrInsertComputed(byUser, user, () => []).push(name)
  }
  return (user) => {
    const given = user.groups.flatMap((group) => byGroup.get(group) ?? [])
    const named = byUser.get(userName(user)) ?? []
    return { ...user, roles: [...new Set([...user.roles, ...given, ...named])] }
  }
}
