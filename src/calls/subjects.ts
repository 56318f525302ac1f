/**
 * Whom an evaluation is about, as the registry knows them now. What the request says of them beside their name (their roles,
 * their department) is not believed: who asks is no authority on people.
 */

import type { ClientId, PrincipalId } from '../kernel/ids.ts'
import { agentPrincipal, userPrincipal } from '../kernel/ids.ts'
import { Rejection } from '../kernel/rejection.ts'
import { parseUserName, userName } from '../kernel/user-name.ts'
import type { Agent, Service } from '../model/client.ts'
import { findUser } from '../model/find-user.ts'
import type { User } from '../model/issuer.ts'
import type { Registry } from '../model/registry.ts'
import { ANY_AGENT_ID, anyAgent } from '../policy/any-agent.ts'
import type { AskedSubject } from './authzen-request.ts'

/** A user, and the agent that would act for them; or an agent in its own name. */
export interface Party {
  readonly subject: PrincipalId
  readonly user: User | undefined
  readonly agent: Agent
}

const USER = 'user'
const AGENT = 'agent'
/** `user:…` or `agent:…`, as `sub` of every token of ours has it (COAZ-MCP draft 1). */
const IDENTITY = 'identity'

export interface NamingParts {
  readonly registry: Registry
  readonly environment: string
  /** Who asks, and so whose names these are. */
  readonly caller: Service
}

/**
 * `undefined`: nobody is known by that name.
 * @throws Rejection `parameter_malformed`
 */
export function partyOf(
  { type, id = '' }: AskedSubject,
  context: Readonly<Record<string, unknown>>,
  parts: NamingParts,
): Party | undefined {
  const { agent: named } = context
  if (named !== undefined && typeof named !== 'string') {
    throw new Rejection('parameter_malformed', 'context.agent must be the client id of an agent')
  }
  if (type === USER) return forUser(userNamed(id, parts), named, parts)
  if (type === AGENT) return forAgent(id, named, parts)
  if (type !== IDENTITY) return undefined
  const [kind, ...rest] = id.split(':')
  const name = rest.join(':')
  if (kind === 'user') return forUser(findUser(parts.registry, parseUserName(name)), named, parts)
  return kind === 'agent' ? forAgent(name, named, parts) : undefined
}

/** Everybody of this type, in the order of the registry. */
export function everybody(type: string, { registry, caller }: NamingParts): readonly string[] {
  if (type === AGENT) return registry.agents.map(({ clientId }) => clientId)
  if (type === IDENTITY) {
    const users = registry.users.map(({ issuerSlug, sub }) => userPrincipal(issuerSlug, sub))
    return [...users, ...registry.agents.map(({ clientId }) => agentPrincipal(clientId))]
  }
  if (type !== USER) return []
  const { usersOf } = caller
  if (usersOf === undefined) return registry.users.map(userName)
  return registry.users.filter(({ issuerSlug }) => issuerSlug === usersOf).map(({ sub }) => sub)
}

/** `slug:sub`; or the bare `sub`, where the caller's entry says whose users it means, and then nothing else. */
function userNamed(id: string, parts: NamingParts): User | undefined {
  const { usersOf } = parts.caller
  return findUser(parts.registry, parseUserName(usersOf === undefined ? id : `${usersOf}:${id}`))
}

function forUser(user: User | undefined, named: string | undefined, parts: NamingParts): Party | undefined {
  const agent = named === undefined ? anyAgent(parts.environment) : agentNamed(named, parts)
  if (user === undefined || agent === undefined) return undefined
  return { subject: userPrincipal(user.issuerSlug, user.sub), user, agent }
}

/** An agent acts for itself alone: another beside it would be a chain that nobody has delegated. */
function forAgent(id: string, named: string | undefined, parts: NamingParts): Party | undefined {
  const agent = agentNamed(id, parts)
  if (agent === undefined || (named !== undefined && named !== id)) return undefined
  return { subject: agentPrincipal(agent.clientId), user: undefined, agent }
}

function agentNamed(id: string, { registry }: NamingParts): Agent | undefined {
  const client = registry.client(id)
  return client?.kind === 'agent' ? client : undefined
}

/** Client ids of those named, for the blocks that stand against them. */
export function agentsNamed({ agent }: Party): readonly ClientId[] {
  return agent.clientId === ANY_AGENT_ID ? [] : [agent.clientId]
}
