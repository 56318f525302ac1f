/**
 * The dimensions of cut-offs (DESIGN §7), and which cut-offs would concern a token: the one list that brokers, their feed and
 * verifiers go by.
 */
import type { TokenFacts } from './token-facts.ts'

/** Presence kills. */
const ABSOLUTE = ['node', 'session', 'key'] as const
/** Access tokens only, of whoever this is about, and at whatever this is for: their sessions live on, and policy is asked. */
const ACCESS = ['session_access', 'agent_access', 'user_access', 'resource'] as const
/** `issuer`: by its slug, everything of its users. */
const ALL_TOKENS = ['agent', 'user', 'user_agent', 'issuer', 'everything'] as const
export const DIMENSIONS = [...ABSOLUTE, ...ACCESS, ...ALL_TOKENS] as const

type AbsoluteDimension = (typeof ABSOLUTE)[number]
/** A token is dead iff a cut-off that concerns it has `seq > token.rv`. */
type SequenceDimension = (typeof ACCESS | typeof ALL_TOKENS)[number]
export type Dimension = AbsoluteDimension | SequenceDimension

export function isAbsolute(dimension: Dimension): dimension is AbsoluteDimension {
  return (ABSOLUTE as readonly Dimension[]).includes(dimension)
}

/** The one id of the dimension `everything`; of `resource`: all of them. */
export const EVERYTHING = '*'

export function pairKey(subject: string, clientId: string): string {
  return `${subject}|${clientId}`
}

/** A place where a cut-off may be: dimension and id. */
export type Concern = readonly [Dimension, string]

/** Every place where there may be a cut-off that concerns this token, in the order in which they are looked up. */
export function concerning(facts: TokenFacts): readonly Concern[] {
  const { session, user, kid, audience, accessToken } = facts
  const found: Concern[] = facts.nodes.map((node) => ['node', node])
  const add = (dimension: Dimension, id: string | undefined) => {
    if (id !== undefined) found.push([dimension, id])
  }
  const subject = facts.subject ?? user
  for (const agent of facts.agents) {
    add('agent', agent)
    if (subject !== undefined) add('user_agent', pairKey(subject, agent))
    if (accessToken) add('agent_access', agent)
  }
  add('session', session)
  add('user', user)
  add('issuer', slugOf(user))
  add('key', kid)
  add('everything', EVERYTHING)
  if (!accessToken) return found
  add('session_access', session)
  add('user_access', user)
  add('resource', audience)
  add('resource', EVERYTHING)
  return found
}

/** `user:<slug>:<sub>`: a slug has no colon. */
function slugOf(user: string | undefined): string | undefined {
  return user?.split(':', 2)[1]
}
