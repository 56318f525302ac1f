/** Continue (DESIGN §3, flow 2). Subject: my session token; gives an access token for one resource of the session. */
import { restrictToResources } from '../authority/narrowing.ts'
import type { HandleEvidence } from '../model/evidence.ts'
import { issueLeaf } from '../sessions/session-commits.ts'
import { askedFrom, narrowTo } from './asked-authority.ts'
import type { Framed, FrameInput } from './flow.ts'
import { chainAgents, liveOf, onlyNarrows, userOf } from './handle.ts'
import { accessTokenEnd } from './opening.ts'
import { soleTarget } from './targets.ts'
import type { ExchangeRequest } from './token-request.ts'

export function frameContinue(input: FrameInput<ExchangeRequest, HandleEvidence>): Framed {
  const { request, party, evidence, registry, settings, question, rv } = input
  const live = liveOf(input)
  onlyNarrows(request.details)
  const target = soleTarget(request, registry)
  const end = Math.min(
    accessTokenEnd(target, question.now, settings.accessTokenSeconds),
    live.node.notAfter,
    live.facts.notAfter,
  )
  const held = live.node.authority
  const { asked, explicit } = askedFrom(held, request.details, registry, {
    notAfter: end,
    maxDepth: held.maxDepth,
  })
  return {
    event: 'token.continue',
    question: {
      ...question,
      agent: party.agent,
      chain: chainAgents(live, party.agent, input),
      subject: live.facts.subject.principal,
      user: userOf(live.facts, registry),
      asked: narrowTo(asked, { resources: [target], scopes: [request.scope] }, registry),
      askedExplicitly: explicit,
      parent: held,
      ceiling: live.facts.ceiling,
      target: target.url,
    },
    issue: (permit) => {
      const authority = restrictToResources(permit.effective, [target.url])
      return {
        mint: { kind: 'access', resource: target },
        order: {
          holder: { session: live.facts, node: live.node, path: evidence.path },
          authority,
          audience: target.url,
          rv,
          parentHash: evidence.signingInputHash,
          confirmation: input.confirmation,
          agentVersion: party.verified.version,
          instance: request.instance,
          now: question.now,
          expiresAt: Math.min(end, authority.notAfter),
        },
        change: issueLeaf(live.facts, evidence.path, question.now),
        indexes: [],
      }
    },
  }
}
