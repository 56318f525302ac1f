/** What flows share that write a session with its root node: Open, Autonomous, Enterprise-managed. */
import { type Actor, extendChain } from '../../authority/actor-chain.ts'
import type { Authority } from '../../authority/authority.ts'
import { agentPrincipal, newNodeId, newSalt, newSessionId } from '../../kernel/ids.ts'
import { Rejection } from '../../kernel/rejection.ts'
import type { Confirmation } from '../../model/confirmation.ts'
import type { Permit } from '../../model/decision.ts'
import type { SubjectEvidence, UserEvidence } from '../../model/evidence.ts'
import { type Intent, intentHash, type Origin } from '../../model/intent.ts'
import type { User } from '../../model/issuer.ts'
import type { Resource } from '../../model/resource.ts'
import type { NodeFacts, OpeningEvidence, SessionFacts, Subject } from '../../model/session.ts'
import { ownTxn } from '../../model/transaction.ts'
import { openSession } from '../../sessions/session-commits.ts'
import { type FrameInput, type Issue, type Party, sessionIndex, type Target } from '../flow.ts'
import { constraintFrom } from '../sender-constraint.ts'
import type { TokenRequest } from '../token-request.ts'

export interface Opening {
  readonly party: Party
  readonly subject: Subject
  readonly intent: Intent
  readonly origin: Origin
  readonly act: Actor | undefined
  readonly evidence: OpeningEvidence | undefined
  readonly instance: string | undefined
  /** Of the piece of work; `undefined`: nobody has given one. */
  readonly txn: string | undefined
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

/**
 * A session ends with the least of what was asked, what is configured, what its target may live and what it was opened with.
 * @param evidenceEnd epoch seconds; `undefined`: the session may outlive it, or there was none.
 * @throws Rejection `subject_token_expired`
 */
export function openingEnd(
  { settings, question }: Pick<FrameInput<TokenRequest, SubjectEvidence>, 'settings' | 'question'>,
  { expiresIn }: Intent,
  target: Target | undefined,
  evidenceEnd: number | undefined,
): number {
  const { now } = question
  const asked = now + Math.min(expiresIn ?? settings.sessionSeconds, settings.sessionSeconds)
  const tokenEnd = target === undefined ? asked : targetEnd(target, now, settings.accessTokenSeconds)
  const end = Math.min(asked, tokenEnd, evidenceEnd ?? asked)
  // Verified within the tolerated skew, but over by our clock: there is no time left to give.
  if (end <= now) throw new Rejection('subject_token_expired', 'the subject token has expired')
  return end
}

/** A session opened for the user of the evidence. */
export function userOpening(
  input: FrameInput<TokenRequest, UserEvidence>,
  intent: Intent,
  target: Target | undefined,
): { readonly opening: Opening; readonly notAfter: number } {
  const { request, party, evidence, settings, registry } = input
  const sub = agentPrincipal(party.agent.clientId)
  const actor = { iss: settings.issuer, sub, sub_profile: 'ai_agent' }
  const user = { issuerSlug: evidence.issuer.slug, sub: evidence.user.sub }
  const { digest, signedInAt, expiresAt, authTime, acr, amr, risk, user: known } = evidence
  const notAfter = openingEnd(input, intent, target, evidence.issuer.sessionMayOutliveSubject ? undefined : expiresAt)
  const opening = {
    party,
    subject: { principal: evidence.principal, profile: 'user', user },
    intent,
    origin: userOrigin(intent, sub),
    act: extendChain(evidence.foreignActor, actor, settings.maxChainDepth),
    evidence: {
      ...{ digest, issuer: evidence.issuer.issuer, signedInAt, expiresAt, authTime, acr, amr, risk },
      ...emailBeside(known, registry.user(evidence.issuer, known.sub)),
    },
    instance: request.instance,
    txn: input.txn,
    target,
    issuer: settings.issuer,
    confirmation: input.confirmation,
    now: input.question.now,
    rv: input.rv,
  } as const
  return { opening, notAfter }
}

/** What the directory knows is read anew each time; what only the token said is kept with the session. */
function emailBeside({ email }: User, listed: User | undefined): Pick<OpeningEvidence, 'email'> {
  return email === undefined || email === listed?.email ? {} : { email }
}

function userOrigin(intent: Intent, assertedBy: string): Origin {
  const declared = intent.origin ?? { type: 'user_request' as const }
  if (declared.type === 'upstream_agent') {
    throw new Rejection(
      'details_malformed',
      'origin upstream_agent is written by the broker when a delegation is accepted',
    )
  }
  return { ...declared, assertedBy }
}

export function issueOpening(opening: Opening, permit: Permit): Issue {
  const authority: Authority = permit.effective
  const { session, root } = facts(opening, authority)
  const order = {
    holder: { session, node: root, above: [], path: [root.id] },
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
  const id = newSessionId()
  const session: SessionFacts = {
    id,
    txn: opening.txn ?? ownTxn(id),
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
