/**
 * Who may say yes to a call: a person, known here by name, who is somebody else than whoever it is done for and than everybody who
 * answers for an agent that does it. Where that cannot be told, nobody may.
 */
import { parseUserPrincipal, userName } from '../kernel/user-name.ts'
import { findUser } from './find-user.ts'
import { parseOwner } from './owner.ts'
import type { Registry } from './registry.ts'

type People = Pick<Registry, 'users' | 'issuerBySlug' | 'user' | 'client'>

/** What of a call decides who may not. */
export interface Involved {
  /** The principal it is done for. */
  readonly subject: string
  /** Client ids of every agent that has passed it on, and of the one that does it. */
  readonly agents: readonly string[]
}

/** `same_person`: it is their own matter; `unknown`: nobody can tell that it is not. */
export interface Objection {
  readonly kind: 'same_person' | 'unknown'
  readonly says: string
}

/** `undefined`: none, as far as the registry knows. @param principal whoever would say yes */
export function objectionTo(principal: string, { subject, agents }: Involved, registry: People): Objection | undefined {
  const person = findUser(registry, parseUserPrincipal(principal))
  if (person === undefined) {
    return {
      kind: 'unknown',
      says: 'a person approves, signed in under their own name: a token made on the broker’s machine is nobody’s (errand admin login)',
    }
  }
  if (subject === principal)
    return { kind: 'same_person', says: 'it is done on your behalf: somebody else approves it' }
  for (const id of agents) {
    const client = registry.client(id)
    // A server that has joined the chain does nothing by itself.
    if (client?.kind === 'service') continue
    if (client === undefined) return { kind: 'unknown', says: `${id} is not registered, so nobody answers for it` }
    const owner = parseOwner(client.owner)
    if (owner.kind === 'team') {
      return {
        kind: 'unknown',
        says: `the owner of agent ${id} is a team by name, and nobody can tell who is in it: its owner must be a user or a group`,
      }
    }
    const isOwner =
      owner.kind === 'user' ? userName(owner.user) === userName(person) : person.groups.includes(owner.group)
    if (isOwner) return { kind: 'same_person', says: `you answer for agent ${id}: somebody else approves it` }
  }
  return undefined
}
