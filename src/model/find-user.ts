/** A user by name, as one version of the registry knows them. */
import type { UserName } from '../kernel/user-name.ts'
import type { User } from './issuer.ts'
import type { Registry } from './registry.ts'

/** `undefined`: nobody is named, the issuer is not known, or neither it nor the registry vouches for them. */
export function findUser(
  registry: Pick<Registry, 'issuerBySlug' | 'user'>,
  name: UserName | undefined,
): User | undefined {
  const issuer = name === undefined ? undefined : registry.issuerBySlug(name.issuerSlug)
  return issuer === undefined || name === undefined ? undefined : registry.user(issuer, name.sub)
}
