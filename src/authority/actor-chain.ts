/**
 * The `act` chain (RFC 8693 §4.1): who acts for whom, newest outermost. Never inferred, never truncated, never reordered.
 *
 * Validates: closed member sets, names present, depth, no actor twice on extension.
 * Does not validate: that the actors exist, or that the token which carried the chain was genuine.
 */
import { ACTOR_DEPTH_MAX } from '../kernel/limits.ts'
import { Rejection } from '../kernel/rejection.ts'
import { isPlainObject, type JsonObject, own, shown } from './strict-object.ts'

export interface Actor {
  /** Issuer whose namespace `sub` belongs to; not the token's signer. */
  readonly iss: string
  readonly sub: string
  readonly sub_profile?: string
  /** The actor before this one (RFC 8693 §4.1): newest outermost. */
  readonly act?: Actor
}

const MEMBERS = ['iss', 'sub', 'sub_profile', 'act']

/** @throws Rejection `actor_chain_malformed` or `actor_chain_too_deep`. */
export function parseActorChain(value: unknown): Actor {
  const levels: JsonObject[] = []
  let path = 'act'
  for (let level: unknown = value; ; level = own(levels.at(-1) ?? {}, 'act')) {
    if (levels.length === ACTOR_DEPTH_MAX) throw tooDeep(ACTOR_DEPTH_MAX)
    const object = parseLevel(level, path)
    levels.push(object)
    if (!Object.hasOwn(object, 'act')) break
    path += '.act'
  }
  // From the innermost outwards: what is returned holds the members known here and no others.
  let chain: Actor | undefined
  for (const level of levels.reverse()) chain = actorAbove(chain, level as unknown as Actor)
  if (chain === undefined) throw malformedChain('act', 'is absent')
  return chain
}

/** Claims beside these (RFC 8693 §4.1 names `exp` among those that mean nothing here) could only mislead a reader. */
function parseLevel(value: unknown, path: string): JsonObject {
  if (!isPlainObject(value)) throw malformedChain(path, 'must be an object')
  for (const member of Object.keys(value)) {
    if (!MEMBERS.includes(member)) throw malformedChain(path, `has the unexpected member ${shown(member)}`)
  }
  for (const member of ['iss', 'sub']) {
    if (!isName(own(value, member))) throw malformedChain(`${path}.${member}`, 'must be a non-empty string')
  }
  if (Object.hasOwn(value, 'sub_profile') && !isName(value.sub_profile)) {
    throw malformedChain(`${path}.sub_profile`, 'must be a non-empty string')
  }
  return value
}

function isName(value: unknown): boolean {
  return typeof value === 'string' && value !== ''
}

function actorAbove(current: Actor | undefined, { iss, sub, sub_profile }: Omit<Actor, 'act'>): Actor {
  return {
    iss,
    sub,
    ...(sub_profile === undefined ? {} : { sub_profile }),
    ...(current === undefined ? {} : { act: current }),
  }
}

/**
 * Puts `actor` on top of the subject's chain, which stays as it is underneath.
 * @throws Rejection `actor_chain_too_deep`, or `actor_chain_cycle` for an actor that is already in the chain: authority that
 *   returns to a former holder has gone round the narrowing of the hops between.
 */
export function extendChain(current: Actor | undefined, actor: Omit<Actor, 'act'>, depthMax: number): Actor {
  const chain = actors(current)
  if (chain.some((earlier) => earlier.iss === actor.iss && earlier.sub === actor.sub)) {
    throw new Rejection('actor_chain_cycle', `${shown(actor.sub)} is already in the actor chain`)
  }
  if (!(chain.length + 1 <= depthMax)) throw tooDeep(depthMax)
  return actorAbove(current, actor)
}

/** Newest first. */
export function actors(chain: Actor | undefined): readonly Actor[] {
  const list: Actor[] = []
  for (let actor = chain; actor !== undefined; actor = actor.act) list.push(actor)
  return list
}

export function chainDepth(chain: Actor | undefined): number {
  return actors(chain).length
}

function malformedChain(path: string, what: string): Rejection {
  return new Rejection('actor_chain_malformed', `${path} ${what}`)
}

function tooDeep(most: number): Rejection {
  return new Rejection('actor_chain_too_deep', `the actor chain would exceed ${most} actors`)
}
