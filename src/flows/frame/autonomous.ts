/**
 * Autonomous work (DESIGN §3, flow 5): `client_credentials`, or a token of the workload as grant, for one MCP server; a token
 * of the workload as subject for a session, too. `sub` is the agent, there is no `act`, and the session names the agent's
 * owner as the one accountable.
 */
import { agentPrincipal } from '../../kernel/ids.ts'
import { DELEGATION_DEPTH_DEFAULT } from '../../kernel/limits.ts'
import { Rejection } from '../../kernel/rejection.ts'
import type { SelfEvidence, WorkloadEvidence } from '../../model/evidence.ts'
import type { Intent, Origin } from '../../model/intent.ts'
import { askedAuthority } from '../../policy/asked.ts'
import { GRANT_TYPE, TOKEN_TYPE } from '../../protocol/oauth.ts'
import { confinedScopes } from '../confinement.ts'
import type { Framed, FrameInput } from '../flow.ts'
import type { ClientCredentialsRequest, ExchangeRequest, JwtBearerRequest } from '../token-request.ts'
import { narrowTo, openingIntent } from './asked-authority.ts'
import { issueOpening, type Opening, openingEnd } from './opening.ts'
import { namedResources, soleTarget } from './targets.ts'

type AutonomousRequest = ClientCredentialsRequest | ExchangeRequest | JwtBearerRequest

export function frameAutonomous(input: FrameInput<AutonomousRequest, SelfEvidence | WorkloadEvidence>): Framed {
  const { request, party, evidence, registry, settings, question, rv } = input
  const here = { registry, environment: settings.environment }
  const target = wantsSession(request) ? undefined : soleTarget(request, here)
  const named = target === undefined ? namedResources(request, registry, true) : [target]
  const { intent, explicit } = openingIntent(request.details, party.agent.standingIntent, registry)
  const wanted = target === undefined ? undefined : ({ kind: 'access', resource: target } as const)
  const notAfter = openingEnd(input, intent, wanted, evidenceEnd(evidence))
  // Nothing can be delegated from an access token: its session has no handle.
  const depth = Math.min(intent.maxDepth ?? DELEGATION_DEPTH_DEFAULT, settings.maxChainDepth - 1)
  const confined = target === undefined ? undefined : confinedScopes(party.verified, target)
  const principal = agentPrincipal(party.agent.clientId)
  const opening: Opening = {
    party,
    subject: { principal, profile: 'ai_agent', user: undefined },
    intent,
    origin: originOf(intent, principal),
    act: undefined,
    // Nobody has signed in: what opened it is in the record of it (`workload`, `subject_token`).
    evidence: undefined,
    instance: request.instance,
    txn: input.txn,
    target: wanted,
    issuer: settings.issuer,
    confirmation: input.confirmation,
    now: question.now,
    rv,
  }
  return {
    event: evidence.kind === 'workload' && target === undefined ? 'session.open' : 'token.autonomous',
    question: {
      ...question,
      agent: party.agent,
      chain: [],
      subject: principal,
      user: undefined,
      risk: undefined,
      asked: narrowTo(
        askedAuthority(here, intent.tools, notAfter, target === undefined ? depth : 0),
        { resources: named, scopes: [request.scope, confined] },
        registry,
      ),
      askedExplicitly: explicit,
      parent: undefined,
      ceiling: undefined,
      target: target?.url,
    },
    issue: (permit) => issueOpening(opening, permit),
  }
}

function wantsSession(request: AutonomousRequest): boolean {
  return request.grantType === GRANT_TYPE.tokenExchange && request.requested === TOKEN_TYPE.session
}

/** `undefined`: no token bounds it. */
function evidenceEnd(evidence: SelfEvidence | WorkloadEvidence): number | undefined {
  if (evidence.kind === 'self' || evidence.token.voucher.sessionMayOutliveSubject) return undefined
  return evidence.token.expiresAt
}

/** No user stands behind this request, so nothing of a user's may be claimed as its origin. */
function originOf(intent: Intent, assertedBy: string): Origin {
  const declared = intent.origin ?? { type: 'schedule' as const }
  if (declared.type === 'user_request' || declared.type === 'upstream_agent') {
    throw new Rejection('details_malformed', `origin ${declared.type} needs evidence that this request does not bring`)
  }
  return { ...declared, assertedBy }
}
