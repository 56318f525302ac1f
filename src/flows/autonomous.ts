/**
 * Autonomous work (DESIGN §3, flow 5): `client_credentials` for one MCP server. `sub` is the agent, there is no `act`, and
 * the session names the agent's owner as the one accountable.
 */
import { agentPrincipal } from '../kernel/ids.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { SelfEvidence } from '../model/evidence.ts'
import type { Intent, Origin } from '../model/intent.ts'
import { askedAuthority } from '../policy/asked.ts'
import { narrowTo, openingIntent } from './asked-authority.ts'
import { confinedScopes } from './confinement.ts'
import type { Framed, FrameInput } from './flow.ts'
import { accessTokenEnd, issueOpening } from './opening.ts'
import { soleTarget } from './targets.ts'
import type { ClientCredentialsRequest } from './token-request.ts'

export function frameAutonomous(input: FrameInput<ClientCredentialsRequest, SelfEvidence>): Framed {
  const { request, party, registry, settings, question, rv } = input
  const target = soleTarget(request, registry)
  const { intent, explicit } = openingIntent(request.details, party.agent.standingIntent, registry)
  const asked = question.now + Math.min(intent.expiresIn ?? settings.sessionSeconds, settings.sessionSeconds)
  const notAfter = Math.min(asked, accessTokenEnd(target, question.now, settings.accessTokenSeconds))
  const principal = agentPrincipal(party.agent.clientId)
  const origin = originOf(intent, principal)
  return {
    event: 'token.autonomous',
    question: {
      ...question,
      agent: party.agent,
      chain: [],
      subject: principal,
      user: undefined,
      // Nothing can be delegated from it: the session has no handle, only this one access token.
      asked: narrowTo(
        askedAuthority(registry, intent.tools, notAfter, 0),
        { resources: [target], scopes: [request.scope, confinedScopes(party.verified, target)] },
        registry,
      ),
      askedExplicitly: explicit,
      parent: undefined,
      ceiling: undefined,
      target: target.url,
    },
    issue: (permit) =>
      issueOpening(
        {
          party,
          subject: { principal, profile: 'ai_agent', user: undefined },
          intent,
          origin,
          act: undefined,
          evidence: undefined,
          instance: request.instance,
          target: { kind: 'access', resource: target },
          issuer: settings.issuer,
          confirmation: input.confirmation,
          now: question.now,
          rv,
        },
        permit,
      ),
  }
}

/** No user stands behind this request, so nothing of a user's may be claimed as its origin. */
function originOf(intent: Intent, assertedBy: string): Origin {
  const declared = intent.origin ?? { type: 'schedule' as const }
  if (declared.type === 'user_request' || declared.type === 'upstream_agent') {
    throw new Rejection('details_malformed', `origin ${declared.type} needs evidence that this request does not bring`)
  }
  return { ...declared, assertedBy }
}
