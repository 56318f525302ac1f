/**
 * The dimensions of cut-offs (DESIGN §7), and which cut-offs would concern a token, a call, a foreign credential: the one list
 * that brokers, their feed and verifiers go by.
 */
import { shardName } from '../kernel/shard.ts'
import type { EvidenceFacts, TokenFacts } from './token-facts.ts'

/** Presence kills. */
const ABSOLUTE = ['node', 'session', 'key'] as const
/** Access tokens only, of whoever this is about, and at whatever this is for: their sessions live on, and policy is asked. */
const ACCESS = ['session_access', 'agent_access', 'user_access', 'pair_access', 'resource'] as const
/** `issuer`: by its slug, everything of its users. `shard`: the sessions of one whose store has lost writes. */
const ALL_TOKENS = ['agent', 'agent_version', 'user', 'user_agent', 'issuer', 'shard', 'everything'] as const
/**
 * No token dies of these. `tool`: its calls by tokens from before. `issuer_sign_ins`: whoever has signed in at this issuer before
 * opens nothing by it.
 */
const NO_TOKEN = ['tool', 'issuer_sign_ins'] as const
export const DIMENSIONS = [...ABSOLUTE, ...ACCESS, ...ALL_TOKENS, ...NO_TOKEN] as const

export type AbsoluteDimension = (typeof ABSOLUTE)[number]
/** A token is dead iff a cut-off that concerns it has `seq > token.rv`. */
type SequenceDimension = (typeof ACCESS | typeof ALL_TOKENS | typeof NO_TOKEN)[number]
export type Dimension = AbsoluteDimension | SequenceDimension

export function isAbsolute(dimension: Dimension): dimension is AbsoluteDimension {
  return (ABSOLUTE as readonly Dimension[]).includes(dimension)
}

/** The one id of the dimension `everything`; of `resource`: all of them. */
export const EVERYTHING = '*'

/** Subject and agent, agent and version, resource and tool. No second name has a bar in it, so no two pairs are one text. */
export function pairKey(first: string, second: string): string {
  return `${first}|${second}`
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
    if (!accessToken) continue
    add('agent_access', agent)
    if (subject !== undefined) add('pair_access', pairKey(subject, agent))
  }
  for (const version of facts.versions) add('agent_version', version)
  add('session', session)
  add('shard', session === undefined ? undefined : shardName(session))
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

/** Where there may be a cut-off that kills a call of this tool by a token for this resource, and leaves the token alive. */
export function concerningCall(resource: string, tool: string): Concern {
  return ['tool', pairKey(resource, tool)]
}

/** Every place where there may be a cut-off that a foreign credential must be younger than. */
export function concerningEvidence({ agent, version, user, issuer }: EvidenceFacts): readonly Concern[] {
  const found: Concern[] = [
    ['everything', EVERYTHING],
    ['agent', agent],
  ]
  if (version !== undefined) found.push(['agent_version', pairKey(agent, version)])
  if (issuer !== undefined) found.push(['issuer', issuer])
  if (user === undefined) return found
  const slug = slugOf(user)
  if (slug !== undefined) found.push(['issuer_sign_ins', slug])
  return [...found, ['user', user], ['user_agent', pairKey(user, agent)]]
}

/** `user:<slug>:<sub>`: a slug has no colon. */
export function slugOf(user: string | undefined): string | undefined {
  return user?.split(':', 2)[1]
}
