/**
 * Open (DESIGN §3, flow 1). Subject: the user's ID or access token. Client authentication: the agent's. Gives a session
 * token, or with `resource` an access token whose session lives exactly as long as it does.
 */
import { DELEGATION_DEPTH_DEFAULT } from '../../kernel/limits.ts'
import type { UserEvidence } from '../../model/evidence.ts'
import { askedAuthority } from '../../policy/asked.ts'
import type { Framed, FrameInput } from '../flow.ts'
import type { ExchangeRequest } from '../token-request.ts'
import { narrowTo, openingIntent } from './asked-authority.ts'
import { issueOpening, userOpening } from './opening.ts'
import { namedResources, requestedTarget } from './targets.ts'

export function frameOpen(input: FrameInput<ExchangeRequest, UserEvidence>): Framed {
  const { request, party, evidence, registry, settings, question } = input
  const here = { registry, environment: settings.environment }
  const target = requestedTarget(request, party.agent, here)
  const named = target === undefined ? namedResources(request, registry, true) : [target.resource]
  const { intent, explicit } = openingIntent(request.details, party.agent.standingIntent, registry)
  const { opening, notAfter } = userOpening(input, intent, target)
  const maxDepth = Math.min(intent.maxDepth ?? DELEGATION_DEPTH_DEFAULT, settings.maxChainDepth - 1)
  const ceiling = evidence.ceiling.kind === 'scopes' ? evidence.ceiling.scopes : undefined
  const asked = narrowTo(
    askedAuthority(here, intent.tools, notAfter, maxDepth),
    { resources: named, scopes: [request.scope, ceiling] },
    registry,
  )
  return {
    event: 'session.open',
    question: {
      ...question,
      agent: party.agent,
      chain: [],
      subject: evidence.principal,
      user: evidence.user,
      risk: evidence.risk,
      asked,
      askedExplicitly: explicit,
      parent: undefined,
      ceiling: undefined,
      target: target?.resource.url,
    },
    issue: (permit) => issueOpening(opening, permit),
  }
}
