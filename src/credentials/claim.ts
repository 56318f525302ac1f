/** Reading single claims of a verified JWT: own members only, typed or refused; never repaired. */
import { parseCnf } from '../jose/cnf.ts'
import { JwtError } from '../jose/jwt-error.ts'
import { isName } from '../jose/name.ts'
import type { Confirmation } from '../model/confirmation.ts'

export type Claims = Readonly<Record<string, unknown>>

/** Own members only: a claim named `constructor` is absent unless the token carries it. */
export function claim(claims: Claims, name: string): unknown {
  return Object.hasOwn(claims, name) ? claims[name] : undefined
}

/** Whom a token was issued to, as issuers write it: OpenID Connect, RFC 9068, Okta, Entra v1. Those that are there. */
export function issuedTo(claims: Claims): readonly unknown[] {
  return ['azp', 'client_id', 'cid', 'appid'].map((name) => claim(claims, name)).filter((value) => value !== undefined)
}

/** @throws JwtError `claims` unless it is a short string without control characters. */
export function nameClaim(claims: Claims, name: string): string {
  const value = claim(claims, name)
  if (!isName(value)) throw new JwtError('claims', `${name} must be a short string`)
  return value
}

export function optionalNameClaim(claims: Claims, name: string): string | undefined {
  return claim(claims, name) === undefined ? undefined : nameClaim(claims, name)
}

/** @throws JwtError `claims` unless it is a whole number from 0. */
export function integerClaim(claims: Claims, name: string): number {
  const value = claim(claims, name)
  if (!Number.isSafeInteger(value) || (value as number) < 0) {
    throw new JwtError('claims', `${name} must be a whole number`)
  }
  return value as number
}

/** @throws JwtError `claims` unless it is a list of `least` to `most` short strings. */
export function nameListClaim(claims: Claims, name: string, least: number, most: number): readonly string[] {
  const value = claim(claims, name)
  if (!Array.isArray(value) || value.length < least || value.length > most || !value.every(isName)) {
    throw new JwtError('claims', `${name} must be a list of ${least} to ${most} short strings`)
  }
  return value
}

/**
 * The key the token is bound to (RFC 7800 `cnf`); `undefined`: none. Whoever takes the token must see that key proven: taking
 * it as a bearer token would undo the protection it was bound for. @throws JwtError `claims`
 */
export function confirmationOf(claims: Claims): Confirmation | undefined {
  const cnf = claim(claims, 'cnf')
  return cnf === undefined ? undefined : parseCnf(cnf)
}
