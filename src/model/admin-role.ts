/**
 * What an admin may do. A role is what people are given; a permission is what an endpoint asks for. A role gives what is
 * written here and nothing else: an unknown or absent one gives nothing.
 */
import { userName } from '../kernel/user-name.ts'
import type { User } from './issuer.ts'

export const PERMISSIONS = ['read', 'approve', 'policy', 'security', 'shadow', 'forensics'] as const
/**
 * `read`: look at everything. `approve`: grant what somebody was refused. `policy`: change who may do what. `security`: kill,
 * lift, and change who vouches for whom. `shadow`: run a draft policy beside the one in force.
 * `forensics`: read what people, agents and tools have said, where it is captured.
 */
export type Permission = (typeof PERMISSIONS)[number]

export const ADMIN_ROLES = ['viewer', 'approver', 'policy_admin', 'security', 'forensics'] as const
export type AdminRole = (typeof ADMIN_ROLES)[number]

/** Whoever reads what was captured can do nothing else with it; whoever can end and erase things reads none of it. Whoever changes policy neither ends the brakes others have put on, nor runs a draft without somebody else's word. */
const GIVEN: Readonly<Record<AdminRole, readonly Permission[]>> = {
  viewer: ['read'],
  approver: ['read', 'approve'],
  policy_admin: ['read', 'policy'],
  security: ['read', 'security', 'shadow'],
  forensics: ['read', 'forensics'],
}

/** Whom the broker's own configuration makes an admin; each entry names one of the two. */
export interface AdminEntry {
  /** `<issuer slug>:<sub>` */
  readonly user?: string
  /** A group that the registry lists the user in. */
  readonly group?: string
  readonly roles: readonly AdminRole[]
}

/** Nobody who is not named is anything. */
export function adminRolesOf(user: User, admins: readonly AdminEntry[]): readonly AdminRole[] {
  const name = userName(user)
  const theirs = admins.filter((entry) =>
    entry.user === undefined ? entry.group !== undefined && user.groups.includes(entry.group) : entry.user === name,
  )
  const given = new Set(theirs.flatMap(({ roles }) => roles))
  return ADMIN_ROLES.filter((role) => given.has(role))
}

export function permits(roles: readonly AdminRole[], permission: Permission): boolean {
  return roles.some((role) => GIVEN[role].includes(permission))
}

export function isAdminRole(value: unknown): value is AdminRole {
  return ADMIN_ROLES.some((role) => role === value)
}
