/**
 * Open (DESIGN §3, flow 1). Subject: the user's ID or access token. Client authentication: the agent's. Gives a session
 * token, or with `resource` an access token whose session lives exactly as long as it does.
 */
import { extendChain } from '../../authority/actor-chain.ts'
import { agentPrincipal } from '../../kernel/ids.ts'
import { DELEGATION_DEPTH_DEFAULT } from '../../kernel/limits.ts'
import { Rejection } from '../../kernel/rejection.ts'
import type { UserEvidence } from '../../model/evidence.ts'
import type { Intent, Origin } from '../../model/intent.ts'
import { askedAuthority } from '../../policy/asked.ts'
import type { Framed, FrameInput, Target } from '../flow.ts'
import type { ExchangeRequest, TokenRequest } from '../token-request.ts'
import { narrowTo, openingIntent } from './asked-authority.ts'
import { issueOpening, type Opening, targetEnd } from './opening.ts'
import { namedResources, requestedTarget } from './targets.ts'

export function frameOpen(input: FrameInput<ExchangeRequest, UserEvidence>): Framed {
  const { request, party, evidence, registry, settings, question } = input
  const target = requestedTarget(request, party.agent, registry)
  const named = target === undefined ? namedResources(request, registry, true) : [target.resource]
  const { intent, explicit } = openingIntent(request.details, party.agent.standingIntent, registry)
  const notAfter = sessionEnd(input, intent, target)
  const maxDepth = Math.min(intent.maxDepth ?? DELEGATION_DEPTH_DEFAULT, settings.maxChainDepth - 1)
  const ceiling = evidence.ceiling.kind === 'scopes' ? evidence.ceiling.scopes : undefined
  const asked = narrowTo(
    askedAuthority(registry, intent.tools, notAfter, maxDepth),
    { resources: named, scopes: [request.scope, ceiling] },
    registry,
  )
  const opening = describeOpening(input, intent, target)
  return {
    event: 'session.open',
    question: {
      ...question,
      agent: party.agent,
      chain: [],
      subject: evidence.principal,
      user: evidence.user,
      asked,
      askedExplicitly: explicit,
      parent: undefined,
      ceiling: undefined,
      target: target?.resource.url,
    },
    issue: (permit) => issueOpening(opening, permit),
  }
}

type OpenInput = FrameInput<TokenRequest, UserEvidence>

/** A session opened for the user of the evidence. */
export function describeOpening(input: OpenInput, intent: Intent, target: Target | undefined): Opening {
  const { request, party, evidence, settings } = input
  const sub = agentPrincipal(party.agent.clientId)
  const actor = { iss: settings.issuer, sub, sub_profile: 'ai_agent' }
  const user = { issuerSlug: evidence.issuer.slug, sub: evidence.user.sub }
  const { digest, signedInAt, expiresAt, authTime, acr, amr } = evidence
  return {
    party,
    subject: { principal: evidence.principal, profile: 'user', user },
    intent,
    origin: originOf(intent, sub),
    act: extendChain(evidence.foreignActor, actor, settings.maxChainDepth),
    evidence: { digest, issuer: evidence.issuer.issuer, signedInAt, expiresAt, authTime, acr, amr },
    instance: request.instance,
    target,
    issuer: settings.issuer,
    confirmation: input.confirmation,
    now: input.question.now,
    rv: input.rv,
  }
}

/** A session ends with the least of what was asked, what is configured, and (unless its issuer says otherwise) the evidence. */
export function sessionEnd(input: OpenInput, intent: Intent, target: Target | undefined): number {
  const { evidence, settings, question } = input
  const asked = question.now + Math.min(intent.expiresIn ?? settings.sessionSeconds, settings.sessionSeconds)
  const evidenceEnd = evidence.issuer.sessionMayOutliveSubject ? asked : evidence.expiresAt
  const tokenEnd = target === undefined ? asked : targetEnd(target, question.now, settings.accessTokenSeconds)
  const end = Math.min(asked, evidenceEnd, tokenEnd)
  // Verified within the tolerated skew, but over by our clock: there is no time left to give.
  if (end <= question.now) throw new Rejection('subject_token_expired', 'the subject token has expired')
  return end
}

function originOf(intent: Intent, assertedBy: string): Origin {
  const declared = intent.origin ?? { type: 'user_request' as const }
  if (declared.type === 'upstream_agent') {
    throw new Rejection(
      'details_malformed',
      'origin upstream_agent is written by the broker when a delegation is accepted',
    )
  }
  return { ...declared, assertedBy }
}
