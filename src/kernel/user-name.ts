/** How a user is written: `<issuer slug>:<sub>`, and as a principal `user:<issuer slug>:<sub>`. */

export interface UserName {
  readonly issuerSlug: string
  readonly sub: string
}

const PREFIX = 'user:'

/** `<issuer slug>:<sub>`. A slug has no colon, so the first one ends it and two names cannot be the same text. */
export function userName({ issuerSlug, sub }: UserName): string {
  return `${issuerSlug}:${sub}`
}

/** `undefined`: it names nobody. A `sub` may hold colons. */
export function parseUserName(text: string): UserName | undefined {
  const [, issuerSlug, sub] = /^([a-z0-9-]{1,32}):(.+)$/s.exec(text) ?? []
  return issuerSlug === undefined || sub === undefined ? undefined : { issuerSlug, sub }
}

/** Of `user:<issuer slug>:<sub>`. `undefined`: another kind of principal, or none. */
export function parseUserPrincipal(text: string): UserName | undefined {
  return text.startsWith(PREFIX) ? parseUserName(text.slice(PREFIX.length)) : undefined
}
