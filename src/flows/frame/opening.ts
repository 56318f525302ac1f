/** What Open and Autonomous share: both write a session with its root node. */
import type { Actor } from '../../authority/actor-chain.ts'
import type { Authority } from '../../authority/authority.ts'
import { agentPrincipal, newNodeId, newSalt, newSessionId } from '../../kernel/ids.ts'
import type { Confirmation } from '../../model/confirmation.ts'
import type { Permit } from '../../model/decision.ts'
import type { Intent, Origin } from '../../model/intent.ts'
import type { Resource } from '../../model/resource.ts'
import type { NodeFacts, OpeningEvidence, SessionFacts, Subject } from '../../model/session.ts'
import { openSession } from '../../sessions/session-commits.ts'
import { type Issue, type Party, sessionIndex, type Target } from '../flow.ts'
import { constraintFrom } from '../sender-constraint.ts'
import { intentHash } from './asked-authority.ts'

export interface Opening {
  readonly party: Party
  readonly subject: Subject
  readonly intent: Intent
  readonly origin: Origin
  readonly act: Actor | undefined
  readonly evidence: OpeningEvidence | undefined
  readonly instance: string | undefined
  /** `undefined`: a session token is wanted. */
  readonly target: Target | undefined
  readonly issuer: string
  readonly confirmation: Confirmation | undefined
  readonly now: number
  readonly rv: number
}

/** How long an access token for a resource may live. */
export function accessTokenEnd(resource: Resource, now: number, configuredSeconds: number): number {
  return now + Math.min(resource.accessTokenLifetimeSeconds, configuredSeconds)
}

/** How long what is wanted for a target may live. */
export function targetEnd(target: Target, now: number, configuredSeconds: number): number {
  if (target.kind === 'access') return accessTokenEnd(target.resource, now, configuredSeconds)
  return now + target.server.idJagLifetimeSeconds
}

/** Whom what is wanted for a target is addressed to. */
export function audienceOf(target: Target): string {
  return target.kind === 'access' ? target.resource.url : target.server.issuer
}

export function issueOpening(opening: Opening, permit: Permit): Issue {
  const authority: Authority = permit.effective
  const { session, root } = facts(opening, authority)
  const order = {
    holder: { session, node: root, path: [root.id] },
    authority,
    audience: opening.target === undefined ? opening.issuer : audienceOf(opening.target),
    rv: opening.rv,
    parentHash: undefined,
    confirmation: opening.confirmation,
    agentVersion: root.agentVersion,
    instance: opening.instance,
    now: opening.now,
    expiresAt: session.notAfter,
  }
  return {
    mint: opening.target ?? { kind: 'session' },
    order,
    change: openSession(session, root, opening.target !== undefined),
    indexes: [
      sessionIndex.all,
      sessionIndex.ofPrincipal(opening.subject.principal),
      sessionIndex.ofPrincipal(agentPrincipal(root.holder)),
    ],
  }
}

function facts(opening: Opening, authority: Authority): { session: SessionFacts; root: NodeFacts } {
  const salt = newSalt()
  const { agent, verified } = opening.party
  const root: NodeFacts = {
    id: newNodeId(),
    parent: undefined,
    holder: agent.clientId,
    agentVersion: verified.version,
    act: opening.act,
    authority,
    purpose: opening.intent.purpose,
    origin: opening.origin,
    intentHash: intentHash(salt, opening.intent.purpose),
    createdAt: opening.now,
    notAfter: authority.notAfter,
    senderConstraint: constraintFrom(opening.confirmation),
  }
  const session: SessionFacts = {
    id: newSessionId(),
    rootAgent: agent.clientId,
    rootNode: root.id,
    subject: opening.subject,
    accountableOwner: agent.owner,
    intentSalt: salt,
    ceiling: authority,
    evidence: opening.evidence,
    openedAt: opening.now,
    notAfter: authority.notAfter,
  }
  return { session, root }
}
