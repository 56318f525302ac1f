/**
 * Accept (DESIGN §3, flow 4). Subject: a delegation token made for me; my own client authentication. Gives my session token
 * (or an access token) with me as the newest actor. Consumed inside the commit: exactly once, and not burnt by a refusal.
 */
import type { NodeId } from '../../kernel/ids.ts'
import type { HandleEvidence } from '../../model/evidence.ts'
import type { NodeFacts } from '../../model/session.ts'
import { TOKEN_TYPE } from '../../protocol/oauth.ts'
import { acceptDelegation } from '../../sessions/session-commits.ts'
import { type Framed, type FrameInput, sessionIndex } from '../flow.ts'
import { constraintFrom } from '../sender-constraint.ts'
import type { ExchangeRequest } from '../token-request.ts'
import { askedFrom, narrowTo } from './asked-authority.ts'
import { asHeld, liveOf, onlyNarrows } from './handle.ts'
import { accessTokenEnd } from './opening.ts'
import { namedResources, soleTarget } from './targets.ts'

export function frameAccept(input: FrameInput<ExchangeRequest, HandleEvidence>): Framed {
  const { request, party, evidence, registry, settings, question, rv } = input
  const live = liveOf(input)
  const here = { registry, environment: settings.environment }
  onlyNarrows(request.details)
  const target = request.requested === TOKEN_TYPE.accessToken ? soleTarget(request, here) : undefined
  const named = target === undefined ? namedResources(request, registry, true) : [target]
  const offered = live.node.authority
  const tokenEnd =
    target === undefined ? offered.notAfter : accessTokenEnd(target, question.now, settings.accessTokenSeconds)
  const { asked, explicit } = askedFrom(offered, request.details, here, {
    notAfter: Math.min(offered.notAfter, tokenEnd),
    maxDepth: offered.maxDepth,
  })
  return {
    event: 'delegation.accept',
    question: {
      ...asHeld(live, party.agent, input),
      asked: narrowTo(asked, { resources: named, scopes: [request.scope] }, registry),
      askedExplicitly: explicit,
      parent: offered,
      target: target?.url,
    },
    issue: (permit) => {
      const authority = permit.effective
      const node: NodeFacts = {
        ...live.node,
        agentVersion: party.verified.version,
        authority,
        createdAt: question.now,
        notAfter: Math.min(live.node.notAfter, authority.notAfter),
        senderConstraint: constraintFrom(input.confirmation),
      }
      return {
        mint: target === undefined ? { kind: 'session' } : { kind: 'access', resource: target },
        order: {
          holder: { session: live.facts, node, above: live.above, path: [...evidence.path, node.id as NodeId] },
          authority,
          audience: target?.url ?? settings.issuer,
          rv,
          parentHash: evidence.signingInputHash,
          confirmation: input.confirmation,
          agentVersion: party.verified.version,
          instance: request.instance,
          now: question.now,
          expiresAt: node.notAfter,
        },
        change: acceptDelegation(live, evidence.path, node, {
          withLeaf: target !== undefined,
          now: question.now,
        }),
        indexes: [sessionIndex.ofPrincipal(`agent:${node.holder}`)],
      }
    },
  }
}
