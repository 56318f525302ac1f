/**
 * Continue (DESIGN §3, flow 2). Subject: my session token; gives an access token for one resource of the session, or an
 * ID-JAG for one whose tokens another authorization server gives.
 */
import { restrictToResources } from '../../authority/narrowing.ts'
import { Rejection } from '../../kernel/rejection.ts'
import type { HandleEvidence } from '../../model/evidence.ts'
import { issueLeaf } from '../../sessions/session-commits.ts'
import type { LiveSession } from '../../sessions/session-repository.ts'
import type { Framed, FrameInput } from '../flow.ts'
import type { ExchangeRequest } from '../token-request.ts'
import { askedFrom, narrowTo } from './asked-authority.ts'
import { asHeld, liveOf, onlyNarrows } from './handle.ts'
import { audienceOf, targetEnd } from './opening.ts'
import { requestedTarget } from './targets.ts'

export function frameContinue(input: FrameInput<ExchangeRequest, HandleEvidence>): Framed {
  const { request, party, evidence, registry, settings, question, rv } = input
  const live = liveOf(input)
  const here = { registry, environment: settings.environment }
  onlyNarrows(request.details)
  const target = requestedTarget(request, party.agent, here) ?? noTarget()
  if (target.kind === 'id_jag') assertOfUser(live)
  const { resource } = target
  const end = Math.min(
    targetEnd(target, question.now, settings.accessTokenSeconds),
    live.node.notAfter,
    live.facts.notAfter,
  )
  const held = live.node.authority
  const { asked, explicit } = askedFrom(held, request.details, here, {
    notAfter: end,
    maxDepth: held.maxDepth,
  })
  return {
    event: 'token.continue',
    question: {
      ...asHeld(live, party.agent, input),
      asked: narrowTo(asked, { resources: [resource], scopes: [request.scope] }, registry),
      askedExplicitly: explicit,
      parent: held,
      target: resource.url,
    },
    issue: (permit) => {
      const authority = restrictToResources(permit.effective, [resource.url])
      return {
        mint: target,
        order: {
          holder: { session: live.facts, node: live.node, above: live.above, path: evidence.path },
          authority,
          audience: audienceOf(target),
          rv,
          parentHash: evidence.signingInputHash,
          confirmation: input.confirmation,
          agentVersion: party.verified.version,
          instance: request.instance,
          now: question.now,
          expiresAt: Math.min(end, authority.notAfter),
        },
        change: issueLeaf(live, evidence.path, question.now),
        indexes: [],
      }
    },
  }
}

function noTarget(): never {
  throw new Error('a session is continued for a target only')
}

/** An ID-JAG speaks of a user. Where there is none, nobody abroad could tell whose work it is. */
function assertOfUser({ facts }: LiveSession): void {
  if (facts.subject.user !== undefined) return
  throw new Rejection('requested_token_type_unsupported', 'an ID-JAG is about a user, and this session is of none')
}
