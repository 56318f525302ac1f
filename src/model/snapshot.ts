/**
 * What a record keeps of the directory and of the registry as they were: both change, and who did it must read the same in years.
 */
import { userPrincipal } from '../kernel/ids.ts'
import { USER_GROUPS_RECORDED_MAX } from '../kernel/limits.ts'
import type { AuditRecord, UserSnapshot } from './audit-record.ts'
import type { User } from './issuer.ts'
import type { Resource } from './resource.ts'

export function userSnapshot({ issuerSlug, sub, email, groups, roles }: User): UserSnapshot {
  return {
    id: userPrincipal(issuerSlug, sub),
    ...(email === undefined ? {} : { email }),
    ...(groups.length === 0 ? {} : { groups: groups.slice(0, USER_GROUPS_RECORDED_MAX) }),
    ...(roles.length === 0 ? {} : { roles: roles.slice(0, USER_GROUPS_RECORDED_MAX) }),
  }
}

/** The server that something is for, by the name it has now. */
export function serverSnapshot({
  id,
  name,
  url,
  serverClient,
}: Pick<Resource, 'id' | 'name' | 'url' | 'serverClient'>): Pick<AuditRecord, 'server' | 'service'> & {
  readonly resource: string
} {
  return { resource: url, server: { id, name }, ...(serverClient === undefined ? {} : { service: serverClient }) }
}
