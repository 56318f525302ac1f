/**
 * What an admin may do. A role is what people are given; a permission is what an endpoint asks for. A role gives what is
 * written here and nothing else: an unknown or absent one gives nothing.
 */

export const PERMISSIONS = ['read', 'approve', 'policy', 'security', 'shadow'] as const
/**
 * `read`: look at everything. `approve`: grant what somebody was refused. `policy`: change who may do what. `security`: kill,
 * lift, and change who vouches for whom. `shadow`: run a draft policy beside the one in force.
 */
export type Permission = (typeof PERMISSIONS)[number]

export const ADMIN_ROLES = ['viewer', 'approver', 'policy_admin', 'security'] as const
export type AdminRole = (typeof ADMIN_ROLES)[number]

/** Whoever changes policy neither ends the brakes others have put on, nor runs a draft without somebody else's word. */
const GIVEN: Readonly<Record<AdminRole, readonly Permission[]>> = {
  viewer: ['read'],
  approver: ['read', 'approve'],
  policy_admin: ['read', 'policy'],
  security: ['read', 'security', 'shadow'],
}

export function permits(roles: readonly AdminRole[], permission: Permission): boolean {
  return roles.some((role) => GIVEN[role].includes(permission))
}

export function isAdminRole(value: unknown): value is AdminRole {
  return ADMIN_ROLES.some((role) => role === value)
}
