/** What Continue, Delegate and Accept share: all start from a handle of a node of a live session. */
import type { ParsedDetails } from '../../authority/details.ts'
import { agentsOf } from '../../authority/named.ts'
import { Rejection } from '../../kernel/rejection.ts'
import type { Agent } from '../../model/client.ts'
import type { HandleEvidence, SubjectEvidence } from '../../model/evidence.ts'
import { withEmail } from '../../model/find-user.ts'
import type { User } from '../../model/issuer.ts'
import type { Registry } from '../../model/registry.ts'
import type { SessionFacts } from '../../model/session.ts'
import type { LiveSession, SessionRepository } from '../../sessions/session-repository.ts'
import type { FrameInput } from '../flow.ts'
import type { ExchangeRequest } from '../token-request.ts'

/** Round trip 1 of a token of a session; `undefined`: it is none. @throws Rejection as `readForExchange` */
export async function heldSession(
  evidence: SubjectEvidence,
  sessions: Pick<SessionRepository, 'readForExchange'>,
  now: number,
): Promise<LiveSession | undefined> {
  if (!('session' in evidence)) return undefined
  const { kind, jti, session, path } = evidence
  const own = kind === 'session' ? {} : { [kind]: jti }
  return sessions.readForExchange(session, path, { ...own, now })
}

export function liveOf(input: Pick<HandleInput, 'live'>): LiveSession {
  if (input.live === undefined) throw new Error('a handle is framed with its live session')
  return input.live
}

/** Continue and Accept carry no intent of their own. @throws Rejection `intent_unexpected` */
export function onlyNarrows(details: ParsedDetails | undefined): void {
  if (details?.intent === undefined) return
  throw new Rejection(
    'intent_unexpected',
    'agent_intent is declared when opening or delegating; here details can only narrow',
  )
}

/**
 * The registered agents of a node's chain other than `holder`, the subject included where it is one: all are asked about.
 * @throws Rejection `agent_inactive` where one is no longer registered
 */
export function chainAgents(live: LiveSession, holder: Agent, input: ChainInput): readonly Agent[] {
  const { act } = live.node
  const actors = { subject: live.facts.subject.principal, clientId: live.node.holder, act }
  return agentsOf(actors, input.settings.issuer)
    .filter((id) => id !== holder.clientId)
    .map((id) => {
      const client = input.registry.client(id)
      if (client?.kind === 'agent') return client
      throw new Rejection('agent_inactive', 'an agent of this chain is no longer registered')
    })
}

type HandleInput = FrameInput<ExchangeRequest, HandleEvidence>
type ChainInput = Pick<HandleInput, 'settings' | 'registry'>

/** Whom what is done with a token of a session is about, and for. @throws Rejection as the functions it asks */
export function asHeld(live: LiveSession, holder: Agent, input: ChainInput & Pick<HandleInput, 'question'>) {
  const { facts } = live
  return {
    ...input.question,
    agent: holder,
    chain: chainAgents(live, holder, input),
    subject: facts.subject.principal,
    user: userOf(facts, input.registry),
    risk: facts.evidence?.risk,
    ceiling: facts.ceiling,
  }
}

/** The user behind the session as the registry knows them now: "active" is re-read at every exchange (DESIGN §6). */
export function userOf(facts: SessionFacts, registry: Registry): User | undefined {
  const subject = facts.subject.user
  if (subject === undefined) return undefined
  const issuer = registry.issuerBySlug(subject.issuerSlug)
  const user = issuer === undefined ? undefined : registry.user(issuer, subject.sub)
  if (user === undefined) throw new Rejection('user_not_listed', 'the user of this session is no longer listed')
  if (!user.active) throw new Rejection('user_inactive', 'the user of this session is no longer active')
  return withEmail(user, facts)
}
