/** RFC 6749 §3.3 scope strings: literal members, no wildcards, no hierarchy. */
import { SCOPE_CHARS_MAX, SCOPE_MEMBERS_MAX } from '../kernel/limits.ts'
import { Rejection } from '../kernel/rejection.ts'

/** Sorted, without duplicates. Compare members with `===` only. */
export type ScopeSet = readonly string[]

const SCOPE_TOKEN = /^[\x21\x23-\x5b\x5d-\x7e]+$/

export function isScopeToken(text: string): boolean {
  return SCOPE_TOKEN.test(text)
}

/** @throws Rejection `scope_malformed` for control characters, quotes, double spaces, or beyond the bounds. */
export function parseScope(text: string): ScopeSet {
  if (text.length > SCOPE_CHARS_MAX)
    throw new Rejection('scope_malformed', `scope exceeds ${SCOPE_CHARS_MAX} characters`)
  const members = text.split(' ')
  if (members.length > SCOPE_MEMBERS_MAX)
    throw new Rejection('scope_malformed', `scope exceeds ${SCOPE_MEMBERS_MAX} members`)
  for (const member of members) {
    if (!isScopeToken(member)) {
      throw new Rejection('scope_malformed', 'scope must be scope-tokens separated by one space (RFC 6749 section 3.3)')
    }
  }
  return scopeSet(members)
}

export function scopeSet(members: Iterable<string>): ScopeSet {
  return [...new Set(members)].sort()
}

export function formatScope(scopes: ScopeSet): string {
  return scopes.join(' ')
}

export function intersectScopes(a: ScopeSet, b: ScopeSet): ScopeSet {
  return a.filter((member) => b.includes(member))
}

export function isScopeSubset(child: ScopeSet, parent: ScopeSet): boolean {
  return child.every((member) => parent.includes(member))
}
