/**
 * What tokens of one session say alike that come one after the other: everything but their ids, times and `rv`. What is alike is
 * compared, member by member, and then not read again.
 */
import type { Concern } from '../../authority/dimensions.ts'
import type { VerifiedToken } from './verified-token.ts'

type Claims = Readonly<Record<string, unknown>>

export interface Alike {
  /** As one of them said it. */
  readonly token: VerifiedToken
  readonly kid: string | undefined
  /** Those of its claims that are text, numbers or the like. */
  readonly scalars: readonly (readonly [name: string, value: unknown])[]
  /** Those that are objects or lists, sealed. */
  readonly members: readonly (readonly [name: string, value: unknown])[]
  /** All of the members, in their order. */
  readonly text: string
  /** Where all of them may be cut off, once that was asked. */
  places?: readonly Concern[]
}

/** What no two tokens have in common; `verifyJwt` has seen to all that is asked of them. */
const NOT_ALIKE = ['iat', 'exp', 'nbf', 'jti', 'rv']

/** @param token read-only */
export function alikeOf(token: VerifiedToken, kid: string | undefined): Alike {
  const said = Object.entries(token.claims).filter(([name]) => !NOT_ALIKE.includes(name))
  const members = said.filter(([, value]) => isMember(value))
  return {
    token,
    kid,
    scalars: said.filter(([, value]) => !isMember(value)),
    members,
    text: JSON.stringify(members.map(([, value]) => value)),
  }
}

/** Whether they say all of it, and nothing else. @param claims as the strict parser makes them: each is their own */
export function saysAlike(claims: Claims, { scalars, members, text }: Alike): boolean {
  let others = Object.keys(claims).length - scalars.length - members.length
  for (const name of NOT_ALIKE) if (Object.hasOwn(claims, name)) others -= 1
  if (others !== 0) return false
  // What they inherit is equal to nothing that came from JSON.
  for (const [name, value] of scalars) if (claims[name] !== value) return false
  return JSON.stringify(members.map(([name]) => claims[name])) === text
}

function isMember(value: unknown): boolean {
  return typeof value === 'object' && value !== null
}
