/** A user by name, as one version of the registry knows them. */
import type { UserName } from '../kernel/user-name.ts'
import type { User } from './issuer.ts'
import type { Registry } from './registry.ts'
import type { SessionFacts } from './session.ts'

/** `undefined`: nobody is named, the issuer is not known, or neither it nor the registry vouches for them. */
export function findUser(
  registry: Pick<Registry, 'issuerBySlug' | 'user'>,
  name: UserName | undefined,
): User | undefined {
  const issuer = name === undefined ? undefined : registry.issuerBySlug(name.issuerSlug)
  return issuer === undefined || name === undefined ? undefined : registry.user(issuer, name.sub)
}

/** One whom the registry does not list, or whose issuer it has not, is nobody there. */
export function findUserOrNobody(registry: Pick<Registry, 'issuerBySlug' | 'user'>, then: User): User {
  return findUser(registry, then) ?? { ...then, active: false, groups: [], roles: [] }
}

/** With the email that their sign-in said, where the directory says none. */
export function withEmail(user: User, { evidence }: Pick<SessionFacts, 'evidence'>): User {
  return user.email === undefined && evidence?.email !== undefined ? { ...user, email: evidence.email } : user
}
